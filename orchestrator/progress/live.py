"""The live display: the picture of a run, redrawn in place below whatever is printed meanwhile."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from orchestrator.engine.events import Told
from orchestrator.progress.picture import picture
from orchestrator.progress.tally import Tally

REFRESH = 0.25
"""Seconds between two looks at the figures; a picture that has not changed is not drawn again."""


class LiveProgress:
    """Observer that shows a run on a terminal while `beat` runs.

    `console` must write to stderr and be the only thing that does: what else is to be said goes through it, or
    through `stream`, and appears above the display. `now` gives seconds since the epoch.
    """

    def __init__(self, console: Console, now: Callable[[], float]) -> None:
        self.console = console
        self.stream = LinesAbove(console)
        self.tally = Tally()
        self._now = now

    def tell(self, told: Told) -> None:
        self.tally.tell(told)

    async def beat(self) -> None:
        """Draws until it is cancelled, then takes the display away and gives the cursor back.

        A terminal that has gone (a closed window, a dropped connection) ends the display, never the run.
        """
        shown: list[Text] = []
        with (
            suppress(OSError),
            Live(
                console=self.console,
                auto_refresh=False,  # no thread: the figures change under the event loop's hands
                transient=True,
                redirect_stdout=False,  # results belong to stdout, whatever happens on stderr
                vertical_overflow="crop",
            ) as display,
        ):
            while True:
                lines = self._lines()
                if lines != shown:
                    shown = lines
                    display.update(Group(*lines), refresh=True)
                await asyncio.sleep(REFRESH)

    def _lines(self) -> list[Text]:
        if self.tally.started_at is None:
            return []
        options = self.console.options
        # A line that fills the last column makes some terminals wrap, and so does the `^C` that they add to the last line.
        return picture(self.tally, self._now(), options.max_width - 3, ascii_only=options.ascii_only)


class LinesAbove(io.TextIOBase):
    """A text stream whose whole lines appear above the display; an unfinished line waits for its end."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._open = ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._console.is_terminal

    def write(self, text: str) -> int:
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            # The terminal wraps, not rich: a line that is copied must be the line that was written.
            self._console.print(Text.from_ansi(line), soft_wrap=True)
        return len(text)
