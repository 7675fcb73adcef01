"""When the next request to the API host may go: a pace, a window and a gate. Pure.

The pace spreads requests evenly; the window makes sure that no second ever holds more than the limit, even where the
pace catches up after the loop was late; the gate is what the service asked for with `Retry-After`. When it opens, the pace
climbs back, so that what has gathered behind it does not come as one burst.
"""

from __future__ import annotations

import math
from collections import deque

from orchestrator.engine.finding import RateFinder

LATENESS = 0.05
"""Seconds by which the pace may catch up: below the resolution of timers, a strict pace would lose throughput."""
RAMP = 10.0
"""Seconds in which the pace is back at its height, at most; after a shorter silence as long as that was."""
LOW = 0.25
"""The share of its height from which it climbs."""


class Rate:
    """A request is `reserved` when it is decided and `sent` when it goes: an intent must be made durable in between."""

    def __init__(self, finder: RateFinder) -> None:
        self._finder = finder
        self._recent: deque[float] = deque(maxlen=max(1, math.floor(finder.ceiling)))
        self._reserved = 0
        self._paced = 0.0
        self._ramp = 0.0
        self.closed_until = 0.0
        """The gate: no request before this time (seconds since the epoch)."""

    def next_at(self) -> float:
        """The earliest time for the next request, seconds since the epoch; infinity while reserved ones fill the window."""
        per_second = self._finder.per_second
        # As many as the ceiling lets go in a second, even if the pace is a little below it: two windows of fewer, one after
        # the other, could be shorter than a second together.
        most = min(math.ceil(per_second), max(1, math.floor(self._finder.ceiling)))
        room = most - self._reserved
        if room <= 0:
            return math.inf
        # A second, or a little more or less of it where the limit is no whole number.
        window = self._recent[-room] + most / per_second if len(self._recent) >= room else 0.0
        return max(self._paced, window, self.closed_until)

    def reserve(self, now: float) -> None:
        self._reserved += 1
        # Whoever comes within half a turn of the first moment has waited for it, or would have had the loop been in time.
        self._finder.asked(now, pressed=now - self._paced < LATENESS + 0.5 / self._finder.per_second)
        self._paced = max(self._paced, now - LATENESS) + 1 / (self._finder.per_second * self._height(now))

    def sent(self, now: float) -> None:
        """A reserved request goes out."""
        self._reserved -= 1
        self._recent.append(now)

    def release(self) -> None:
        """A reserved request does not go out after all."""
        self._reserved -= 1

    def close(self, until: float, now: float) -> None:
        """Shuts the gate until `until`; a gate that is shut for longer stays so."""
        if until > self.closed_until:
            self._ramp = min(RAMP, until - now)
            self.closed_until = until

    def _height(self, now: float) -> float:
        passed = now - self.closed_until
        return 1.0 if passed >= self._ramp else LOW + (1 - LOW) * max(0.0, passed) / self._ramp
