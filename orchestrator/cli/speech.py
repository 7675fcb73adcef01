"""How a run is told: while it works, where it meets something odd, and when it has ended.

A session knows only `Speech`. `Terminal` is the command's: progress and summary on stderr, logs through structlog. The
library has another one (`orchestrator/library/telling.py`), which writes to nobody's streams.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.cli import options, say
from orchestrator.cli.log_later import set_up_with_the_first_line
from orchestrator.engine.events import Told
from orchestrator.engine.ports import Clock, Observer
from orchestrator.progress.choose import pick
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.plain import PlainProgress
from orchestrator.progress.summary import print_summary

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from orchestrator.cli.logs import Stream


class Speech(Protocol):
    """What a session says, and when. Nothing it is given holds a secret, but what a service said may stand in it."""

    beat: Callable[[], Coroutine[Any, Any, None]] | None
    """What goes on beside the run, until it is cancelled: the progress that moves by itself."""

    def never(self, secrets: Iterable[str]) -> None:
        """These values must not be shown from now on."""

    def observer(self) -> Observer:
        """Who is told while the run works. Called once, before anything else is said."""

    def note(self, told: str) -> None:
        """Something that is good to know, and in order: what the run keeps to, why nothing seems to happen."""

    def warn(self, told: str) -> None:
        """Something odd that ends nothing."""

    def ended(self, report: dict[str, Any]) -> None:
        """The run's report. Not called for a run that raises instead."""

    def bug(self, error: BaseException) -> None:
        """An error of ours that an attempt ran into; the report's outcome is `bug` as well."""


class Observers:
    """Tells each of several."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def tell(self, told: Told) -> None:
        for observer in self._observers:
            observer.tell(told)


class Terminal:
    """To people, on stderr; `root` is where the job's files are."""

    def __init__(self, talk: options.Talk, clock: Clock, root: Path) -> None:
        self._talk = talk
        self._clock = clock
        self._root = root
        self._console = PeopleConsole(sys.stderr)
        self._secrets: list[str] = []
        self.beat: Callable[[], Coroutine[Any, Any, None]] | None = None

    def never(self, secrets: Iterable[str]) -> None:
        found = list(secrets)
        self._secrets += found
        say.never(found)

    def observer(self) -> Observers:
        """Sets up progress and log."""
        talk = self._talk
        as_json = talk.log_format == "json"
        kind = pick(sys.stderr, os.environ, quiet=talk.quiet, no_progress=talk.no_progress or as_json)
        observers: list[Observer] = []
        stream: Stream = sys.stderr
        if kind == "live":
            live = LiveProgress(self._console, self._clock.now)
            self.beat, stream = live.beat, live.stream
            observers.append(live)
        elif kind == "plain":
            plain = PlainProgress(sys.stderr, self._clock.now, every=talk.heartbeat)
            self.beat = plain.beat
            observers.append(plain)
        level = logging.DEBUG if talk.verbose else logging.ERROR if talk.quiet else logging.INFO

        def configure() -> None:
            from orchestrator.cli import logs

            logs.configure("json" if as_json else "text", level, stream, self._secrets)

        if as_json or talk.verbose or talk.quiet or talk.no_progress:
            from orchestrator.cli.logs import LogObserver

            configure()
            observers.append(LogObserver())
        else:
            set_up_with_the_first_line(configure)
        return Observers(*observers)

    def note(self, told: str) -> None:
        if self._talk.log_format == "json":
            self._log().info(told)
        elif not self._talk.quiet:
            say.people(say.hanging(told, indent=0, hang=2))

    def warn(self, told: str) -> None:
        if self._talk.log_format == "json":
            self._log().warning(told)
        else:
            say.people(say.hanging(f"warning: {told}", indent=0, hang=2))

    @staticmethod
    def _log() -> FilteringBoundLogger:
        import structlog

        logger: FilteringBoundLogger = structlog.get_logger()
        return logger

    def ended(self, report: dict[str, Any]) -> None:
        if self._talk.log_format == "json":
            return  # the log's last line has said it
        if self._talk.quiet and report["outcome"] == "succeeded":
            return
        with suppress(OSError):  # a full disk must not take more from a run than its words
            print_summary(report, self._console, manifest=say.shown(self._root / "manifest.json"))
        errors = [report["error"], *(export["error"] for export in report["exports"])]
        say.more(error["code"] for error in errors if error)

    def bug(self, error: BaseException) -> None:
        say.bug(error)
