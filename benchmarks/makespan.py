"""How long a whole job takes, against the floor that the same durations and limits allow.

    python -m benchmarks.makespan                     # every case, three rounds
    python -m benchmarks.makespan --list              # what cases there are
    python -m benchmarks.makespan --only short --rounds 1
    python -m benchmarks.makespan --only strict-100 --polling "policy: backoff, first: 0.5s, every: 0.5s"

The simulated service runs in a process of its own, and the makespan is measured there: from the arrival of the first
request to create an export until the last byte of the last file was handed to the network (`/_sim/stats`). The start-up
of `orchestrator run` and its own end are not in it; the column "whole process" has them.

The floor is a schedule by somebody who knows every duration and notices at once (`schedule.py`): without a rate that
binds, list scheduling of the same durations in the order of creation, where a place is held for the duration and the
latency of one answer; for the strict service, the same with a POST and one GET for each export out of its token bucket.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

from benchmarks.measure import header, row, run_job, say, scratch, spread
from benchmarks.schedule import greedy, greedy_at_a_rate, one_a_turn
from benchmarks.service import Life, lives, service, stats
from benchmarks.timeline import timeline

POLLING = "policy: adaptive"
FREE = "{{unfinished: {cap}, requests_per_second: 1000, downloads: 8}}"
JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: day, from: 2020-01-01, to: {to}}}
limits: {limits}
polling: {{{polling}}}
output: {{to: ./out}}
"""
STRICT = {"rate_limit": {"per_second": 5, "burst": 5}, "max_unfinished": 4}
TOLD = "{unfinished: 4, requests_per_second: 5}"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    about: str
    exports: int
    duration: float | dict[str, float]
    cap: int = 20
    latency: float = 0.0
    strict: bool = False
    limits: str = ""
    quick: bool = True
    """Part of the quick size."""

    def scenario(self, seed: int) -> dict[str, Any]:
        limits = STRICT if self.strict else {}
        return {"seed": seed, "duration": self.duration, "latency": self.latency, "rows": 10, **limits}

    def job(self, url: str, polling: str) -> str:
        last = dt.date(2020, 1, 1) + dt.timedelta(days=self.exports - 1)
        limits = self.limits or FREE.format(cap=self.cap)
        return JOB.format(url=url, to=last, limits=limits, polling=polling)

    def floor(self, durations: Sequence[float]) -> float:
        if self.strict:
            return greedy_at_a_rate(durations, self.cap, per_second=5, burst=5)
        return greedy(durations, self.cap, self.latency)

    def evenly(self, durations: Sequence[float]) -> float:
        """The makespan of who knows the strict service and the distribution, and spreads requests evenly."""
        normal = NormalDist(math.log(_BRISK["median"]), _BRISK["sigma"])
        return one_a_turn(durations, self.cap, 5, lambda age: 1 - normal.cdf(math.log(age)) if age > 0 else 1.0)


