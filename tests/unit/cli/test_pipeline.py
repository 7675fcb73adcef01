"""What the command line writes for a pipeline's runner."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.cli import pipeline


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
        "error": None,
        "counts": {"planned": 0, "stored": 0, "skipped": 0, "failed": 0, "pending": 0},
        "api": {"posts": 0, "polls": 0, "throttled": 0, "errors": 0, "possible_duplicates": 0},
        "exports": [],
    }
    runner.tell_run(report, 0, Path("job.yaml"), manifest)
    assert b"caf\xe9/manifest.json" in told.read_bytes()
