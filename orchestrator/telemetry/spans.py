"""A run record as OpenTelemetry spans: one for the run, below it one for each export that the run had to do with.

They are made when the run has ended, with the moments at which things happened. Everything is set up as OpenTelemetry's own
variables say (`OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_EXPORTER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`;
`TRACEPARENT` hangs the run below a pipeline's own span). The libraries are the extra `otel`: `settings.wanted` tells whether this module may be imported.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orchestrator.telemetry import settings

BATCH = 512
"""Spans of one request to the collector: the default of OpenTelemetry's own batches."""


def send(record: Mapping[str, Any], environ: Mapping[str, str], version: str, seconds: float) -> str | None:
    """Sends the record's spans, for `seconds` at the most; says why that did not work out, or None.

    A collector that hangs holds up nobody for longer: whoever still sends then does so on a thread that ends with the process.
    """
    told: list[str] = []
    logging.getLogger("opentelemetry").addHandler(_Keeper(told))
    logging.getLogger("opentelemetry").propagate = False
    outcome: list[str | None] = []
    sender = threading.Thread(target=lambda: outcome.append(_send(record, environ, version)), name="spans", daemon=True)
    sender.start()
    sender.join(seconds)
    why = outcome[0] if outcome else f"the collector has not taken the run's spans within {seconds:.0f} s"
    return f"{why}: {told[-1]}" if why is not None and told else why


def _send(record: Mapping[str, Any], environ: Mapping[str, str], version: str) -> str | None:
    try:
        targets = [_exporter(name) for name in settings.exporters(environ)]
        spans = build(record, environ, version)
        taken = [
            target.export(batch) is SpanExportResult.SUCCESS
            for target in targets
            for batch in (spans[n : n + BATCH] for n in range(0, len(spans), BATCH))
        ]
        for target in targets:
            target.shutdown()
    except Exception as error:  # noqa: BLE001  whatever a foreign library makes of foreign settings: the run has ended well
        return f"the run's spans could not be sent ({type(error).__name__})"
    return None if all(taken) else "the collector did not take the run's spans"


def build(record: Mapping[str, Any], environ: Mapping[str, str], version: str) -> Sequence[ReadableSpan]:
    """The spans of a run record, ended, the run's first."""
    resource = Resource.create({"service.name": "orchestrator", "service.version": version})
    if environ.get("OTEL_SERVICE_NAME"):
        resource = resource.merge(Resource({"service.name": environ["OTEL_SERVICE_NAME"]}))
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("orchestrator", version)
    began, ended = _moment(record["started_at"]), _moment(record["finished_at"])
    run = tracer.start_span(
        f"run {record['job'] or ''}".rstrip(), _parent(environ), start_time=began, attributes=_attributes_of_run(record)
    )
    if record["outcome"] not in ("succeeded", "parked"):
        error = record["error"]
        run.set_status(StatusCode.ERROR, error["message"] if error else record["outcome"])
    inside = set_span_in_context(run)
    for export in record["exports"]:
        if export["state"] != "skipped":
            _add_export(tracer, inside, export, began, ended)
    run.end(ended)
    spans = memory.get_finished_spans()
    return spans[-1:] + spans[:-1]


def _add_export(tracer: Tracer, inside: Context, export: Mapping[str, Any], began: int, ended: int) -> None:
    # What an earlier run created began before this one; what was never created has only been waiting.
    moments = {name: _moment(at) for name, at in export["timings"].items() if at is not None}
    begin = moments.get("submitted_at", began)
    name = " ".join(export["coordinates"].values()) or "export"
    span = tracer.start_span(name, inside, start_time=begin, attributes=_attributes_of_export(export))
    for event, at in moments.items():
        span.add_event(event.removesuffix("_at"), timestamp=at)
    if (error := export["error"]) is not None:
        span.set_status(StatusCode.ERROR, f"{error['message']} [{error['code']}]")
    span.end(max(begin, moments.get("stored_at", ended)))


def _attributes_of_run(record: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "orchestrator.job": record["job"],
        "orchestrator.run_id": record["run_id"],
        "orchestrator.outcome": record["outcome"],
        "orchestrator.reason": record["reason"],
        "orchestrator.error.code": record["error"]["code"] if record["error"] else None,
        "orchestrator.bytes": record["bytes"],
        "orchestrator.rows": record["rows"],
        **{f"orchestrator.exports.{state}": count for state, count in record["counts"].items()},
        **{f"orchestrator.api.{name}": figure for name, figure in record["api"].items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def _attributes_of_export(export: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        **{f"orchestrator.coordinates.{axis}": label for axis, label in export["coordinates"].items()},
        "orchestrator.report_ids": export["report_ids"],
        "orchestrator.error.code": export["error"]["code"] if export["error"] else None,
        **{
            f"orchestrator.{name}": export[name]
            for name in ("key", "state", "path", "bytes", "rows", "attempts", "polls", "possible_duplicates")
        },
    }
    return {name: value for name, value in told.items() if value is not None}


def _parent(environ: Mapping[str, str]) -> Context | None:
    if "TRACEPARENT" not in environ:
        return None
    carrier = {name.lower(): environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in environ}
    return TraceContextTextMapPropagator().extract(carrier)


def _exporter(name: str) -> SpanExporter:
    (found,) = entry_points(group="opentelemetry_traces_exporter", name=name)
    settings_of_its_own = {"out": sys.stderr} if name == "console" else {}  # stdout belongs to results
    made: SpanExporter = found.load()(**settings_of_its_own)
    return made


def _moment(at: str) -> int:
    """RFC 3339 as nanoseconds since the epoch."""
    return round(datetime.fromisoformat(at).timestamp() * 1000) * 1_000_000


class _Keeper(logging.Handler):
    """What the libraries say of a failure goes into our one line about it, not beside it."""

    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(record.getMessage().splitlines()[0])
