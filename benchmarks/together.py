"""Runs of one account at one time, against one run that does all of it: how well they share its limits.

    python -m benchmarks.together                  # three rounds
    python -m benchmarks.together --rounds 1

The sides run in turn against a service of their own whose durations are drawn alike. Makespans are measured at the service, as
in `makespan.py`.
"""

from __future__ import annotations

import argparse
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.makespan import POLLING, STRICT, Case
from benchmarks.measure import header, row, run_job, say, scratch, spread
from benchmarks.service import lives, service, stats

TWO = 2
CASES = (
    Case("rate", "5 requests a second", 80, 4.0, 64, strict=True, limits="auto"),
    Case("cap", "at most 8 unfinished", 48, 8.0, 8, limits="auto"),
    Case("both", "both of a strict service", 100, {"median": 1.0, "sigma": 0.5}, 4, strict=True, limits="auto"),
)
LIMITS: dict[str, dict[str, Any]] = {
    "rate": {"rate_limit": STRICT["rate_limit"]},
    "cap": {"max_unfinished": 8},
    "both": STRICT,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    makespan: float
    refused: float
    """The share of 429 among all answers of the API host."""


def play(case: Case, runs: int, seed: int) -> Outcome:
    """The exports of a case, in so many runs at one time."""
    scenario: dict[str, Any] = {"seed": seed, "duration": case.duration, "rows": 10, **LIMITS[case.name]}
    part = replace(case, exports=case.exports // runs)
    with scratch() as name, service(Path(name), scenario) as url, ThreadPoolExecutor(runs) as pool:
        folders = [Path(name) / f"run-{n}" for n in range(runs)]
        for folder in folders:
            folder.mkdir()
        list(pool.map(lambda folder: run_job(folder, part.job(url, POLLING)), folders))
        told = stats(url)
    seen = lives(told, scenario)
    assert len(seen) == case.exports, len(seen)
    statuses = [entry["status"] for entry in [*told["posts"], *told["polls"]]]
    return Outcome(max(life.fetched for life in seen), statuses.count(429) / len(statuses))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    args = parser.parse_args()
    found: dict[str, list[tuple[Outcome, Outcome]]] = {case.name: [] for case in CASES}
    for n in range(args.rounds):
        for case in CASES:
            alone, together = (play(case, runs, args.seed + n) for runs in (1, TWO))
            found[case.name].append((alone, together))
            say(
                f"{case.name}: one run {alone.makespan:.1f} s, {alone.refused:.1%} refused; "
                f"{TWO} runs {together.makespan:.1f} s, {together.refused:.1%} refused"
            )
    print("\n".join(header("limits, not told", "two runs ÷ one: min", "median", "max", "429: one run", "two runs")))
    for case in CASES:
        pairs = found[case.name]
        ratios = [together.makespan / alone.makespan for alone, together in pairs]
        refused = (statistics.median(outcome.refused for outcome in side) for side in zip(*pairs, strict=True))
        print(row(case.about, spread(ratios), *(f"{share:.1%}" for share in refused)))


if __name__ == "__main__":
    main()
