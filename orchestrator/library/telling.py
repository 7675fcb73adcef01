"""How the library tells what happens: to the logger `orchestrator`, redacted, and to whoever follows the counts."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.cli.logs import LogObserver, Redact
from orchestrator.cli.redact import Redactor
from orchestrator.cli.speech import Observers
from orchestrator.documents import RunCounts
from orchestrator.engine.events import ExportChanged, RunStarted, Told

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

LOGGER = logging.getLogger("orchestrator")
LOGGER.addHandler(logging.NullHandler())  # or Python itself would print warnings where nobody has configured logging


def warn(told: str) -> None:
    """Something odd that a look at a job has met."""
    LOGGER.warning(Redactor().text(told, lines=True))


class Logged:
    """A run's speech that goes to the logger, every line redacted; and to whoever follows the counts."""

    def __init__(self, on_progress: Callable[[RunCounts], None] | None) -> None:
        self.beat: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._secrets: set[str] = set()
        self._redactor = Redactor()
        self._on_progress = on_progress

    def never(self, secrets: Iterable[str]) -> None:
        self._secrets.update(secrets)
        self._redactor = Redactor(self._secrets)

    def observer(self) -> Observers:
        # A logger of this run's own: `structlog.configure` is the process's.
        log = structlog.wrap_logger(
            LOGGER,
            processors=[structlog.stdlib.filter_by_level, self._redacted, _in_words],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        followed = [] if self._on_progress is None else [_Counting(self._on_progress)]
        return Observers(LogObserver(log), *followed)

    def note(self, told: str) -> None:
        LOGGER.info(self._clean(told))

    def warn(self, told: str) -> None:
        LOGGER.warning(self._clean(told))

    def ended(self, report: dict[str, Any]) -> None:
        """The log has said it, and the caller gets the report."""

    def bug(self, error: BaseException) -> None:
        LOGGER.error(self._clean("".join(traceback.format_exception(error))))

    def _clean(self, text: str) -> str:
        return self._redactor.text(text, lines=True)

    def _redacted(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        return Redact(self._redactor)(logger, name, event)


def _in_words(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return " ".join([str(event.pop("event", "")), *(f"{name}={value!r}" for name, value in event.items())])


class _Counting:
    """Observer that keeps the report's counts while the run goes on."""

    def __init__(self, tell: Callable[[RunCounts], None]) -> None:
        self._tell = tell
        self._counts = RunCounts(planned=0, stored=0, skipped=0, failed=0, pending=0)
        self._refused = 0
        self._stored: set[str] = set()
        self._failed: set[str] = set()

    def tell(self, told: Told) -> None:
        counts = self._counts
        match told:
            case RunStarted():
                self._refused = told.refused
                counts["planned"] = told.todo + told.skipped + told.refused
                counts["skipped"], counts["failed"] = told.skipped, told.refused
            case ExportChanged(record=record, event="stored" | "failed" as event):
                ended = self._stored if event == "stored" else self._failed
                ended.add(record.key)
                counts["stored"], counts["failed"] = len(self._stored), self._refused + len(self._failed)
            case _:
                return
        counts["pending"] = counts["planned"] - counts["stored"] - counts["skipped"] - counts["failed"]
        try:
            self._tell(RunCounts(**counts))
        except Exception:
            LOGGER.exception("on_progress failed")  # what is shown of a run must not end it
