"""What Python says by itself about an error that nobody caught, in a thread or a finalizer, and about warnings: redacted.

Its own words hold whatever the exception holds, and a careless `repr` may hold a token or a signed URL.
"""

from __future__ import annotations

import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import TextIO

from orchestrator.cli import say


def install() -> None:
    """From now on such words go the way of all text for people."""
    sys.excepthook = _uncaught
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warning


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    say.people("".join(traceback.format_exception(kind, error, trace)).rstrip())


def _in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is SystemExit:
        return
    name = told.thread.name if told.thread is not None else "unknown"
    trace = "".join(traceback.format_exception(told.exc_type, told.exc_value, told.exc_traceback))
    say.people(f"Exception in thread {name}:\n{trace.rstrip()}")


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    trace = "".join(traceback.format_exception(told.exc_type, told.exc_value, told.exc_traceback))
    say.people(f"{told.err_msg or 'Exception ignored in'}: {told.object!r}\n{trace.rstrip()}")


def _warning(  # noqa: PLR0917  the signature is Python's
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001  all words for people go one way
    line: str | None = None,
) -> None:
    say.people(warnings.formatwarning(message, category, filename, lineno, line).rstrip())
