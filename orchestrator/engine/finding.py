"""Limits that find themselves: requests a second, and exports unfinished at once. Pure.

The service publishes neither, and says "too many" to both with the same 429 (`blame` tells which it was). So each climbs
while it is the one that holds the run up, and goes down when it was too high:

rate  Doubles every few seconds until the first refusal. After that, a token bucket was empty at two refusals, and what it
      refilled between them lies between two figures: admitted requests over elapsed time, which is too low where the bucket
      was full for a while, and the pace of those requests, which is too high where it was not. Their geometric mean is
      what is gone on with. It then creeps, and after a time of good conduct that doubles with each refusal it climbs anew.
      It goes down as well when answers to polls take much longer than they used to, until that is usual.
cap   One more with each export that finishes, until a creation is refused. What was refused is tried again after a
      waiting time that doubles with each refusal.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

DOUBLING = 2.0
"""Seconds in which the rate doubles until the first refusal."""
LATENESS = 0.05
"""Seconds by which a request may be late for its turn and still have waited for it: below the resolution of timers."""
FIRST_HOLD, LONGEST_HOLD = 30.0, 300.0
"""Seconds for which a limit that was refused is not exceeded again: at first, and at most."""
_HOLD_IN_DOUBT = 10.0
"""The same for a limit that may not have been the one that was too high."""
LOWEST = 0.2
"""Requests a second below which no refusal brings the rate."""
_CLIMB, _CLIMB_IN_DOUBT, _CREEP = 0.04, 0.12, 0.05
"""The rate's growth after a refusal: in a second when it is free to climb, also if it may not have been the one that was too
high, and in all while it waits for that."""
_LONGEST_STEP = 1 / 3
"""Seconds of climbing between two requests at most, or a slow rate would grow by much before anybody could object."""
_CUT, _CUT_AGAIN = 0.55, 0.75
"""What is left of the rate after a refusal that gives no estimate: where it was doubling, and later."""
_EASED = 0.8
"""What is left of it when answers have become slow."""
_ENOUGH = 4
"""Admitted requests between two refusals that make an estimate."""
_SLOW, _SLOW_BY = 2.0, 0.25
"""Answers are slow when they take so many times as long as they used to, and so many seconds more."""
_USED_TO = 60.0
"""Seconds in which what is usual comes to what answers take of late, if they stay slow: what lasts is not this run's doing."""
_SMOOTHING = 0.1
_FULL, _IDLE = 0.8, 0.5
"""Requests fill the rate where their turns take this share of the time, and leave it idle below the other."""
_LONGEST_IDLE = 10.0
"""Seconds without a request beyond which it makes no difference."""


@dataclass(slots=True)
class _Stretch:
    """What was admitted since the service last refused: its allowance was used up then."""

    since: float
    admitted: int = 0
    paced: float = 0.0
    """Seconds that so many requests take at the pace that they had."""

    def refill(self, now: float) -> float:
        """Requests a second that the service seems to admit, at another refusal."""
        whole = self.admitted / (now - self.since)
        return math.sqrt(whole * max(whole, self.admitted / self.paced))


@dataclass(slots=True)
class _Rate:
    per_second: float
    known: bool
    stretch: _Stretch | None = None
    """None until a refusal."""
    climb: float = _CLIMB
    hold: float = FIRST_HOLD
    held_until: float = -math.inf


