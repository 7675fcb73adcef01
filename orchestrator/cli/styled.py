"""Results with colours, on stdout: what a terminal shows, plain where it is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.cli import say

WIDEST = 160


class Stdout:
    """`NO_COLOR`, `FORCE_COLOR`, `TERM` and `COLUMNS` are honoured as rich does; without a terminal it is 80 wide."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
        self.width = min(self._console.width, WIDEST)
        self.ascii_only = self._console.options.ascii_only

    def print(self, lines: Sequence[Text]) -> None:
        """Each line as it is; the terminal alone may wrap it."""
        if not lines:
            return
        # Even what is captured ends with a write to the stream, of nothing.
        with say.writing_results(), self._console.capture() as captured:
            for line in lines:
                self._console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
        say.result(captured.get().removesuffix("\n"))
