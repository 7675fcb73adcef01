"""Files that options name to be written: never one that the job lives by."""

import json
import os
from types import SimpleNamespace

import pytest
from cli_program import JOB, program

from orchestrator.cli import output_file
from orchestrator.errors import JobError


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    (tmp_path / "out" / ".orchestrator").mkdir(parents=True)
    os.link(path, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path / "out")
    return path


KEPT = [
    ("job.yaml", "the job file"),
    ("out/../job.yaml", "the job file"),
    ("hard", "the job file"),
    ("soft", "the job file"),
    ("out/manifest.json", "the manifest"),
    ("folder/manifest.json", "the manifest"),
    ("out/.orchestrator/journal.db", "what the state folder keeps"),
    ("out/2023-01/support.json", "an export of this job"),
    ("folder/2023-01/sales.json", "an export of this job"),
]


@pytest.mark.parametrize(("file", "lost"), KEPT)
def test_a_plan_is_not_frozen_over_what_the_job_needs(job, file, lost):
    target = job.parent / file
    before = target.read_bytes() if target.exists() else None
    # The selection leaves out most of the job, and its exports are the job's all the same.
    ended = program("plan", str(job), "--select", "team=support", "--to", "2023-01", "--out", str(target))
    assert ended.status == 2, ended.err
    said = " ".join(ended.err.split())
    assert f"this would be written over {lost} [usage]" in said
    assert "name another file" in said
    assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize(("file", "lost"), KEPT)
@pytest.mark.parametrize("by_key", [False, True])
def test_metrics_are_not_written_over_what_the_job_needs(job, file, lost, by_key):
    named = ("--set", f"metrics.file={file}") if by_key else ("--metrics", str(job.parent / file))
    ended = program("run", str(job), *named, environ={"NO_SUCH_TOKEN": "t"})
    assert ended.status == 2, ended.err
    assert f"this would be written over {lost} [usage]" in " ".join(ended.err.split())
    assert job.read_text() == JOB


def test_nor_over_the_frozen_plan_that_is_run(job):
    plan = job.with_name("plan.json")
    assert program("plan", str(job), "--out", str(plan)).status == 0
    ended = program("run", str(plan), "--metrics", str(plan), environ={"NO_SUCH_TOKEN": "t"})
    assert ended.status == 2, ended.err
    assert "plan.json, which is read [usage]" in " ".join(ended.err.split())


@pytest.mark.parametrize("file", ["plan.json", "out/plan.json", "out/2023-01/other.json", "elsewhere/manifest.json"])
def test_all_other_files_are_the_user_s_own(job, file):
    target = job.parent / file
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):  # a plan that is there is replaced
        assert program("plan", str(job), "--out", str(target)).status == 0
    assert json.loads(target.read_text())["schema"] == "orchestrator.plan/1"


def test_what_only_the_manifest_knows_is_kept_too_and_a_manifest_that_is_none_hides_nothing_else(tmp_path):
    stored = {
        "key": "k", "path": "gone/2022-01.json", "bytes": 1, "sha256": "", "rows": None, "partial": False,
        "impersonate": None, "coordinates": {}, "request": {}, "window": {"start": 0, "end": 1},
        "exported_at": "2026-01-01T00:00:00Z", "stored_at": "2026-01-01T00:00:00Z",
        "parts": [{"request": {}, "report_id": "r", "path": "gone/2022-01.part2.json"}],
    }  # fmt: skip
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schema": "orchestrator.manifest/1", "job": "j", "exports": [stored]}))
    task = SimpleNamespace(
        file=tmp_path / "job.yaml",
        root=tmp_path,
        state=tmp_path / "state",
        exports=[SimpleNamespace(path="a.json")],
        others=(),
    )

    def refused(name):
        try:
            output_file.refuse_loss("--html", tmp_path / name, str(task.file), task)
        except JobError:
            return True
        return False

    names = ("gone/2022-01.json", "gone/2022-01.part2.json", "a.json", "state/journal.db", "gone/r.html")
    assert [refused(name) for name in names] == [True, True, True, True, False]
    manifest.write_text("{")
    assert [refused(name) for name in names] == [False, False, True, True, False]