class RateFinder:
    """`per_second` is what may be sent. Times are seconds since the epoch."""

    def __init__(self, ceiling: float, start: float | None = None, known: float | None = None) -> None:
        """`start` is where it begins (the ceiling, if it is not given), unless an earlier run has found the limit `known`."""
        self.ceiling = ceiling
        self._now = _Rate(min(ceiling, known or start or ceiling), known is not None)
        self._before: _Rate | None = None
        """As it was before the latest refusal."""
        self._asked_at: float | None = None
        self._busy = self._passed = 1.0
        """Seconds that the turn of a request takes, and that pass from one to the next, of late."""
        self._usual = math.inf
        self._lately = 0.0
        self._answered_at = self._slowed_at = -math.inf
        self._earlier = known
        self._lowest = min(LOWEST, ceiling)

    @property
    def per_second(self) -> float:
        return self._now.per_second

    @property
    def known(self) -> bool:
        """Refusals have shown where the limit is."""
        return self._now.known

    @property
    def found(self) -> float | None:
        """What is known of the limit, for later runs: a ceiling that nothing was refused below says no more than was known before."""
        if not self.known:
            return None
        return max(self.per_second, self._earlier or 0.0) if self.per_second >= self.ceiling else self.per_second

    @property
    def presses(self) -> bool:
        """Requests fill the rate."""
        return self._busy >= _FULL * self._passed

    @property
    def idles(self) -> bool:
        """Requests leave much of the rate unused: what the service allows can't be used up."""
        return self._busy < _IDLE * self._passed

    @property
    def opens(self) -> bool:
        """Nothing has been refused yet."""
        return not self.known and self._now.stretch is None

    @property
    def latency(self) -> float:
        """Seconds that the answer to a poll takes at the moment."""
        return self._lately

    def learn(self, per_second: float) -> None:
        """Another run of the account has found this rate; one that has found it itself knows better."""
        if not self.known:
            self._now = _Rate(min(self.ceiling, per_second), True)

    def asked_by_others(self, many: int) -> None:
        """Other runs of the account have sent so many requests."""
        if (stretch := self._now.stretch) is not None:
            stretch.admitted += many
            stretch.paced += many / self.per_second

    def asked(self, now: float, late: float, kept: float = 0.0) -> None:
        """A request is decided on, `late` seconds after the rate would have let it go, of which so many are `kept` for others."""
        turn = 1 / self.per_second
        if (stretch := self._now.stretch) is not None:
            stretch.admitted += 1
            stretch.paced += turn
        if self._asked_at is not None:
            self._busy += _SMOOTHING * (turn - self._busy)
            self._passed += _SMOOTHING * (turn + min(max(0.0, late - kept), _LONGEST_IDLE) - self._passed)
            # Whoever comes within half a turn has waited for it, or would have had the loop been in time.
            if late < LATENESS + 0.5 * turn and not self.idles:
                self._grow(min(1.0, now - self._asked_at), now)
        self._asked_at = now

    def unasked(self) -> None:
        """A request that was asked was not admitted."""
        if (stretch := self._now.stretch) is not None:
            stretch.admitted = max(0, stretch.admitted - 1)

    def refused(self, now: float, *, in_doubt: bool = False) -> None:
        """The service answered 429. `in_doubt`: it may have spoken of the cap."""
        self.unasked()
        before = self._before = self._now
        climb = _CLIMB_IN_DOUBT if in_doubt else _CLIMB
        self._now = rate = replace(before, stretch=_Stretch(now), climb=climb)
        last = before.stretch
        if last is None or last.admitted < _ENOUGH or now <= last.since:
            doubling = last is None and not before.known
            rate.per_second = max(self._lowest, before.per_second * (_CUT if doubling else _CUT_AGAIN))
            return
        fitting = last.refill(now)
        if before.known and now > before.held_until:
            # It was climbing: what was admitted for long is less than the limit, and the pace it has come to is more.
            fitting = fitting**0.75 * before.per_second**0.25
        if before.known:
            rate.hold = min(2 * before.hold, LONGEST_HOLD)
        rate.known = True
        rate.held_until = now + rate.hold
        rate.per_second = max(self._lowest, before.per_second * _CUT, min(before.per_second, fitting))

    def pardon(self) -> None:
        """The latest refusal was another limit's after all."""
        if self._before is None:
            return
        before, after, self._before = self._before, self._now, None
        self._now = replace(before, per_second=max(before.per_second, after.per_second))
        if before.stretch is not None and after.stretch is not None:
            before.stretch.admitted += after.stretch.admitted
            before.stretch.paced += after.stretch.paced

    def answered(self, seconds: float, now: float) -> None:
        """The answer to a poll came after so many seconds."""
        self._lately += _SMOOTHING * (seconds - self._lately) if self._lately else seconds
        if now - self._slowed_at > 10 * self._lately and self._lately > _SLOW * self._usual + _SLOW_BY:
            self._slowed_at = now
            self._now.per_second = max(self._lowest, self.per_second * _EASED)
            self._now.held_until = max(self._now.held_until, now + self._lately * 10)
        passed = min(max(0.0, now - self._answered_at), _USED_TO)
        self._answered_at = now
        self._usual = min(self._usual, self._lately)
        self._usual += (self._lately - self._usual) * passed / _USED_TO

    def _grow(self, seconds: float, now: float) -> None:
        rate = self._now
        if now < rate.held_until:
            growth = 1 + _CREEP * seconds / rate.hold
        elif rate.stretch is None and not rate.known:
            growth = 2.0 ** (seconds / DOUBLING)
        else:
            growth = 1 + rate.climb * min(seconds, _LONGEST_STEP)
        rate.per_second = min(self.ceiling, rate.per_second * growth)


