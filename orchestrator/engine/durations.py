"""How long exports take, as far as the polls can tell. Pure.

A poll never shows when an export was finished, only that it was not yet at one age and was at a later one. So a lesson is an
interval (low, high], and an export that still runs is one without an end. The estimate is the distribution that makes all
of them likeliest (Turnbull's self-consistency equation, 1976), on a grid of ages a few per cent apart. That is why a
habit of asking late teaches nothing wrong: an export that was found finished at the first question says "at most so
long", and leaves the shape below to those that were asked earlier.

Few lessons say little, and the likeliest distribution believes them to the letter. So a log-normal of the same mean and
spread stands beside it, and for the ages that nobody has seen yet the guess of the job file.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

GRAIN = 1.025
"""The ratio of neighbouring ages on the grid: half of it is how late a poll comes for durations that never vary."""
SHORTEST = 0.02
"""Seconds; the first cell of the grid ends here."""
EDGES: Sequence[float] = tuple(SHORTEST * GRAIN**n for n in range(560))
"""The upper ends of the cells, in seconds: up to about five hours."""
MIDDLES: Sequence[float] = tuple((low + high) / 2 for low, high in zip((0.0, *EDGES), EDGES, strict=False))
_LOGS: Sequence[float] = tuple(map(math.log, MIDDLES))

_SWEEPS = 12
"""Steps towards the likeliest distribution; each estimate goes on from the one before it."""
_SMOOTH = 10.0
"""Lessons that the smooth shape counts for, besides a share of those there are."""
_SMOOTH_SHARE = 1.5
_UNSURE = 0.2
"""How much wider the smooth shape is for one lesson; less for more."""
_GUESS = 0.5
"""Lessons that the guess counts for."""
_GUESS_SPREAD = 1.0
"""The standard deviation of the guess's logarithm: a factor of three either way is no surprise."""
_LEAST_SPREAD = 0.03
_WIDE, _FLOOR = 1e-4, 1e-12
"""How much of a log-normal is at least as wide as the guess, and the least probability of a cell: an export that outlives all that was
believed is then expected to take a few times as long as its age, and not until the end of the grid."""


def size_of(window: tuple[int, int]) -> int:
    """The class of durations that a window of this length belongs to: each is twice as long as the one below it."""
    return round(math.log2(max(1, window[1] - window[0])))


def cell(age: float) -> int:
    """The cell that this age lies in; the last one for all that are beyond the grid."""
    return min(bisect_left(EDGES, age), len(EDGES) - 1)


class Estimate:
    """The probability of each cell, as far as it is known."""

    def __init__(self, first: float) -> None:
        """`first` is a guess at the median duration, in seconds."""
        self._guess = _log_normal(math.log(max(first, SHORTEST)), _GUESS_SPREAD)
        self._likeliest = self._guess
        self.mass: Sequence[float] = self._guess

    @property
    def mean(self) -> float:
        """The mean duration in seconds."""
        return sum(m * middle for m, middle in zip(self.mass, MIDDLES, strict=True)) / sum(self.mass)

    @property
    def longest(self) -> float:
        """Seconds that 95 % of them stay below."""
        sums = list(accumulate(self.mass))
        return EDGES[bisect_left(sums, 0.95 * sums[-1])]

    def learn(self, finished: Iterable[tuple[float, float, float]], running: Iterable[float]) -> None:
        """Estimates anew from finished exports (low, high, weight) and the ages at which others still ran.

        Where the lessons leave open which age it was, what was believed until now decides.
        """
        last = len(EDGES) - 1
        spans = [(_after(low), max(_after(low), cell(high)), weight) for low, high, weight in finished]
        spans += [(_after(age), last, 1.0) for age in running if age > 0]
        total = sum(weight for _, _, weight in spans)
        if not total:
            return
        seen = self._likeliest
        for _ in range(_SWEEPS):
            seen = _sweep(seen, spans, total)
        mean, spread = _shape(seen)
        smoothing = _SMOOTH + _SMOOTH_SHARE * total
        # What the next estimate starts from must not be wider than what was seen, or it would grow by itself.
        self._likeliest = _mixed((total, seen), (smoothing, _log_normal(mean, spread)))
        unsure = _log_normal(mean, spread * (1 + _UNSURE / math.sqrt(total)))
        self.mass = _mixed((total, seen), (smoothing, unsure), (_GUESS, self._guess))


def _after(age: float) -> int:
    """The first cell for an export that still ran at this age."""
    return min(cell(age) + 1, len(EDGES) - 1) if age > 0 else 0


def _mixed(*parts: tuple[float, Sequence[float]]) -> list[float]:
    whole = sum(weight for weight, _ in parts)
    shares = [(weight / whole, mass) for weight, mass in parts]
    return [sum(share * mass[n] for share, mass in shares) for n in range(len(EDGES))]


def _sweep(mass: Sequence[float], spans: Sequence[tuple[int, int, float]], total: float) -> list[float]:
    """One step of self-consistency: each lesson's weight is shared among its cells as they are believed in."""
    sums = [0.0, *accumulate(mass)]
    shares = [0.0] * (len(mass) + 1)
    for low, high, weight in spans:
        believed = sums[high + 1] - sums[low]
        share = weight / max(believed, 1e-12)
        shares[low] += share
        shares[high + 1] -= share
    return [m * share / total for m, share in zip(mass, accumulate(shares), strict=False)]


def _shape(mass: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm."""
    whole = sum(mass)
    mean = sum(m * log for m, log in zip(mass, _LOGS, strict=True)) / whole
    variance = sum(m * (log - mean) ** 2 for m, log in zip(mass, _LOGS, strict=True)) / whole
    return mean, max(_LEAST_SPREAD, math.sqrt(variance))


def _log_normal(mean: float, spread: float) -> list[float]:
    """A log-normal distribution on the grid. A little of it is at least as wide as the guess, so that no cell is impossible."""
    narrow, wide = _heights(mean, spread), _heights(mean, max(_GUESS_SPREAD, 2 * spread))
    return [(1 - _WIDE) * one + _WIDE * other + _FLOOR for one, other in zip(narrow, wide, strict=True)]


def _heights(mean: float, spread: float) -> list[float]:
    heights = [math.exp(-0.5 * ((log - mean) / spread) ** 2) for log in _LOGS]
    whole = sum(heights)
    return [height / whole for height in heights]
