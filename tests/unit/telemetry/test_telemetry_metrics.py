"""The metrics file, read by the parser of Prometheus' own client."""

import os
import stat

import pytest
from prometheus_client.parser import text_string_to_metric_families
from run_records import record

from orchestrator.telemetry import metrics


def samples(text):
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {
        (sample.name, *sorted(value for name, value in sample.labels.items() if name not in ("job_name", "version"))): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def test_each_figure_of_a_run_is_a_gauge():
    found = samples(metrics.render(record(), 0, "1.0"))
    assert found[("orchestrator_run_duration_seconds",)] == 60.25
    assert found[("orchestrator_run_exports", "stored")] == 1
    assert found[("orchestrator_run_exports", "pending")] == 1
    assert found[("orchestrator_run_requests", "create")] == 2
    assert found[("orchestrator_run_requests", "poll")] == 5
    assert found[("orchestrator_run_throttled",)] == 1
    assert found[("orchestrator_run_request_errors",)] == 4
    assert found[("orchestrator_run_stored_bytes",)] == 1234
    assert found[("orchestrator_run_stored_rows",)] == 7
    assert found[("orchestrator_run_outcome", "succeeded")] == 1
    assert found[("orchestrator_run_outcome", "failed")] == 0
    assert found[("orchestrator_run_exit_code",)] == 0
    assert found[("orchestrator_last_success_timestamp_seconds",)] == 1767225660.25
    assert found[("orchestrator_run_info", "20260101T000000Z-abcdef", "succeeded")] == 1


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "a\\n"])
def test_labels_are_escaped(value):
    families = text_string_to_metric_families(metrics.render(record(run_id=value), 0, "1.0"))
    info = next(family for family in families if family.name == "orchestrator_run_info")
    assert info.samples[0].labels["run_id"] == value


@pytest.mark.parametrize(
    "later", [{"outcome": "failed"}, {"command": "submit"}, {"outcome": "refused", "run_id": None}]
)
def test_the_last_success_outlives_what_comes_after_it(tmp_path, later):
    file = tmp_path / "loop.prom"
    metrics.keep(file, record(), 0, "1.0")
    metrics.keep(file, record(finished_at="2026-02-01T00:00:00.000Z", **later), 1, "1.0")
    found = samples(file.read_text())
    assert found[("orchestrator_last_success_timestamp_seconds",)] == 1767225660.25
    assert found[("orchestrator_run_finished_timestamp_seconds",)] == 1769904000
    metrics.keep(file, record(job="other", **{"outcome": "failed", **later}), 1, "1.0")
    assert ("orchestrator_last_success_timestamp_seconds",) not in samples(file.read_text())


def test_a_first_run_that_fails_claims_no_success():
    assert "last_success" not in metrics.render(record(outcome="failed"), 1, "1.0")


def test_the_file_appears_whole_and_readable_for_the_collector(tmp_path, monkeypatch):
    file = tmp_path / "loop.prom"
    before = os.umask(0o022)
    try:
        metrics.keep(file, record(), 0, "1.0")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    old = file.read_text()

    def refuse(*_):
        raise OSError(28, "no room")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="no room"):
        metrics.keep(file, record(run_id="new"), 0, "1.0")
    assert file.read_text() == old
    assert [path.name for path in tmp_path.iterdir()] == ["loop.prom"]
