"""When to ask, for a known distribution of durations and a known price of a question. Pure.

Asking early costs questions, asking late costs time. With a price in seconds of delay put on each question, the best
series of ages is found by dynamic programming from the greatest age down: the cost of having heard "not yet" at one age
is that of the next question, of the delay of those that finish before it, and of having heard "not yet" again there.
As the distribution narrows the series goes from many questions to a single one just after the moment at which all
are finished.

Where answers take long, questions need not wait for them. A question is then sent unless one has found the export finished
whose answer has come by that time, and what is sent in vain has its price as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from orchestrator.engine.durations import EDGES, MIDDLES

_SHARE, _LONG, _LEAST = 0.06, 60.0, 0.002
"""A question costs `_SHARE` of a duration, less by duration / (duration + `_LONG` seconds) for short ones, but `_LEAST` of it."""
_NEGLIGIBLE = 2e-4
"""The share of exports beyond the ages that are planned for."""
_WORTH, _APART = 0.003, 1.05
"""Two ages at which a question may come have so great a share of all exports between them, or are so many times apart."""
_TAIL = 1.15
"""Beyond them each question comes so many times later than the one before it."""
_VAIN = 3.0
"""What a question costs that only the slowness of an earlier answer lets go, compared with others: it tells nothing new."""
_CLOSEST, _CLOSE = 0.01, 0.1
"""Two questions are `_CLOSE` of the time that an answer takes apart, at least, but not closer than `_CLOSEST` seconds."""


@dataclass(frozen=True, slots=True)
class Schedule:
    polls: float
    """Questions that an export takes, on average."""
    delay: float
    """Seconds from the end of an export until that is noticed, on average."""
    mean: float
    """Seconds that an export takes, on average."""
    _ages: Sequence[float]
    """Those at which a question may come."""
    _next: Sequence[int]
    """After "not yet" at the n-th age, counted from 1 (0: never asked), the age with this number is the next one."""
    _longest: float

    def after(self, age: float) -> float:
        """The age at which to ask next, when at `age` (0: never asked) the answer was "not yet"."""
        passed = bisect_right(self._ages, age)
        found = self._ages[self._next[passed] - 1] if passed < len(self._next) else age * _TAIL
        return min(max(found, age), age + self._longest)


def courtesy(seconds: float) -> float:
    """What a question is worth at least, in seconds of delay, about exports that take so long.

    Those of the length that the service's advice speaks of are then asked about no more often than it advises; shorter
    ones are worth relatively more questions, for each wave of them waits for the one before it.
    """
    return seconds * max(_LEAST, _SHARE * seconds / (seconds + _LONG))


def spacing(latency: float) -> float:
    """Seconds that two questions about one export are apart at least, where an answer takes `latency` seconds."""
    return min(latency, max(_CLOSEST, latency * _CLOSE))


def solve(mass: Sequence[float], price: float, longest: float, latency: float = 0.0) -> Schedule:
    """The best schedule for this distribution on the grid of `durations`.

    `price` is what one question is worth, `longest` the longest silence between two questions, `latency` how long an answer
    takes, all in seconds. A question is saved by those before it only if their answers have come.
    """
    shortest = spacing(latency)
    whole = sum(mass)
    cut = _NEGLIGIBLE * whole
    sums = list(accumulate(mass))
    first = next(n for n, below in enumerate(sums) if below > cut)
    last = next(n for n, below in enumerate(sums) if below >= whole - cut)
    moments = list(accumulate(m * middle for m, middle in zip(mass, MIDDLES, strict=True)))
    # Position 0 is "never asked", position i "not yet" at the i-th of these ages, which are few where little happens.
    cells = [first]
    for n in range(first + 1, last + 1):
        if n == last or sums[n] - sums[cells[-1]] > _WORTH * whole or EDGES[n] > _APART * EDGES[cells[-1]]:
            cells.append(n)
    ages = [EDGES[n] for n in cells]
    below = [0.0, *(sums[n] / whole for n in cells)]
    moment = [0.0, *(moments[n] / whole for n in cells)]
    size = len(ages)
    above = below[size]
    # What a question at the n-th age costs at least: it is sent for all that no answer has shown to be finished by then.
    unheard = [0.0, *(price * (above - below[bisect_right(ages, age - latency)]) for age in ages)]
    cost = [0.0] * (size + 1)
    chosen = [size] * size
    farthest = size
    for i in range(size - 1, -1, -1):
        start = ages[i - 1] if i else 0.0
        here, done = below[i], moment[i]
        asked = price * (above - here)
        best, at = inf, i + 1
        # The later the last answer, the later the next question: what is chosen never moves down with i.
        for k in range(i + 1, farthest + 1):
            age = ages[k - 1]
            if age - start > longest and best < inf:
                break
            if i and age - start < shortest and k < farthest:
                continue
            value = age * (below[k] - here) - (moment[k] - done) + asked + cost[k]
            if (vain := unheard[k] - asked) > 0:
                value += _VAIN * vain
            if value < best:
                best, at = value, k
        cost[i] = best
        chosen[i] = farthest = at
    polls = delay = 0.0
    i = heard = 0
    while i < size:
        k = chosen[i]
        while heard < i and ages[chosen[heard] - 1] <= ages[k - 1] - latency:
            heard = chosen[heard]
        polls += above - below[heard]
        delay += ages[k - 1] * (below[k] - below[i]) - (moment[k] - moment[i])
        i = k
    return Schedule(polls / above, delay / above, moment[size] / above, ages, chosen, longest)
