"""Spans of a run record, in memory; what goes over the wire is in e2e."""

import importlib.util

import pytest
from opentelemetry.trace import StatusCode
from run_records import export, failed, record

from orchestrator.telemetry import settings, spans


def test_a_run_is_one_span_with_a_child_for_each_export_it_had_to_do_with():
    exports = [
        export("stored", "support", "2025-01"),
        failed("sales", "no"),
        export("skipped", "old"),
        export("pending", "p"),
    ]
    run, *children = spans.build(record(outcome="failed", exports=exports), {}, "1.0")
    assert run.name == "run backfill"
    assert (run.end_time - run.start_time) == 60_250_000_000
    assert run.status.status_code is StatusCode.ERROR
    assert [child.name for child in children] == ["support 2025-01", "sales", "p"]
    assert {child.parent.span_id for child in children} == {run.context.span_id}
    stored, broken, pending = children
    assert (stored.end_time - stored.start_time) == 30_500_000_000
    assert [event.name for event in stored.events] == ["submitted", "stored"]
    assert stored.status.status_code is StatusCode.UNSET
    assert broken.status.status_code is StatusCode.ERROR
    assert broken.status.description == "no [request.invalid]"
    assert pending.end_time == run.end_time
    assert stored.attributes["orchestrator.coordinates.axis0"] == "support"
    assert stored.attributes["orchestrator.bytes"] == 12
    assert run.resource.attributes["service.name"] == "orchestrator"


def test_an_export_of_an_earlier_run_began_before_this_one():
    early = export(
        "stored", "a", timings={"submitted_at": "2025-12-31T23:00:00.000Z", "ready_at": None, "stored_at": None}
    )
    run, child = spans.build(record(exports=[early]), {}, "1.0")
    assert child.start_time < run.start_time


@pytest.mark.parametrize("outcome", ["succeeded", "parked"])
def test_what_is_no_fault_is_no_error(outcome):
    (run,) = spans.build(record(outcome=outcome), {}, "1.0")
    assert run.status.status_code is StatusCode.UNSET


def test_a_run_hangs_below_the_span_of_its_pipeline():
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (run,) = spans.build(record(), {"TRACEPARENT": parent, "OTEL_SERVICE_NAME": "exports"}, "1.0")
    assert f"{run.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{run.parent.span_id:016x}" == "b7ad6b7169203331"
    assert run.resource.attributes["service.name"] == "exports"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ["otlp_proto_http"]),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["otlp_proto_grpc"],
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_SERVICE_NAME": "x"}, []),
    ],
)
def test_only_what_the_environment_asks_for_is_exported_to(environ, names):
    assert settings.exporters(environ) == names
    assert settings.wanted(environ) is bool(names)
    assert not settings.wanted(environ | {"OTEL_SDK_DISABLED": "TRUE"})


def test_without_the_extra_nothing_is_wanted(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    assert importlib.util.find_spec("opentelemetry") is not None
    assert not settings.wanted({"OTEL_TRACES_EXPORTER": "otlp"})


def test_an_exporter_that_is_not_there_is_told_and_nothing_more():
    told = spans.send(record(), {"OTEL_TRACES_EXPORTER": "abacus"}, "1.0", 5.0)
    assert "could not be sent" in told
