"""Measures what the README claims, and writes RESULTS.md beside itself.

    python benchmarks/run.py [--rounds 3]

The simulated service runs in a process of its own; the sides of a comparison run in turn, and ratios are taken pair by
pair, so that a machine whose speed drifts does not favour one. Figures are of whole processes, start-up included.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
MB = 1_000_000
TOKEN = {"LOOP_API_TOKEN": "benchmark", "CI": "true"}

JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: month, from: 2025-01, to: 2025-01}}
polling: {{first: 0.3s, every: 0.3s, jitter: 0}}
output: {{to: ./out}}
"""

HUGE = """
version: 1
name: huge
api: {{token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: month, from: 2016-01, to: 2024-04}}
  team: [{teams}]
output: {{to: ./out}}
"""


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of a whole process that must succeed."""
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=os.environ | TOKEN)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
        seconds = time.perf_counter() - began
    if child.returncode != 0:
        sys.exit(f"{command} ended with {child.returncode}:\n{(folder / 'log').read_text()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit / MB


class Service:
    """`orchestrator simulate` in a process of its own."""

    def __init__(self, folder: Path, rows: int) -> None:
        scenario = folder / "scenario.yaml"
        scenario.write_text(f"rows: {rows}\nrow_bytes: 1000\nduration: 0.2\n")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "simulate", "--port", "0", "--scenario", str(scenario)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def ours(url: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(JOB.format(url=url))
        return measured([sys.executable, "-m", "orchestrator", "run", "job.yaml", "--quiet"], folder)


def theirs(url: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        return measured([sys.executable, str(HERE / "whole_file_client.py"), url, "out.json"], Path(name))


def planned() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(HUGE.format(teams=", ".join(f"id-{n}" for n in range(1000))))
        return measured([sys.executable, "-m", "orchestrator", "plan", "job.yaml"], folder)


def spread(values: list[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} | {statistics.median(values):.{digits}f} | {max(values):.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    lines = [
        "# Results",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} processors, {rounds} rounds, made by `make bench`.",
        "Read the ratios, not the absolute times.",
        "",
        "| figure | min | median | max |",
        "| --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for megabytes in (16, 128, 1000):
            with Service(folder, rows=megabytes * 1000) as service:
                pairs = [(ours(service.url), theirs(service.url)) for _ in range(rounds)]
            lines += [
                f"| {megabytes} MB file: peak memory of `run`, MB | {spread([a[1] for a, _ in pairs], 0)} |",
                f"| {megabytes} MB file: peak memory of the whole-file client, MB | {spread([b[1] for _, b in pairs], 0)} |",
                f"| {megabytes} MB file: wall time of `run` ÷ whole-file client | {spread([a[0] / b[0] for a, b in pairs])} |",
            ]
    plans = [planned() for _ in range(rounds)]
    lines += [
        f"| `plan` of 100,000 exports, seconds | {spread([p[0] for p in plans])} |",
        f"| `plan` of 100,000 exports, peak memory, MB | {spread([p[1] for p in plans], 0)} |",
        "",
        "`run` fetches, checks every row, hashes, fsyncs, renames, and keeps a journal and a manifest.",
        "`whole_file_client.py` does what the vendor's documentation suggests: it reads the body whole, `json.loads`, writes.",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


main()
