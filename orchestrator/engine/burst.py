"""How many turns that nothing was due at may be kept, and used at once later. Pure.

A service that counts with a token bucket takes a few requests together after a silence, and an even pace leaves that unused. So
as many turns are kept as were taken ahead of the rate before the first refusal, once the rate is known, and later one more
when those have proven themselves. Who takes fewer together says so by refusing a request close behind another, although no
such row has proven itself yet; it is tried again after a waiting time that doubles with each refusal. Once proven, a row
that is refused speaks of the rate instead: the bucket was not full.
"""

from __future__ import annotations

import math
from collections import Counter, deque

from orchestrator.engine.finding import FIRST_HOLD, LONGEST_HOLD, RateFinder

MOST = 2
"""Turns kept at most: more gain nothing, and are a burst that a service may find rude."""
PROOF = 3
"""Rows of a length that were taken one after the other: the service takes such rows."""
_CLOSE = 0.8
"""Turns after another request below which one is close behind it."""


class BurstFinder:
    """Times are seconds since the epoch."""

    def __init__(self, pace: RateFinder) -> None:
        self._pace = pace
        self._kept = 0
        self.alone = True
        """No requests of other runs come in between, of which it would not hear."""
        self._opening: deque[float] = deque(maxlen=256)
        """When requests went out before the first refusal."""
        self._sent_at = -math.inf
        self._ahead = 0.0
        """Turns by which the requests sent are ahead of an even pace."""
        self._close: deque[tuple[float, int]] = deque(maxlen=16)
        """When requests went out close behind others, of late, and so many turns ahead."""
        self._taken: Counter[int] = Counter()
        """Of those, how many were taken since one that was as far ahead was refused."""
        self._hold = FIRST_HOLD
        self._held_until: float | None = None
        """None until the rate is known."""

    @property
    def kept(self) -> int:
        """How many turns may be kept: none beside other runs, for a turn that this one leaves is taken by them."""
        return self._kept if self.alone else 0

    def sent(self, now: float) -> None:
        """A request goes out."""
        if self._pace.opens:
            self._opening.append(now)
        passed = (now - self._sent_at) * self._pace.per_second
        ahead = max(0.0, self._ahead - passed)
        self._sent_at, self._ahead = now, ahead + 1
        if not self._pace.known or not self.alone:
            return
        if self._held_until is None:
            self._kept = min(MOST, math.floor(self._bucket()))
            # None were taken ahead, although it was tried: there is hardly a bucket.
            self._held_until = now + (LONGEST_HOLD if self._opening and not self._kept else self._hold)
        if passed < _CLOSE:
            row = math.ceil(ahead)
            self._close.append((now, row))
            self._taken[row] += 1
        proven = not self._kept or self._taken[self._kept] >= PROOF
        if proven and self._kept < MOST and now >= self._held_until:
            self._kept += 1

    def refused(self, now: float, sent_at: float) -> bool:
        """The request of that time was refused; whether that was because it came close behind another."""
        row = next((row for at, row in self._close if at == sent_at), 0)
        if not row:
            return False
        proven = self._taken[row] > PROOF
        for longer in [each for each in self._taken if each >= row]:
            del self._taken[longer]
        if proven or row > self._kept:
            return False
        self._kept = row - 1
        self._held_until = now + self._hold
        self._hold = min(2 * self._hold, LONGEST_HOLD)
        return True

    def _bucket(self) -> float:
        """Turns by which the requests before the first refusal came to be ahead of the rate that is known now."""
        ahead = most = 0.0
        before = -math.inf
        for at in self._opening:
            ahead = max(0.0, ahead - (at - before) * self._pace.per_second) + 1
            most, before = max(most, ahead - 1), at
        return most
