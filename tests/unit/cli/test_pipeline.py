"""What the command line writes for a pipeline's runner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.cli import pipeline
from orchestrator.errors import OrchestratorError


def test_a_folder_whose_name_is_not_utf_8_is_told_byte_for_byte(tmp_path):
    told = tmp_path / "outputs"
    runner = pipeline.of("github", {"GITHUB_OUTPUT": str(told)})
    manifest = tmp_path / os.fsdecode(b"caf\xe9") / "manifest.json"
    manifest.parent.mkdir()
    manifest.touch()
    report = {
        "outcome": "succeeded",
        "run_id": "r",
        "job": "a",
        "reason": None,
        "resume_after": None,
        "error": None,
        "counts": {"planned": 0, "stored": 0, "skipped": 0, "failed": 0, "pending": 0},
        "api": {"posts": 0, "polls": 0, "throttled": 0, "errors": 0, "possible_duplicates": 0},
        "exports": [],
    }
    runner.tell_run(report, 0, Path("job.yaml"), manifest)
    assert b"caf\xe9/manifest.json" in told.read_bytes()


def told_of(*arguments, capsys, **environ):
    error = OrchestratorError("No such option '--dedline'.", code="usage", hint="`run --help` lists them")
    pipeline.tell_of_usage(error, arguments, {"GITHUB_ACTIONS": "true", **environ})
    return capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("run", "j.yaml", "--dedline", "5m"), ("rnu",), (), ("plan", "--ci", "odd")])
def test_a_command_line_that_is_wrong_is_annotated(capsys, arguments):
    assert told_of(*arguments, capsys=capsys).startswith("::error title=usage::No such option '--dedline'.%0Ahint: ")


@pytest.mark.parametrize("arguments", [("--ci", "none"), ("--ci=none",), ("--log-format", "json")])
def test_it_is_not_where_nobody_wants_annotations(capsys, arguments):
    assert told_of("run", "j.yaml", *arguments, capsys=capsys) == ""
    assert told_of("run", capsys=capsys, ORCHESTRATOR_RUN_CI="none") == ""
    assert told_of("run", capsys=capsys, GITHUB_ACTIONS="") == ""


def test_only_a_run_leaves_outputs_of_a_wrong_command_line(tmp_path, capsys):
    file = tmp_path / "outputs"
    told_of("plan", capsys=capsys, GITHUB_OUTPUT=str(file))
    assert not file.exists()
    told_of("collect", capsys=capsys, GITHUB_OUTPUT=str(file))
    assert "\n2\n" in file.read_text()
