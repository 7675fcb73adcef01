"""What many exports, big files and nothing at all cost: processor, memory, start-up.

    python -m benchmarks.scale                        # 400 and 10,000 exports, files up to 1 GB, three rounds
    python -m benchmarks.scale --quick --rounds 1     # 3,000 exports, files up to 128 MB
    python -m benchmarks.scale --only exports

All figures are of whole processes, start-up included, unless it is said that the start-up is taken off. The simulated
service runs in another process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import ORCHESTRATOR, Cost, header, measured, row, run_job, say, scratch, spread
from benchmarks.service import lives, service, stats

HERE = Path(__file__).resolve().parent
JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: day, from: 2024-01-01, to: 2024-04-09}}
  team: [{teams}]
limits: {{unfinished: 100, requests_per_second: 1000, downloads: 8}}
output: {{to: ./out}}
"""
DAYS = 100
MANY = {"duration": 1.0, "rows": 33}
"""Files of 20 KB, which take a second."""
HUGE = """
version: 1
name: huge
api: {{token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: month, from: 2016-01, to: 2024-04}}
  team: [{teams}]
output: {{to: ./out}}
"""
ONE = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: month, from: 2025-01, to: 2025-01}}
polling: {{first: 0.3s, every: 0.3s}}
output: {{to: ./out}}
"""

Figures = dict[str, list[float]]
"""Each figure by its name, a value a round."""


def teams(count: int) -> str:
    return ", ".join(f"id-{n}" for n in range(count))


def exports(figures: Figures, count: int, kept: contextlib.ExitStack) -> None:
    """A run of so many exports, and another one that finds nothing to do.

    Its files go away with `kept`, after all runs: for minutes ext4 looks for places for new files past all that were just
    removed, and the files of one run cost the next one a tenth of its CPU.
    """
    folder = Path(kept.enter_context(scratch()))
    with service(folder, MANY) as url:
        first = JOB.format(url=url, teams=teams(count // DAYS))
        cost = run_job(folder, first, tree=True)
        told = stats(url)
        report = json.loads(cost.output)
        manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
        assert report["counts"]["stored"] == count == len(manifest["exports"]), report["counts"]
        again = run_job(folder, first)
        assert json.loads(again.output)["counts"]["skipped"] == count
    idle = nothing_at_all()
    polls = statistics.fmean(life.polls for life in lives(told, MANY))
    _note(figures, f"{count:,} exports: CPU an export, start-up taken off, ms", (cost.cpu - idle.cpu) / count * 1000)
    _note(figures, f"{count:,} exports: CPU an export, whole process, ms", cost.cpu / count * 1000)
    _note(figures, f"{count:,} exports: polls an export", polls)
    _note(figures, f"{count:,} exports: peak memory, MB", cost.peak_mb)
    _note(figures, f"{count:,} exports: peak memory with child processes, MB", cost.tree_mb)
    _note(figures, f"{count:,} exports: seconds", cost.seconds)
    _note(figures, f"`run` with nothing to do, {count:,} stored exports: seconds", again.seconds)
    _note(figures, f"`run` with nothing to do, {count:,} stored exports: peak memory, MB", again.peak_mb)


def nothing_at_all() -> Cost:
    """A run that finds its only export stored: what start-up and end cost by themselves."""
    with scratch() as name, service(Path(name), {"duration": 0.1, "rows": 1}) as url:
        run_job(Path(name), ONE.format(url=url))
        return run_job(Path(name), ONE.format(url=url))


def plans(figures: Figures) -> None:
    with scratch() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(HUGE.format(teams=teams(1000)), encoding="utf-8")
        cost = measured([*ORCHESTRATOR, "plan", "job.yaml"], folder)
    _note(figures, "`plan` of 100,000 exports: seconds", cost.seconds)
    _note(figures, "`plan` of 100,000 exports: peak memory, MB", cost.peak_mb)


def start_up(figures: Figures) -> None:
    for _ in range(5):
        with scratch() as name:
            _note(figures, "`--help`: seconds", measured([*ORCHESTRATOR, "--help"], Path(name)).seconds)


def file_size(figures: Figures, megabytes: int) -> None:
    """One big file, beside what the vendor's documentation suggests."""
    scenario: dict[str, Any] = {"rows": megabytes * 1000, "row_bytes": 1000, "duration": 0.2}
    with scratch() as name, service(Path(name), scenario) as url:
        ours = run_job(Path(name), ONE.format(url=url), tree=True)
    with scratch() as name, service(Path(name), scenario) as url:
        whole = measured([ORCHESTRATOR[0], HERE / "whole_file_client.py", url, "out.json"], Path(name))
    _note(figures, f"{megabytes:,} MB file: peak memory of `run`, MB", ours.peak_mb)
    _note(figures, f"{megabytes:,} MB file: the same with child processes, MB", ours.tree_mb)
    _note(figures, f"{megabytes:,} MB file: peak memory of the whole-file client, MB", whole.peak_mb)
    _note(figures, f"{megabytes:,} MB file: wall time of `run` ÷ whole-file client", ours.seconds / whole.seconds)


def _note(figures: Figures, name: str, value: float) -> None:
    figures[name].append(value)
    say(f"{name}: {value:.2f}")


def table(figures: Figures) -> list[str]:
    """The results as lines of Markdown."""
    lines = header("figure", "min", "median", "max")
    for name, values in figures.items():
        lines.append(row(name, spread(values, 0 if name.endswith("memory, MB") else 2)))
    return [
        *lines,
        "",
        "The whole-file client (`whole_file_client.py`) does what the vendor's documentation suggests: it reads the body whole,",
        "`json.loads`, writes. `run` checks every row, hashes, fsyncs, renames, and keeps a journal and a manifest.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="3,000 exports instead of 10,000, no file of 1 GB")
    parser.add_argument("--only", choices=["exports", "plan", "files"])
    args = parser.parse_args()
    counts = (400, 3_000) if args.quick else (400, 10_000)
    sizes = (16, 128) if args.quick else (16, 128, 1000)
    with contextlib.ExitStack() as kept:
        works: dict[str, list[Callable[[Figures], None]]] = {
            "exports": [partial(exports, count=count, kept=kept) for count in counts],
            "plan": [plans, start_up],
            "files": [partial(file_size, megabytes=size) for size in sizes],
        }
        figures: Figures = defaultdict(list)
        for _ in range(args.rounds):
            for kind, parts in works.items():
                if args.only in (None, kind):
                    for part in parts:
                        part(figures)
    print("\n".join(table(figures)))


if __name__ == "__main__":
    main()
