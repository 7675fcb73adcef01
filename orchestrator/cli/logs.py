"""Logs of a command: structlog on stderr, for people or as JSON lines, every line redacted.

Only commands that log import this module: structlog takes a third of a second to import.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from orchestrator.cli.redact import Redactor
from orchestrator.engine.events import (
    ExportChanged,
    Learned,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Told,
    Troubled,
)
from orchestrator.engine.states import Record
from orchestrator.progress.words import label

LogFormat = Literal["text", "json"]

# Text that has several lines by right; everywhere else a line feed could forge a line of its own.
_MANY_LINES = frozenset({"exception", "stack"})


class Stream(Protocol):
    """Where lines go: stderr, or the live display's `stream`."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...

    def isatty(self) -> bool: ...


def configure(format: LogFormat, level: int, stream: Stream, secrets: Iterable[str]) -> None:  # noqa: A002  the option's word
    """Sends structlog and the standard library's loggers (from WARNING on) to `stream`, one way for both.

    `level` is one of `logging`'s; `secrets` are values that must never be seen. Calling it again replaces everything.
    """
    sink = _Sink(stream)
    redactor = Redactor(secrets)
    stamp, render = _faces(format, stream)
    common: list[Processor] = [structlog.stdlib.add_log_level, stamp, structlog.processors.StackInfoRenderer()]
    # Tracebacks become text before they are redacted, and never show locals.
    final: list[Processor] = [structlog.processors.format_exc_info, Redact(redactor), render]
    structlog.configure(
        processors=[*common, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_args: sink,
        cache_logger_on_first_use=False,
    )
    _route_standard_library(sink, common, final, max(level, logging.WARNING))


def _faces(format: LogFormat, stream: Stream) -> tuple[Processor, Processor]:  # noqa: A002  the option's word
    if format == "json":
        return structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()
    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    return (
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        ),
    )


class Redact:
    """A processor: whatever a line holds, without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        clean: EventDict = {}
        for name, value in event.items():
            if name in _MANY_LINES:
                clean[name] = self._redactor.text(str(value), lines=True)
            else:
                clean[self._redactor.text(name)] = self._redactor.field(name, value)
        return clean


class _Sink:
    """Where structlog ends: a line to the stream. A reader that has gone must not end the run."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    log = debug = info = warning = error = critical = exception = msg


def _route_standard_library(sink: _Sink, common: list[Processor], final: list[Processor], level: int) -> None:
    handler = _Handler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


class _Handler(logging.Handler):
    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.msg(self.format(record))
        except Exception as error:  # noqa: BLE001  logging itself would print the raw message and its arguments
            log: FilteringBoundLogger = structlog.get_logger()
            log.warning("a log line could not be put into words", source=record.name, error=type(error).__name__)


# ------------------------------------------------------------------------------------------------------- told events


class LogObserver:
    """Observer that turns what the engine tells into log lines.

    Requests, and what is learned from their answers, are debug, changes of exports info, troubles warnings, failures errors; the level given to `configure`
    decides what of it is seen. Received bytes are not logged: progress shows them. The words of an event stay the
    same from line to line, what varies is in its fields; their times are UTC (RFC 3339).
    """

    def __init__(self, log: FilteringBoundLogger | None = None) -> None:
        """`log` is where the lines go; otherwise to what has been configured by now."""
        # What `get_logger` gives looks its settings up again for each line, also for those that nobody is to see.
        self._log: FilteringBoundLogger = log or structlog.get_logger().bind()
        self._labels: dict[str, str] = {}

    def tell(self, told: Told) -> None:
        log = self._log
        match told:
            case ExportChanged(record=record, event=event):
                if event == "planned" or record.key not in self._labels:
                    self._labels[record.key] = label(record.coordinates)
                self._changed(record, event)
            case Learned():
                log.debug("learned", **_learned(told))
            case RequestSent():
                log.debug("request", kind=told.kind, **self._export(told.key))
            case Troubled():
                again_at = _utc(told.again_at)
                log.warning(
                    "trouble", message=told.message, **self._export(told.key), code=told.code, again_at=again_at
                )
            case Paused():
                log.warning("the service asks for silence", until=_utc(told.until), detail=told.detail)
            case OutageBegan():
                gives_up_at = _utc(told.gives_up_at)
                log.warning("a host does not answer", host=told.host, detail=told.detail, gives_up_at=gives_up_at)
            case OutageEnded():
                log.warning("a host answers again", host=told.host)
            case Parking():
                log.warning("parking", reason=told.reason)
            case RunStarted():
                most = {"unfinished_limit": told.unfinished_limit, "downloads_limit": told.downloads_limit}
                log.info("run started", job=told.job, run_id=told.run_id, todo=told.todo, skipped=told.skipped, **most)
            case RunEnded():
                log.info("run ended", outcome=told.outcome)
            case _:
                pass  # a kind that a later engine tells

    def _changed(self, record: Record, event: str) -> None:
        log, about = self._log, self._export(record.key)
        match event:
            case "failed":
                failure = next((part.failure for part in record.parts if part.failure is not None), None)
                why = asdict(failure) if failure else {}
                log.error("failed", **about, **{name: text for name, text in why.items() if text})
            case "stored":
                stored_bytes = sum(file.bytes for file in record.stored or ())
                log.info("stored", **about, path=record.path, bytes=stored_bytes)
            case "lost":
                causes = [str(report.cause) for part in record.parts for report in part.reports if not report.live]
                log.warning("a report is lost", **about, cause=causes[-1] if causes else None)
            case "unanswered":
                log.warning("a creation got no readable answer: a possible duplicate", **about)
            case "torn":
                log.warning("a verified file was gone before it was stored, it is fetched again", **about)
            case _:
                log.info(event, **about)

    def _export(self, key: str) -> dict[str, str]:
        return {"export": self._labels[key], "key": key} if key in self._labels else {"key": key}


def _learned(told: Learned) -> dict[str, Any]:
    durations = {"seconds": told.seconds, "longest": told.longest}
    return {
        **{name: round(figure, 1) for name, figure in durations.items() if figure is not None},
        "per_second": round(told.per_second, 2),
        "rate_found": told.rate_found,
        "unfinished": told.unfinished,
        "cap_found": told.cap_found,
        "downloads": told.downloads,
    }


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
