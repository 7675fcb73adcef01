"""Limits that find themselves: requests a second, and exports unfinished at once. Pure.

The service publishes neither, and says "too many" to both with the same 429. So each climbs while it is the one that holds
the run up, and goes down when it was too high:

rate  Doubles every few seconds until the first refusal. After that, admitted requests over elapsed time between two
      refusals are what the service refills at least (a token bucket was empty both times); from there it creeps, and after a time of good conduct that doubles with each refusal it climbs anew.
      It goes down as well when answers take much longer than they used to.
cap   One more with each export that finishes, until a creation is refused. What was refused is tried again after a
      waiting time that doubles with each refusal.

A refused GET speaks of the rate. A refused POST speaks of the cap where the rate is known to be admitted, of the rate if a POST was
accepted beside as many unfinished ones, and of both as long as neither is known. (What is known to be unfinished may have
finished unnoticed, so an accepted POST proves little about the cap.)
"""

from __future__ import annotations

import math

DOUBLING = 3.0
"""Seconds in which the rate doubles until the first refusal."""
CLIMB, CREEP = 0.04, 0.05
"""The rate's growth afterwards: in a second when it is free to climb, in all while it waits for that."""
FIRST_HOLD, LONGEST_HOLD = 30.0, 300.0
"""Seconds for which a limit that was refused is not exceeded again: at first, and at most."""
LOWEST = 0.2
"""Requests a second below which no refusal brings the rate."""
_CUT = 0.6
"""What is left of the rate after a refusal that gives no estimate."""
_DOUBT = 0.8
"""The same after one that may have been due to the cap."""
_ENOUGH = 10
"""Admitted requests between two refusals that make an estimate."""
_SLOW, _SLOW_BY = 2.0, 0.25
"""Answers are slow when they take so many times as long as they used to, and so many seconds more."""
_SMOOTHING = 0.1


class RateFinder:
    """`per_second` is what may be sent. Times are seconds since the epoch."""

    def __init__(self, ceiling: float, start: float | None = None, known: float | None = None) -> None:
        """`start` is where it begins (the ceiling, if it is not given), unless an earlier run has found the limit `known`."""
        self.ceiling = ceiling
        self.per_second = min(ceiling, known or start or ceiling)
        self.known = known is not None
        """A refusal has shown where the limit is."""
        self._admissible = self.per_second
        """As the latest refusal has shown it."""
        self._hold = FIRST_HOLD
        self._held_until = -math.inf
        self._grown_at = -math.inf
        self._refused_at = -math.inf
        self._since: float | None = None
        """When the service last refused: its allowance was used up then."""
        self._admitted = 0
        self._pressing = 0.0
        self._usual = math.inf
        self._lately = 0.0
        self._slowed_at = -math.inf

    @property
    def presses(self) -> bool:
        """It is the rate that holds the run up."""
        return self._pressing > 0.5

    @property
    def settled(self) -> bool:
        """So many requests a second have been admitted for long, or nearly so many."""
        return self.known and self.per_second <= self._admissible * 1.1

    @property
    def latency(self) -> float:
        """Seconds that an answer takes at the moment."""
        return self._lately

    def asked(self, now: float, *, pressed: bool) -> None:
        """A request is decided on; `pressed`: it would have gone sooner if the rate had let it."""
        self._admitted += 1
        self._pressing += _SMOOTHING * (pressed - self._pressing)
        if pressed:
            self._grow(min(1.0, now - self._grown_at), now)
        self._grown_at = now

    def refused(self, now: float, sent_at: float, *, certain: bool) -> None:
        """The service answered 429 to a request of that time; `certain`: it was the rate, and not the cap."""
        self._admitted = max(0, self._admitted - 1)
        if sent_at <= self._refused_at:
            return  # under way together with one that was refused: one lesson, not several
        self._refused_at = now
        if not certain and not self.known:
            self.per_second = max(LOWEST, self.per_second * _DOUBT)
            return
        elapsed = now - self._since if self._since is not None else 0.0
        fitting = self.per_second * _CUT
        if self._admitted >= _ENOUGH and elapsed > 0:
            fitting = min(self.per_second, max(fitting, self._admitted / elapsed))
        if self.known:
            self._hold = min(2 * self._hold, LONGEST_HOLD)
        # The first refusal ends the doubling only: a second one soon after it gives the estimate.
        self._held_until = now + self._hold if self._since is not None else now
        self.per_second = self._admissible = max(LOWEST, fitting)
        self.known = self._since is not None
        self._since, self._admitted = now, 0

    def answered(self, seconds: float, now: float) -> None:
        """An answer came after so many seconds."""
        self._lately += _SMOOTHING * (seconds - self._lately) if self._lately else seconds
        if now - self._slowed_at > 10 * self._lately and self._lately > _SLOW * self._usual + _SLOW_BY:
            self._slowed_at = now
            self.per_second = max(LOWEST, self.per_second * _DOUBT)
            self._held_until = max(self._held_until, now + self._lately * 10)
        self._usual = min(self._usual * 1.001, self._lately)

    def _grow(self, seconds: float, now: float) -> None:
        if now < self._held_until:
            growth = 1 + CREEP * seconds / self._hold
        elif self._since is None and not self.known:
            growth = 2.0 ** (seconds / DOUBLING)
        else:
            growth = 1 + CLIMB * seconds
        self.per_second = min(self.ceiling, self.per_second * growth)


class CapFinder:
    """`most` is how many exports may be unfinished at once."""

    def __init__(self, ceiling: int, start: int | None = None, known: int | None = None) -> None:
        self._ceiling = ceiling
        self.most = min(ceiling, known or start or ceiling)
        self.known = known is not None
        self._proven = -1
        """A creation was accepted beside so many unfinished exports."""
        self._hold = FIRST_HOLD
        self._held_until = -math.inf
        self._too_many: int | None = None
        self._refused_at = -math.inf

    def may_have_refused(self, unfinished: int) -> bool:
        """Whether a creation that was refused beside so many others can have been one too many."""
        return unfinished > self._proven

    def accepted(self, unfinished: int) -> None:
        """A creation was accepted beside so many others."""
        self._proven = max(self._proven, unfinished)
        if self._too_many is not None and unfinished >= self._too_many:
            self._too_many, self._hold = None, FIRST_HOLD  # the limit has moved

    def refused(self, now: float, sent_at: float, unfinished: int) -> None:
        """A creation of that time was refused beside so many others."""
        if sent_at <= self._refused_at:
            return
        self._refused_at = now
        if self.known:
            self._hold = min(2 * self._hold, LONGEST_HOLD)
        self.known = True
        self._too_many = unfinished
        self._held_until = now + self._hold
        self.most = max(1, min(self.most, unfinished))
        self._proven = min(self._proven, self.most - 1)

    def finished(self, now: float, *, pressed: bool) -> None:
        """An export has finished; `pressed`: others wait for its place."""
        if pressed and now >= self._held_until and self._proven >= self.most - 1:
            self.most = min(self._ceiling, self.most + 1)
            if self.known:
                self._held_until = now + self._hold / 4
