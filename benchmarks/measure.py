"""What a whole process costs: wall clock, processor, memory. And how figures of several rounds are told."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_SAMPLE_EVERY = 0.02

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
    command: Sequence[str | Path], folder: Path, *, env: Mapping[str, str] = ENVIRONMENT, tree: bool = False
) -> Cost:
    """Runs `command` in `folder` and ends the benchmark if it fails. `tree` looks at the memory of children too."""
    out, err = folder / "out.log", folder / "err.log"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        began = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in command], cwd=folder, stdout=stdout, stderr=stderr, env=os.environ | env
        )
        sampler = _Sampler(child.pid) if tree else None
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    peak = usage.ru_maxrss * _RSS_UNIT / MB
    together = sampler.stop() if sampler is not None else 0.0
    if child.returncode != 0:
        sys.exit(f"{command} ended with {child.returncode}:\n{err.read_text()[-4000:]}")
    output = out.read_text(encoding="utf-8")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak, max(peak, together), output)


class _Sampler:
    """Looks now and then how much memory a process and its descendants hold together (Linux only)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY):
            self._most = max(self._most, sum(_resident(pid) for pid in _family(self._pid)) / MB)

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._most


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                family += map(int, children.read_text().split())
            except OSError:  # it has just ended
                continue
    return family


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:  # it has just ended, or there is no such place on this system
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def run_job(folder: Path, job: str, *, tree: bool = False) -> Cost:
    """`orchestrator run` of a job file's text, quietly; its output is the report."""
    path = folder / "job.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != job:
        path.write_text(job, encoding="utf-8")
    return measured([*ORCHESTRATOR, "run", "job.yaml", "--json", "--quiet", "--no-progress"], folder, tree=tree)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes away with its block."""
    return tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)


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
