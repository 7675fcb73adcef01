"""A run record as metrics in Prometheus' text format, for the textfile collector of node_exporter. Pure, but for `keep`.

All are gauges of one run: a run is too short to be scraped, so the file holds what the last one came to. The job's name is the
label `job_name`: `job` is the scraper's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from orchestrator.engine.result import Outcome

_LAST_SUCCESS = "orchestrator_last_success_timestamp_seconds"


def render(record: Mapping[str, Any], status: int, version: str, before: str = "") -> str:
    """The text of a metrics file. `status` is the run's exit status, `before` the file's old text: the last success stays in it."""
    job = record["job"] or ""
    lines: list[str] = []

    def gauge(name: str, about: str, *samples: tuple[Mapping[str, str], float]) -> None:
        lines.extend((f"# HELP {name} {about}", f"# TYPE {name} gauge"))
        lines.extend(f"{name}{_labels({'job_name': job} | dict(more))} {_number(value)}" for more, value in samples)

    began, ended = (datetime.fromisoformat(record[name]).timestamp() for name in ("started_at", "finished_at"))
    counts, api = record["counts"], record["api"]
    run = "orchestrator_run"
    gauge(
        f"{run}_info",
        "The last run; always 1.",
        ({"run_id": record["run_id"] or "", "outcome": record["outcome"], "version": version}, 1),
    )
    gauge(
        f"{run}_outcome",
        "How the last run ended: 1 for its outcome, 0 for the others.",
        *(({"outcome": outcome}, outcome == record["outcome"]) for outcome in get_args(Outcome)),
    )
    gauge(f"{run}_exit_code", "Exit status of the last run.", ({}, status))
    gauge(f"{run}_started_timestamp_seconds", "When the last run began.", ({}, began))
    gauge(f"{run}_finished_timestamp_seconds", "When the last run ended.", ({}, ended))
    gauge(f"{run}_duration_seconds", "How long the last run took.", ({}, ended - began))
    states = ("stored", "skipped", "failed", "pending")
    gauge(
        f"{run}_exports",
        "Exports of the last run by what became of them.",
        *(({"state": s}, counts[s]) for s in states),
    )
    kinds = (("create", "posts"), ("poll", "polls"))
    gauge(
        f"{run}_requests", "Requests of the last run to the API.", *(({"kind": kind}, api[key]) for kind, key in kinds)
    )
    gauge(f"{run}_throttled", "Answers 429 in the last run.", ({}, api["throttled"]))
    gauge(f"{run}_request_errors", "Requests of the last run that failed.", ({}, api["errors"]))
    gauge(f"{run}_stored_bytes", "Bytes that the last run stored.", ({}, record["bytes"]))
    gauge(f"{run}_stored_rows", "Rows in the files that the last run stored.", ({}, record["rows"]))
    gauge(
        "orchestrator_possible_duplicates",
        "Creations without a readable answer, in all runs of the job.",
        ({}, api["possible_duplicates"]),
    )
    # A `submit` that went well has only begun: `collect` tells when all is there.
    over = record["outcome"] == "succeeded" and record["command"] != "submit"
    success = ended if over else _last_success(before, job)
    if success is not None:
        gauge(_LAST_SUCCESS, "When a run of the job last succeeded.", ({}, success))
    return "\n".join(lines) + "\n"


def keep(path: Path, record: Mapping[str, Any], status: int, version: str) -> None:
    """Writes the metrics to `path`, all or nothing, readable for whoever the umask allows. Raises OSError."""
    try:
        before = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        before = ""
    # The collector reads names that end with `.prom`; this one it passes by.
    temp = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temp.write_text(render(record, status, version, before), encoding="utf-8")
        temp.replace(path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise


def _last_success(text: str, job: str) -> float | None:
    found = re.search(rf"^{_LAST_SUCCESS}{re.escape(_labels({'job_name': job}))} ([0-9.]+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
