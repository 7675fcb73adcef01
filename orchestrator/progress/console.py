"""The one rich console of a command, for what it says to people before and after the live display."""

from __future__ import annotations

from typing import IO

from rich.console import Console


class PeopleConsole(Console):
    """A console on stderr that guesses nothing: no markup, no emoji, no highlighting of what a service said.

    `NO_COLOR`, `FORCE_COLOR` and `TERM` are honoured as rich does. When its reader has gone it falls silent.
    """

    def __init__(self, file: IO[str], *, width: int | None = None, force_terminal: bool | None = None) -> None:
        super().__init__(
            file=file, width=width, force_terminal=force_terminal, markup=False, emoji=False, highlight=False
        )

    def on_broken_pipe(self) -> None:
        """Rich would exit with status 1 and silence stdout as well; the run and its results matter more."""
        self.quiet = True
