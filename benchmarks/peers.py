"""The same small job done by others: the vendor's documented loop, that loop in threads, and Airbyte's Python CDK.

    python -m benchmarks.peers                        # 16 exports of 3 s, at most 8 at a time, three rounds
    python -m benchmarks.peers --exports 12 --rounds 1

The peers come from PyPI into a virtual environment of their own (`benchmarks/.venv`, made once). Every side runs as a
whole process against a simulated service of its own with the same durations, one side after the other. The makespan is
measured at the service, from the first request to the last byte; the whole process has start-up and end in it as well.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import venv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, header, measured, row, run_job, say, scratch, spread
from benchmarks.schedule import greedy
from benchmarks.service import lives, service, stats

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PACKAGES = ("airbyte-cdk==7.39.1", "requests==2.34.2")
FIRST_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
CAP = 8
SECONDS = 3.0
SCENARIO: dict[str, Any] = {"duration": SECONDS, "rows": 33}  # files of 20 KB
JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: day, from: {first}, to: {last}}}
limits: {limits}
output: {{to: ./out}}
"""


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    settings: str
    program: tuple[str, ...] = ()
    """What a peer is started with: a file of peer_programs, and its arguments behind URL and windows."""
    limits: str = ""
    """Of our own side."""

    def run(self, folder: Path, url: str, exports: int) -> Cost:
        days = [FIRST_DAY + dt.timedelta(days=n) for n in range(exports)]
        if not self.program:
            first, last = (day.date() for day in (days[0], days[-1]))
            return run_job(folder, JOB.format(url=url, first=first, last=last, limits=self.limits))
        starts = folder / "starts"
        starts.write_text("\n".join(str(int(day.timestamp())) for day in days), encoding="ascii")
        name, *arguments = self.program
        return measured([VENV / "bin" / "python", HERE / "peer_programs" / name, url, starts, *arguments], folder)


SIDES = (
    Side(
        "orchestrator run",
        f"`limits: {{unfinished: {CAP}, requests_per_second: 20}}`, all else as it comes",
        limits=f"{{unfinished: {CAP}, requests_per_second: 20}}",
    ),
    Side("orchestrator run, as it comes", "`limits: auto`", limits="auto"),
    Side("vendor's loop", "one export after the other, 10 s before each poll", ("vendor_loop.py", "1")),
    Side("vendor's loop, threads", f"the same in a pool of {CAP} threads", ("vendor_loop.py", str(CAP))),
    Side(
        "Airbyte CDK, equal caps",
        f"`max_concurrent_async_job_count: {CAP}`, `concurrency_level: {CAP}`",
        ("airbyte_source.py", str(CAP)),
    ),
    Side("Airbyte CDK, as it comes", "neither is set (one job at a time)", ("airbyte_source.py",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    makespan: float
    process: float
    cpu: float
    peak_mb: float
    polls: float
    delay: float


def play(side: Side, exports: int) -> Outcome:
    with scratch() as name, service(Path(name), SCENARIO) as url:
        cost = side.run(Path(name), url, exports)
        told = stats(url)
    seen = lives(told, SCENARIO)
    assert len(seen) == exports, f"{side.name} fetched {len(seen)} of {exports} files"
    return Outcome(
        makespan=max(life.fetched for life in seen),
        process=cost.seconds,
        cpu=cost.cpu,
        peak_mb=cost.peak_mb,
        polls=sum(life.polls for life in seen) / exports,
        delay=statistics.fmean(life.noticed - life.finished for life in seen),
    )


def install() -> None:
    """Makes the peers' environment if it is not there, or was made for other versions."""
    mark = VENV / "installed"
    if mark.exists() and mark.read_text(encoding="utf-8").split() == list(PACKAGES):
        return
    say("installing the peers (once) …")
    venv.create(VENV, with_pip=True, clear=True)
    with scratch() as name:
        pip = (VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        measured([*pip, *PACKAGES], Path(name), env={})
    mark.write_text("\n".join(PACKAGES), encoding="utf-8")


def table(played: dict[str, list[Outcome]], exports: int) -> list[str]:
    """The results as lines of Markdown."""
    floor = greedy([SECONDS] * exports, CAP)
    lines = [
        (
            f"{exports} exports of {SECONDS:g} s and 20 KB, at most {CAP} at a time: the floor is {floor:.1f} s. "
            f"Versions: {', '.join(PACKAGES)}."
        ),
        "",
        *header(
            "side", "settings", "makespan, s: min", "median", "max", "÷ floor", "÷ ours: min", "median", "max",
            "whole process, s", "polls an export", "delay to notice, s", "CPU, s", "peak memory, MB",
        ),
    ]  # fmt: skip
    ours = played[SIDES[0].name]
    for side in SIDES:
        outcomes = played[side.name]
        ratios = [other.makespan / own.makespan for other, own in zip(outcomes, ours, strict=True)]
        lines.append(
            row(
                side.name,
                side.settings,
                spread([o.makespan for o in outcomes]),
                f"{statistics.median(o.makespan for o in outcomes) / floor:.2f}",
                spread(ratios),
                f"{statistics.median(o.process for o in outcomes):.1f}",
                f"{statistics.median(o.polls for o in outcomes):.2f}",
                f"{statistics.median(o.delay for o in outcomes):.2f}",
                f"{statistics.median(o.cpu for o in outcomes):.1f}",
                f"{max(o.peak_mb for o in outcomes):.0f}",
            )
        )
    return [*lines, "", *_NOTES]


_NOTES = (
    "The loops store bytes as they come. The CDK parses every row and writes it as an Airbyte message to a pipe or file; it has",
    "no stored files of its own. `run` checks every row, hashes, fsyncs, and keeps a journal and a manifest. The CDK looks at its",
    "jobs every 5 s and starts the next ones only after another such pause; neither figure is a setting of the manifest. No rate",
    "limit is in force, and the peers know none; `run` keeps to the requests a second that it is given. Exports of 3 s are hard on",
    "pauses of 5 and 10 s: with exports of minutes, sides with equal caps would lie some per cent apart, not a multiple.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exports", type=int, default=16)
    parser.add_argument("--only", nargs="+", metavar="SIDE", choices=[side.name for side in SIDES], help="for a look")
    args = parser.parse_args()
    install()
    played: dict[str, list[Outcome]] = defaultdict(list)
    for _ in range(args.rounds):
        for side in SIDES:
            if args.only and side.name not in args.only:
                continue
            outcome = play(side, args.exports)
            played[side.name].append(outcome)
            say(f"{side.name}: {outcome}")
    if not args.only:
        print("\n".join(table(played, args.exports)))


if __name__ == "__main__":
    main()
