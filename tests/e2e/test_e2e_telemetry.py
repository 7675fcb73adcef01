"""Metrics and spans of a run, as the program writes and sends them."""

import asyncio
import contextlib
import os
import socket

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from rehearsal import TOKEN


@contextlib.asynccontextmanager
async def collector(status=200):
    """An OTLP/HTTP collector; gives its address and all the spans it has been sent."""
    taken = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(
            next(line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length"))
        )
        request = ExportTraceServiceRequest.FromString(await reader.readexactly(length))
        assert head.startswith(b"POST /v1/traces ")
        taken.extend(span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


async def test_a_run_sends_its_spans_to_a_collector(stage):
    async with (
        stage(faults=[{"on": "create", "do": "status", "code": 400, "match": {"nth": 2}}]) as it,
        collector() as (url, spans),
    ):
        it.job(limits={"unfinished": 1})
        report = await it.report(status=1, env={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        assert [span.name for span in spans] == ["run rehearsal", "2020-01", "2020-02", "2020-03"]
        run, *exports = spans
        assert {span.parent_span_id for span in exports} == {run.span_id}
        assert [span.status.code for span in spans] == [2, 0, 2, 0]
        attributes = {each.key: each.value.string_value for each in run.attributes}
        assert attributes["orchestrator.run_id"] == report["run_id"]
        assert TOKEN not in str(spans)
        assert all(span.start_time_unix_nano < span.end_time_unix_nano for span in (run, exports[0]))


async def test_a_collector_that_refuses_is_a_warning(stage):
    async with stage() as it, collector(400) as (url, _spans):
        it.job()
        ended = await it.run("run", "job.yaml", env={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        assert ended.status == 0
        assert "warning: the collector did not take the run's spans" in ended.people


async def test_a_collector_that_never_answers_holds_up_nobody_for_long(stage):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with stage() as it:
            it.job()
            env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
            ended = await it.run("run", "job.yaml", "--deadline", "10s", env=env)
            assert ended.status == 0
            assert "warning: the collector has not taken the run's spans within" in ended.people


@pytest.mark.parametrize("broken", ["opentelemetry/__init__.py", "opentelemetry/context/__init__.py"])
async def test_packages_that_can_not_be_imported_are_a_warning_that_says_why(stage, broken):
    async with stage() as it:
        it.job()
        for file in ("opentelemetry/__init__.py", "opentelemetry/sdk/__init__.py", broken):
            path = it.folder / "site" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("raise TypeError('Descriptors cannot\\nbe created directly')" if file == broken else "")
        env = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "PYTHONPATH": os.pathsep.join([str(it.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        ended = await it.run("run", "job.yaml", env=env)
        assert ended.status == 0, str(ended)
        why = "the installed OpenTelemetry can't be imported (TypeError: Descriptors cannot be created directly)"
        assert f"warning: the run's spans could not be sent: {why} hint: install it anew" in ended.people
        assert "Traceback" not in ended.err


async def test_metrics_go_where_the_job_or_the_command_line_says(stage):
    async with stage() as it:
        (it.folder / "sub").mkdir()
        it.job(name="sub/job.yaml", metrics={"file": "a.prom"})
        assert (await it.run("run", "sub/job.yaml")).status == 0
        assert (await it.run("run", "sub/job.yaml", "--metrics", "b.prom")).status == 0
        first, second = ((it.folder / name).read_text() for name in ("sub/a.prom", "b.prom"))
        for text, stored in ((first, 3), (second, 0)):
            values = {
                (sample.name, sample.labels.get("state")): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            assert values["orchestrator_run_exports", "stored"] == stored
            assert values["orchestrator_run_exports", "skipped"] == 3 - stored


async def test_metrics_that_can_not_be_written_are_a_warning(stage):
    async with stage() as it:
        it.job()
        ended = await it.run("run", "job.yaml", "--metrics", "not/there.prom")
        assert ended.status == 0
        assert "warning: the metrics can't be written to not/there.prom" in ended.people
