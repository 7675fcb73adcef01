"""`orchestrator`, with the processor time that its live display took told in a file: `metered_display.py RESULT ARGUMENTS…`."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.cli.entry import main

spent = 0.0


def metered(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(*args: Any) -> Any:
        global spent  # noqa: PLW0603  a program of thirty lines
        began = time.thread_time()
        try:
            return method(*args)
        finally:
            spent += time.thread_time() - began

    return timed


if __name__ == "__main__":
    result = Path(sys.argv.pop(1))
    from orchestrator.progress.live import LiveProgress
    from orchestrator.progress.screen import Screen

    LiveProgress.tell = metered(LiveProgress.tell)  # type: ignore[method-assign]  # that is the point
    LiveProgress._lines = metered(LiveProgress._lines)  # type: ignore[method-assign]  # noqa: SLF001
    Screen.draw = metered(Screen.draw)  # type: ignore[method-assign]
    try:
        main()
    finally:
        result.write_text(str(spent), encoding="ascii")
