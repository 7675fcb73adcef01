"""What a whole process costs: wall clock, processor, memory. And how figures of several rounds are told."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
METER = Path(__file__).resolve().with_name("meter.py")
ORCHESTRATOR = (sys.executable, "-m", "orchestrator")
# make forbids byte code to be written, for tidiness; who uses the program has it, and starts twice as fast.
ENVIRONMENT = {"LOOP_API_TOKEN": "benchmark", "CI": "true", "PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a process that succeeded, start-up included."""

    seconds: float
    cpu: float
    """User and system seconds, those of children that it waited for included."""
    peak_mb: float
    """Resident memory of the biggest process among it and its children."""
    tree_mb: float
    """Resident memory of it and its children together, as sampled; equal to `peak_mb` where that can't be looked at."""
    output: str


def measured(
    command: Sequence[str | Path],
    folder: Path,
    *,
    env: Mapping[str, str] = ENVIRONMENT,
    tree: bool = False,
    stderr: int | None = None,
) -> Cost:
    """Runs `command` in `folder` and ends the benchmark if it fails. `tree` looks at the memory of children too, `stderr` is an
    open file that takes its words for people instead of `err.log`.
    """
    out, err, result = folder / "out.log", folder / "err.log", folder / "cost.json"
    meter = [sys.executable, "-S", "-E", str(METER), str(result), str(int(tree))]
    with out.open("wb") as stdout, err.open("wb") as log:
        subprocess.run(
            [*meter, *map(str, command)],
            cwd=folder, stdout=stdout, stderr=log if stderr is None else stderr, env=os.environ | env, check=True,
        )  # fmt: skip
    cost = json.loads(result.read_text(encoding="ascii"))
    if cost["status"] != 0:
        sys.exit(f"{command} ended with {cost['status']}:\n{err.read_text()[-4000:]}")
    output = out.read_text(encoding="utf-8")
    return Cost(cost["seconds"], cost["cpu"], cost["peak"] / MB, cost["tree"] / MB, output)


def run_job(folder: Path, job: str, *, tree: bool = False) -> Cost:
    """`orchestrator run` of a job file's text, quietly; its output is the report."""
    path = folder / "job.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != job:
        path.write_text(job, encoding="utf-8")
    return measured([*ORCHESTRATOR, "run", "job.yaml", "--json", "--quiet", "--no-progress"], folder, tree=tree)


def scratch(where: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder that goes away with its block, in `where` or where temporary files usually lie."""
    return tempfile.TemporaryDirectory(prefix="bench-", dir=where, ignore_cleanup_errors=True)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`min | median | max`, three cells of a table."""
    return " | ".join(f"{f(values):,.{digits}f}" for f in (min, statistics.median, max))


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def header(*cells: str) -> list[str]:
    return [row(*cells), row(*("---" for _ in cells))]


def say(text: str) -> None:
    """Progress, for whoever waits; results go to stdout."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