_WIDE = {"median": 1.5, "sigma": 0.8}
_BRISK = {"median": 1.0, "sigma": 0.5}
CASES = (
    Case("short", "400 of 0.37 s, cap 20", 400, 0.37),
    Case("medium", "400 of 1.53 s, cap 20", 400, 1.53),
    Case("short-latency", "400 of 0.37 s, cap 20, answers take 0.1 s", 400, 0.37, latency=0.1),
    Case("medium-latency", "400 of 1.53 s, cap 20, answers take 0.1 s", 400, 1.53, latency=0.1, quick=False),
    Case("wide", "400 log-normal (median 1.5 s, sigma 0.8), cap 20", 400, _WIDE),
    Case("wide-latency", "the same, answers take 0.1 s", 400, _WIDE, latency=0.1, quick=False),
    Case("medium-5", "100 of 1.53 s, cap 5", 100, 1.53, cap=5, quick=False),
    Case("medium-60", "1,200 of 1.53 s, cap 60", 1200, 1.53, cap=60, quick=False),
    Case("strict-100", "strict service, 100, limits not told", 100, _BRISK, 4, strict=True, limits="auto"),
    Case("strict-100-told", "strict service, 100, limits told", 100, _BRISK, 4, strict=True, limits=TOLD),
    Case("strict-300", "strict service, 300, limits not told", 300, _BRISK, 4, strict=True, limits="auto", quick=False),
    Case("strict-300-told", "strict service, 300, limits told", 300, _BRISK, 4, strict=True, limits=TOLD, quick=False),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one case."""

    makespan: float
    floor: float
    process: float
    polls: float
    delay: float
    refused: float
    """The share of 429 among all answers of the API host."""
    refused_later: float
    """The same of what came after the first minute."""
    seen: list[Life] = field(repr=False)

    @property
    def ratio(self) -> float:
        return self.makespan / self.floor


def play(case: Case, seed: int, polling: str) -> Outcome:
    """One run against a service of its own. Equal seeds are dealt equal durations."""
    with scratch() as name, service(Path(name), case.scenario(seed)) as url:
        cost = run_job(Path(name), case.job(url, polling))
        told = stats(url)
    report = json.loads(cost.output)
    seen = lives(told, case.scenario(seed))
    assert report["counts"]["stored"] == case.exports == len(seen), report["counts"]
    began = min(post["at"] for post in told["posts"])
    asked = [(entry["at"] - began, entry["status"]) for entry in [*told["posts"], *told["polls"]]]
    return Outcome(
        makespan=max(life.fetched for life in seen),
        floor=case.floor([life.duration for life in seen]),
        process=cost.seconds,
        polls=sum(life.polls for life in seen) / len(seen),
        delay=statistics.fmean(life.noticed - life.finished for life in seen),
        refused=_share([status for _, status in asked]),
        refused_later=_share([status for at, status in asked if at > 60]),
        seen=seen,
    )


def _share(statuses: Sequence[int | None]) -> float:
    return statuses.count(429) / len(statuses) if statuses else 0.0


def table(played: dict[str, list[Outcome]]) -> list[str]:
    """The results as lines of Markdown."""
    lines = header(
        "case", "makespan ÷ floor: min", "median", "max", "floor, s", "polls an export", "delay to notice, s",
        "429 of all", "429 after 60 s", "whole process ÷ floor",
    )  # fmt: skip
    for case in CASES:
        if outcomes := played.get(case.name):
            lines.append(
                row(
                    case.about,
                    spread([o.ratio for o in outcomes], 3),
                    f"{statistics.median(o.floor for o in outcomes):.2f}",
                    f"{statistics.median(o.polls for o in outcomes):.2f}",
                    f"{statistics.median(o.delay for o in outcomes):.3f}",
                    f"{statistics.median(o.refused for o in outcomes):.1%}",
                    f"{statistics.median(o.refused_later for o in outcomes):.1%}",
                    f"{statistics.median(o.process / o.floor for o in outcomes):.3f}",
                )
            )
    pairs = [(case, name) for case in CASES if (name := f"{case.name}-told") in played and case.name in played]
    if pairs:
        lines += ["", *header("makespans", "min", "median", "max")]
        for case, name in pairs:
            both = list(zip(played[case.name], played[name], strict=True))
            named = f"{case.exports} exports, limits"
            lines.append(row(f"{named} not told ÷ told", spread([one.makespan / two.makespan for one, two in both], 3)))
            best = [case.evenly([life.duration for life in one.seen]) / one.floor for one, _ in both]
            lines.append(row(f"{named} and distribution known, requests spread evenly ÷ floor", spread(best, 3)))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument(
        "--kind", choices=["free", "strict"], help="cases where limits don't bind, or of the strict service"
    )
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[case.name for case in CASES])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--polling", default=POLLING, help="the job file's polling section")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--pictures", type=Path, help="folder for a timeline of each case's first round")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{case.name:16} {case.about}" for case in CASES))
        return
    cases = [case for case in CASES if (case.name in args.only if args.only else case.quick or not args.quick)]
    if args.kind:
        cases = [case for case in cases if case.strict == (args.kind == "strict")]
    played: dict[str, list[Outcome]] = defaultdict(list)
    for n in range(args.rounds):
        for case in cases:
            outcome = play(case, args.seed + n, args.polling)
            played[case.name].append(outcome)
            say(
                f"{case.name}: {outcome.makespan:.2f} s, {outcome.ratio:.3f} of the floor, {outcome.polls:.2f} polls "
                f"an export, noticed after {outcome.delay:.3f} s, {outcome.refused:.1%} refused "
                f"({outcome.refused_later:.1%} after a minute)"
            )
            if args.pictures and n == 0:
                chart = timeline(f"{case.about}: {outcome.ratio:.3f} × the floor", outcome.seen)
                (args.pictures / f"timeline-{case.name}.svg").write_text(str(chart), encoding="utf-8")
    print("\n".join(table(played)))


if __name__ == "__main__":
    main()
