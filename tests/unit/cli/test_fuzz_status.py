"""`status` of a journal whose last report another version, or nobody, has written."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from cli_program import JOB, program
from fuzzing import costly, json_values, spoilt
from hypothesis import example, given

from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state_dir import prepare_state

REPORT = {
    "run_id": "r", "outcome": "parked", "reason": "the deadline came", "started_at": "2024-01-01T00:00:00Z",
    "finished_at": "2024-01-01T00:00:00Z", "counts": {"planned": 1}, "exports": [],
}  # fmt: skip
CLOCK = SimpleNamespace(now=lambda: 1_700_000_000.0)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    path = tmp_path_factory.mktemp("status") / "job.yaml"
    path.write_text(JOB)
    prepare_state(path.parent / "out" / ".orchestrator")
    return path


@costly
@given(spoilt(REPORT, json_values))
@example({**REPORT, "outcome": "an outcome of a later version"})
@example({"outcome": []})
def test_a_report_with_odd_values_does_not_hinder_status(job, report):
    async def write():
        journal = SqliteJournal(job.parent / "out" / ".orchestrator", CLOCK)
        await journal.open()
        await journal.finish_run(report)
        await journal.close()

    asyncio.run(write())
    told, shown = program("status", str(job), "--json"), program("status", str(job))
    assert told.status == shown.status == 0, shown.err
    assert json.loads(told.out)["counts"]["planned"] == 4
