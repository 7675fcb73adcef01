"""INT, TERM and HUP park a run; a second one of them ends the process at once.

The handlers stand before anything heavy is imported: a pipeline may be cancelled in the first second. Whatever comes
before the run is ready to listen is remembered and told to it then.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Protocol

from orchestrator.cli import exits

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


SHOW_CURSOR = b"\x1b[?25h\n"
"""The live view hides the cursor, and has no chance to give it back when the process ends at once."""


LAST_WORDS = b"""ended at once. Nothing that is stored is lost; creations that had no answer yet may
exist twice on the service later, which is counted. Next: run the same command again.
"""
"""Of a process that a second signal ends, for people."""


class Stops(Protocol):
    """What may park a run from outside."""

    @property
    def name(self) -> str:
        """What has come, as people know it; empty if nothing has."""

    def heard_by(self, listener: Callable[[str], None]) -> AbstractContextManager[None]:
        """Within, `listener` hears of the first that comes, by its name and in any thread; at once if it has come."""


class Signals:
    """`first` is the first signal that came, or None."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.before_the_end: Callable[[], None] | None = None
        """What is done, in an instant, before a second signal ends the process."""
        self.last_words = LAST_WORDS
        self._listener: Callable[[str], None] | None = None

    def install(self) -> None:
        for number in NAMES:
            # A run started by nohup, or in the background of a script, was told to ignore some of them: so it does.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._received)

    @contextmanager
    def heard_by(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Within, `listener` hears of the first signal, by its name; at once if it has come already."""
        self._listener = listener
        if self.first is not None:
            listener(NAMES[self.first])
        try:
            yield
        finally:
            self._listener = None

    @property
    def name(self) -> str:
        """The first signal, as people know it; empty if none came."""
        return NAMES[self.first] if self.first is not None else ""

    @property
    def interrupted(self) -> bool:
        return self.first is signal.SIGINT

    @property
    def status(self) -> int:
        """The exit status that the first signal calls for."""
        return exits.INTERRUPTED if self.interrupted else exits.PARKED

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if self.first is not None:
            if self.before_the_end is not None:
                self.before_the_end()
            with suppress(OSError):
                os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + self.last_words)
            os._exit(self.status)
        self.first = signal.Signals(number)
        if self._listener is not None:
            self._listener(NAMES[self.first])


SIGNALS = Signals()
"""A process has one set of signal handlers, so there is one of these: installed by `main`, read by `run`."""