@dataclass(frozen=True, slots=True)
class _Cap:
    most: int
    known: bool
    too_many: int | None
    """A creation was refused beside so many others, and nothing has shown since that they are not too many."""
    hold: float
    held_until: float


class CapFinder:
    """`most` is how many may be unfinished at once."""

    def __init__(self, ceiling: int, start: int | None = None, known: int | None = None) -> None:
        self._ceiling = ceiling
        most = min(ceiling, known or start or ceiling)
        self._now = _Cap(most, known is not None, known, FIRST_HOLD, -math.inf)
        self._earlier = known
        self._before: _Cap | None = None
        """As it was before the latest refusal, until it grows."""
        self._reached = -1
        """One was accepted beside so many that were not known to be finished."""
        self._accepted: Counter[int] = Counter()
        """How many were accepted beside so many of those, since one was refused beside as many."""
        self._refused_at = -math.inf

    def learn(self, most: int) -> None:
        """As `RateFinder.learn`."""
        if not self.known:
            self._now = _Cap(min(self._ceiling, most), True, most, FIRST_HOLD, -math.inf)

    @property
    def most(self) -> int:
        return self._now.most

    @property
    def known(self) -> bool:
        """A refusal has shown where the limit is."""
        return self._now.known

    @property
    def found(self) -> int | None:
        """What is known of the limit, for later runs: see `RateFinder.found`."""
        if not self.known:
            return None
        return max(self.most, self._earlier or 0) if self.most >= self._ceiling else self.most

    def accepted_beside(self, many: int) -> int:
        """How many creations were accepted beside so many others, or more, since one was refused there.

        A single one proves nothing, for some of the others may have finished unnoticed.
        """
        return sum(times for beside, times in self._accepted.items() if beside >= many)

    def was_exceeded(self, beside: int) -> bool:
        """So many others have been found to be too many."""
        return self._now.too_many is not None and beside >= self._now.too_many

    def accepted(self, beside: int) -> None:
        """One was accepted beside so many others."""
        self._reached = max(self._reached, beside)
        self._accepted[beside] += 1
        if self.was_exceeded(beside):  # the limit has moved
            self._now = replace(self._now, too_many=None, hold=FIRST_HOLD)

    def doubt(self, beside: int) -> None:
        """One was refused beside so many others, whatever for: what was accepted beside as many proves nothing any more."""
        for above in [each for each in self._accepted if each >= beside]:
            del self._accepted[above]

    def refused(self, now: float, sent_at: float, beside: int, *, in_doubt: bool = False) -> None:
        """One of that time was refused because there were so many others; `in_doubt`: if it was not the rate."""
        if sent_at <= self._refused_at:
            return  # under way together with one that was refused: one lesson, not several
        self._refused_at = now
        self._before = before = self._now
        hold = min(2 * before.hold, LONGEST_HOLD) if before.known and not in_doubt else before.hold
        held_until = now + (_HOLD_IN_DOUBT if in_doubt else hold)
        self._now = _Cap(max(1, min(before.most, beside)), True, beside, hold, held_until)
        self._reached = min(self._reached, self.most - 1)

    def pardon(self) -> None:
        """The latest refusal was another limit's after all; a cap that has grown since stays as it is."""
        if self._before is not None:
            self._now, self._before = self._before, None

    def finished(self, now: float, *, pressed: bool) -> None:
        """An export has finished; `pressed`: others wait for its place."""
        if pressed and now >= self._now.held_until and self._reached >= self.most - 1:
            most = min(self._ceiling, self.most + 1)
            held_until = now + self._now.hold / 4 if self.known else self._now.held_until
            self._now, self._before = replace(self._now, most=most, held_until=held_until), None
