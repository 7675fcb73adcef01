"""Polls an export against the delay to notice its end: each policy, and the best possible one. Virtual time, no HTTP.

    python -m benchmarks.polling                      # the table; a picture too with --pictures DIR
    python -m benchmarks.polling --runs 5 --exports 400

Durations are log-normal (median 30 s, sigma 0.8) and answers take no time. The frontier (`frontier.py`) is what a policy
could reach that knows this distribution; each policy's delay is held against the frontier's at the same number of polls.

The adaptive policy is the engine's own, in runs as they happen: so many exports at the default cap and request rate,
learning from what it notices ("cold"), and a second run that begins with what the first has learned ("warm").
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.frontier import Frontier, LogNormal, Point, cost
from benchmarks.measure import header, row, say, spread
from benchmarks.svg import Chart
from orchestrator.engine.asking import Asking, Load
from orchestrator.engine.policy import Limits, Polling
from orchestrator.engine.polling import wait
from orchestrator.engine.ports import Lesson

DURATIONS = LogNormal(median=30, sigma=0.8)
PRICES = [0.1 * 1.25**n for n in range(28)]
"""Seconds that a poll is worth, from next to nothing to most of a duration."""
VENDOR = 10.0
"""Seconds between polls, and before the first, as the service recommends."""
_FOREVER = DURATIONS.quantile(1 - 1e-9)
_SIZE = 21
"""The class of window sizes; one is all that this benchmark is about."""


def every(seconds: float) -> list[float]:
    return [seconds * n for n in range(1, int(_FOREVER / seconds) + 2)]


def doubling(first: float) -> list[float]:
    """The usual exponential backoff: each wait is twice as long as the one before."""
    ages, pause = [first], first
    while ages[-1] < _FOREVER:
        pause *= 2
        ages.append(ages[-1] + pause)
    return ages


def jittered(polling: Polling, draws: Sequence[float], chance: random.Random) -> Point:
    """A policy of the engine that knows only how often it has asked."""
    return mean([_ask(duration, _ages(polling, chance)) for duration in draws])


def _ages(polling: Polling, chance: random.Random) -> Iterator[float]:
    age, asked = 0.0, 0
    while True:
        age += wait(polling, asked, chance.random())
        asked += 1
        yield age


def _ask(duration: float, ages: Iterator[float]) -> Point:
    polls, age = next((polls, age) for polls, age in enumerate(ages, 1) if age >= duration)
    return Point(polls, age - duration)


def mean(points: Sequence[Point]) -> Point:
    return Point(statistics.fmean(p.polls for p in points), statistics.fmean(p.delay for p in points))


def adaptive(
    draws: Sequence[float], known: Sequence[Lesson], limits: Limits, began: float
) -> tuple[list[Point], list[Lesson], float]:
    """One run over exports of these durations: what each cost, what was learned, and when it ended."""
    asking = Asking(Polling(policy="adaptive"))
    asking.recall(known)
    interval = 1 / limits.requests_per_second
    now = began
    points: list[Point] = []
    lessons: list[Lesson] = []
    ends: dict[str, float] = {}
    polls: dict[str, int] = {}
    created = 0
    while created < len(draws) or ends:
        asking.replan(Load(limits.requests_per_second, limits.unfinished, len(draws) - created))
        if created < len(draws) and len(ends) < limits.unfinished:
            report = str(created)
            asking.began(report, _SIZE, now)
            ends[report], polls[report] = now + draws[created], 0
            created += 1
        else:
            due, report = min((_due(asking, report), report) for report in ends)
            now = max(now, due)
            polls[report] += 1
            asking.asks(report, now)
            if now < ends[report]:
                asking.unfinished(report, now)
            else:
                lessons.append(asking.finished(report, now))
                points.append(Point(polls.pop(report), now - ends.pop(report)))
        now += interval
    return points, lessons, now


def _due(asking: Asking, report: str) -> float:
    due = asking.due(report)
    assert due is not None, "what was begun is asked about"
    return due.at


def stratified(exports: int, chance: random.Random) -> list[float]:
    """Durations in random order, one out of each of as many equally likely ranges.

    Drawn at will, a hundred log-normal durations are easily a tenth shorter or longer than they should be, and a policy
    would look that much better or worse than the frontier, which is of the distribution.
    """
    draws = [DURATIONS.quantile((n + chance.random()) / exports) for n in range(exports)]
    chance.shuffle(draws)
    return draws


def cold_and_warm(exports: int, runs: int) -> tuple[list[Point], list[Point]]:
    """Each run that knows nothing, and the run after it."""
    cold: list[Point] = []
    warm: list[Point] = []
    for seed in range(runs):
        chance = random.Random(seed)  # noqa: S311 - draws of durations, not secrets
        known: list[Lesson] = []
        now = 0.0
        for means in (cold, warm):
            draws = stratified(exports, chance)
            points, known, now = adaptive(draws, known, Limits(), now)
            means.append(mean(points))
        say(f"adaptive, run {seed}: {_told(cold[-1])} cold, {_told(warm[-1])} warm")
    return cold, warm


def _told(point: Point) -> str:
    return f"{point.polls:.2f} polls and {point.delay:.2f} s"


def fixed() -> dict[str, Point]:
    """The policies that learn nothing."""
    chance = random.Random(1)  # noqa: S311 - jitter, not secrets
    draws = stratified(20_000, chance)
    return {
        "every 10 s (the vendor's rule)": cost(every(VENDOR), DURATIONS),
        "`steady` (10 s, jittered)": jittered(Polling(policy="steady"), draws, chance),
        "`backoff` (10 s, × 1.5, at most 60 s)": jittered(Polling(policy="backoff"), draws, chance),
        "doubling from 1 s": cost(doubling(1), DURATIONS),
    }


def table(frontier: Frontier, policies: dict[str, Point], learning: dict[str, list[Point]]) -> list[str]:
    """The results as lines of Markdown."""
    lines = header("policy", "polls an export", "mean delay, s", "best delay for as many polls, s", "÷ best")
    for name, point in policies.items():
        least = frontier.delay_at(point.polls)
        lines.append(
            row(name, f"{point.polls:.2f}", f"{point.delay:.2f}", f"{least:.2f}", f"{point.delay / least:.2f}")
        )
    vendor = cost(every(VENDOR), DURATIONS)
    lines += [
        "",
        *header("`adaptive`", "polls an export", "mean delay, s", "÷ best: min", "median", "max", "÷ vendor's delay"),
    ]
    for name, points in learning.items():
        middle = mean(points)
        ratios = [point.delay / frontier.delay_at(point.polls) for point in points]
        lines.append(
            row(
                name,
                f"{middle.polls:.2f}",
                f"{middle.delay:.2f}",
                spread(ratios),
                f"{middle.delay / vendor.delay:.2f}",
            )
        )
    return lines


def picture(frontier: Frontier, policies: dict[str, Point], learning: dict[str, list[Point]]) -> Chart:
    chart = Chart(
        "Polling: log-normal durations, median 30 s, sigma 0.8", "polls an export", "delay, s", right=10, top=20
    )
    chart.curve((point.polls, point.delay) for point in frontier.points)
    means = {f"adaptive, {name}": mean(points) for name, points in learning.items()}
    chart.dots(
        [(point.polls, point.delay, 2, name.replace("`", "")) for name, point in policies.items()]
        + [(point.polls, point.delay, 3, name) for name, point in means.items()],
        column=0.68,
    )
    return chart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exports", type=int, nargs="+", default=[100, 400], help="in each run of the adaptive policy")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of the frontier")
    args = parser.parse_args()
    frontier = Frontier(DURATIONS, PRICES)
    policies = fixed()
    learning: dict[str, list[Point]] = {}
    for exports in args.exports:
        learning[f"{exports} exports, cold"], learning[f"{exports} exports, warm"] = cold_and_warm(exports, args.runs)
    print("\n".join(table(frontier, policies, learning)))
    if args.pictures:
        chart = picture(frontier, policies, learning)
        (args.pictures / "polling.svg").write_text(str(chart), encoding="utf-8")


if __name__ == "__main__":
    main()
