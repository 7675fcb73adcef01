"""The best that any polling policy could do which knows the distribution of durations: polls against delay. Pure.

A policy is a series of ages at which to ask. With a price in seconds put on each poll, the best series on a grid of ages
follows from dynamic programming: the least that is still to be paid when the export was unfinished at one age is the
least, over the next age to ask at, of a poll's price, the delay of those that finish in between, and what is to be paid
from there on. Over all prices that gives the lower convex edge of what is possible.

This is on purpose a computation of its own, from the distribution's formula and without any bound on silence, so that the
engine's own planning (`orchestrator/engine/schedule.py`) is held against something it does not share.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

_NORMAL = statistics.NormalDist()


class Distribution(Protocol):
    def below(self, age: float) -> float:
        """The share of exports that take at most `age` seconds."""

    def mean_below(self, age: float) -> float:
        """The mean duration of those, times their share: the integral of x f(x) up to `age`."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    median: float
    sigma: float

    def below(self, age: float) -> float:
        return _NORMAL.cdf(math.log(age / self.median) / self.sigma) if age > 0 else 0.0

    def mean_below(self, age: float) -> float:
        if age <= 0:
            return 0.0
        mean = self.median * math.exp(self.sigma**2 / 2)
        return mean * _NORMAL.cdf(math.log(age / self.median) / self.sigma - self.sigma)

    def quantile(self, share: float) -> float:
        return self.median * math.exp(self.sigma * _NORMAL.inv_cdf(share))


@dataclass(frozen=True, slots=True)
class Point:
    """What a policy costs an export on average."""

    polls: float
    delay: float
    """Seconds from its end until that is noticed."""


def cost(ages: Iterable[float], distribution: Distribution) -> Point:
    """What it costs to ask at these ages until the export is finished. The last age must be one at which all are."""
    polls = delay = before = moment = 0.0
    for age in ages:
        below, mean_below = distribution.below(age), distribution.mean_below(age)
        polls += 1 - before
        delay += age * (below - before) - (mean_below - moment)
        before, moment = below, mean_below
    return Point(polls, delay)


def best(grid: Sequence[float], distribution: Distribution, price: float) -> list[float]:
    """The ages of the grid to ask at so that delay + price * polls is least. All exports are finished at the last one."""
    ages = [0.0, *grid]
    below = [distribution.below(age) for age in ages]
    moment = [distribution.mean_below(age) for age in ages]
    last = len(ages) - 1
    to_pay = [0.0] * len(ages)
    following = [last] * len(ages)
    for here in range(last - 1, -1, -1):
        least = math.inf
        for there in range(here + 1, last + 1):
            delay = ages[there] * (below[there] - below[here]) - (moment[there] - moment[here])
            if delay >= least:
                break  # waiting longer only adds to this
            if delay + to_pay[there] < least:
                least, following[here] = delay + to_pay[there], there
        to_pay[here] = least + price * (1 - below[here])
    found, at = [], 0
    while at < last:
        at = following[at]
        found.append(ages[at])
    return found


class Frontier:
    """The lower edge over a range of prices, as a curve."""

    def __init__(self, distribution: LogNormal, prices: Sequence[float], grain: float = 1.006) -> None:
        lowest, highest = distribution.quantile(1e-5), distribution.quantile(1 - 1e-6)
        steps = math.ceil(math.log(highest / lowest) / math.log(grain))
        grid = [lowest * grain**n for n in range(steps + 1)]
        points = {cost(best(grid, distribution, price), distribution) for price in prices}
        self.points = sorted(points, key=lambda point: point.polls)

    def delay_at(self, polls: float) -> float:
        """The least mean delay for so many polls an export; raises ValueError outside of the prices' range."""
        at = bisect_left([point.polls for point in self.points], polls)
        if not 0 < at < len(self.points):
            raise ValueError(f"{polls:.2f} polls are outside of the frontier that was computed")
        left, right = self.points[at - 1], self.points[at]
        share = (polls - left.polls) / (right.polls - left.polls)
        return left.delay + share * (right.delay - left.delay)

    def is_convex(self) -> bool:
        """Each poll more buys less than the one before it."""
        slopes = [(b.delay - a.delay) / (b.polls - a.polls) for a, b in pairwise(self.points)]
        return all(left <= right + 1e-9 for left, right in pairwise(slopes))
