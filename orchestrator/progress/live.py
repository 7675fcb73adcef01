"""The live display: the picture of a run, redrawn in place below whatever is printed meanwhile."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console
from rich.text import Text

from orchestrator.engine.events import Told
from orchestrator.progress.cells import Cells
from orchestrator.progress.picture import picture, rows_for
from orchestrator.progress.screen import Screen
from orchestrator.progress.tally import Tally

REFRESH = 0.25
"""Seconds between two looks at the figures; a picture that has not changed is not drawn again."""
SHARE = 100
"""A look may take one part in so many of the time: where it takes long (ten thousand cells), the next one comes later."""


class LiveProgress:
    """Observer that shows a run on a terminal while `beat` runs.

    `console` must write to stderr and be the only thing that does; what is to be said meanwhile goes through `stream`, and
    appears above the display. `now` gives seconds since the epoch.
    """

    def __init__(self, console: Console, now: Callable[[], float]) -> None:
        self.console = console
        self.tally = Tally()
        self._cells = Cells()
        self._screen = Screen(console)
        self.stream = LinesAbove(self._screen, terminal=console.is_terminal)
        self._now = now

    def tell(self, told: Told) -> None:
        self.tally.tell(told)
        self._cells.tell(told)

    async def beat(self) -> None:
        """Draws until it is cancelled, then takes the display away and gives the cursor back.

        A terminal that has gone (a closed window, a dropped connection) ends the display, never the run.
        """
        with suppress(OSError):
            try:
                while True:
                    began = time.thread_time()
                    self._screen.draw(self._lines())
                    spent = time.thread_time() - began
                    await asyncio.sleep(max(REFRESH, SHARE * spent))
            finally:
                self._screen.close()

    def _lines(self) -> list[Text]:
        if self.tally.started_at is None:
            return []
        options = self.console.options
        return picture(
            self.tally,
            self._now(),
            options.max_width - 3,  # a line that fills the last column makes some terminals wrap
            rows=rows_for(options.size.height),
            cells=self._cells,
            ascii_only=options.ascii_only,
        )


class LinesAbove(io.TextIOBase):
    """A text stream whose whole lines appear above the display; an unfinished line waits for its end."""

    def __init__(self, screen: Screen, *, terminal: bool) -> None:
        super().__init__()
        self._screen = screen
        self._terminal = terminal
        self._open = ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        whole, newline, rest = (self._open + text).rpartition("\n")
        self._open = rest
        if newline:
            self._screen.above(whole)
        return len(text)
