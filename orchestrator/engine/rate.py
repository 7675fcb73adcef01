"""When the next request to the API host may go: a pace, a window and a gate. Pure.

The pace spreads requests evenly; the window makes sure that no second ever holds more than the limit, even where the
pace catches up after the loop was late; the gate is what the service asked for with `Retry-After`.
"""

from __future__ import annotations

import math
from collections import deque

LATENESS = 0.05
"""Seconds by which the pace may catch up: below the resolution of timers, a strict pace would lose throughput."""


class Rate:
    """A request is `reserved` when it is decided and `sent` when it goes: an intent must be made durable in between."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._most = max(1, math.floor(per_second))
        # A second, or a little more or less of it where the limit is no whole number.
        self._span = self._most / per_second
        self._recent: deque[float] = deque(maxlen=self._most)
        self._reserved = 0
        self._paced = 0.0
        self.closed_until = 0.0
        """The gate: no request before this time (seconds since the epoch)."""

    def next_at(self) -> float:
        """The earliest time for the next request, seconds since the epoch; infinity while reserved ones fill the window."""
        room = self._most - self._reserved
        if room <= 0:
            return math.inf
        window = self._recent[-room] + self._span if len(self._recent) >= room else 0.0
        return max(self._paced, window, self.closed_until)

    def reserve(self, now: float) -> None:
        self._reserved += 1
        self._paced = max(self._paced, now - LATENESS) + self._interval

    def sent(self, now: float) -> None:
        """A reserved request goes out."""
        self._reserved -= 1
        self._recent.append(now)

    def release(self) -> None:
        """A reserved request does not go out after all."""
        self._reserved -= 1

    def close(self, until: float) -> None:
        """Shuts the gate until `until`; a gate that is shut for longer stays so."""
        self.closed_until = max(self.closed_until, until)
