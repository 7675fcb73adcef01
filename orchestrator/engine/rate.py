"""When the next request to the API host may go: a pace, a window and a gate. Pure.

The pace spreads requests evenly; the window makes sure that no second ever holds more than the limit, even where the
pace catches up after the loop was late; the gate is what the service asked for with `Retry-After`. When it opens, the pace
climbs back, so that what has gathered behind it does not come as one burst.
"""

from __future__ import annotations

import math
from collections import deque

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
        self._finder.asked(now, max(0.0, now - max(self._paced, self.closed_until)))
        begin = max(self._paced, now - LATENESS)
        self._paced = begin + self._gap(begin)

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
            self._ramp = min(RAMP, RAMP_SHARE * (until - now))
            self.closed_until = until

    def _gap(self, at: float) -> float:
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
