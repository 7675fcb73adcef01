"""When the next request to the API host may go: a pace, a window and a gate. Pure.

The pace spreads requests evenly, but for a few turns that may be kept (`burst`); the window makes sure that no second ever
holds more than the job's limit, even where the pace catches up; the gate is what the service asked for with `Retry-After`.
When it opens, the pace climbs back, so that what has gathered behind it does not come as one burst, and no turn is kept from
before.
"""

from __future__ import annotations

import math
from collections import deque

from orchestrator.engine.burst import BurstFinder
from orchestrator.engine.finding import LATENESS, RateFinder

RAMP = 10.0
"""Seconds in which the pace is back at its height, at most."""
RAMP_SHARE = 0.5
"""After a shorter silence it takes such a share of that."""
LOW = 0.4
"""The share of its height from which it climbs."""


class Rate:
    """A request is `reserved` when it is decided and `sent` when it goes: an intent must be made durable in between."""

    def __init__(self, finder: RateFinder) -> None:
        self._finder = finder
        self.burst = BurstFinder(finder)
        self._most = max(1, math.floor(finder.ceiling))
        self._recent: deque[float] = deque(maxlen=self._most)
        self._reserved = 0
        self._paced = 0.0
        self._ramp = 0.0
        self.closed_until = 0.0
        """The gate: no request before this time (seconds since the epoch)."""

    @property
    def full(self) -> bool:
        """Reserved requests fill the window: until one goes out, nobody knows when the next one may."""
        return self._reserved >= self._most

    def next_at(self) -> float:
        """The earliest time for the next request, seconds since the epoch; infinity while reserved ones fill the window."""
        if self.full:
            return math.inf
        most = self._most
        room = most - self._reserved
        # A second, or a little more or less of it where the limit is no whole number.
        window = self._recent[-room] + most / self._finder.ceiling if len(self._recent) >= room else 0.0
        return max(self._paced, window, self.closed_until)

    def lost_at(self) -> float:
        """When a turn is lost unless a request goes by then, seconds since the epoch: no more can be kept."""
        return max(self._paced, self.closed_until) + self.burst.kept / self._finder.per_second

    def reserve(self, now: float, row: float = 0.0) -> None:
        """`row` is when the row that it shares with other runs has let it go."""
        self._reserved += 1
        free = max(self._paced, row, min(self.closed_until, now))
        late = max(0.0, now - free)
        kept = max(LATENESS, self.burst.kept / self._finder.per_second)
        self._finder.asked(now, late, kept)
        begin = max(free, now - kept)
        self._paced = begin + self.gap(begin)

    def sent(self, now: float) -> None:
        """A reserved request goes out."""
        self._reserved -= 1
        self._recent.append(now)
        self.burst.sent(now)

    def release(self) -> None:
        """A reserved request does not go out after all."""
        self._reserved -= 1

    def close(self, until: float, now: float) -> None:
        """Shuts the gate until `until`; a gate that is shut for longer stays so."""
        if until > self.closed_until:
            self._ramp = min(RAMP, RAMP_SHARE * (until - now))
            self.closed_until = until

    def gap(self, at: float) -> float:
        """Seconds from a request at that time to the next one."""
        turn = 1 / self._finder.per_second
        passed = max(0.0, at - self.closed_until)
        if passed >= self._ramp:
            return turn
        # The height grows evenly, and what passes beneath it until the next request is one turn.
        slope = (1 - LOW) / self._ramp
        height = LOW + slope * passed
        gap = (math.sqrt(height * height + 2 * slope * turn) - height) / slope
        left = self._ramp - passed
        return gap if gap <= left else left + turn - left * (height + 1) / 2
