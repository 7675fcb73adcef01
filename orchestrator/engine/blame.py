"""Which limit a 429 speaks of: requests a second, or exports unfinished at once. Pure.

A refused poll speaks of the rate. So does a creation that was refused beside few others: beside none, or beside a number
beside which many were accepted in a row. A creation that was refused beside as many as an earlier one, or while the rate
was hardly used, speaks of the cap. Anything else may be either. Then the rate is blamed first; if another creation is
refused soon although the rate was cut, and no poll was in between, it was the cap both times. Whoever was blamed in doubt
is pardoned when the other turns out to have been it. A request close behind another, in a row that has not
proven itself (`burst`), speaks of neither of the two.

Runs of one account tell each other whom they blame or pardon: the limits are the account's, and each run sees a part of the refusals.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from orchestrator.engine.burst import BurstFinder
from orchestrator.engine.finding import CapFinder, RateFinder
from orchestrator.engine.ports import Blamed

PROOF = 20
"""Creations accepted in a row beside so many others: so many are not too many."""
DOUBT = 16
"""So many of them, and another refusal has nothing to do with the one before."""


class Blame:
    def __init__(
        self,
        pace: RateFinder,
        burst: BurstFinder,
        cap: CapFinder,
        tell: Callable[[Blamed], None] | None = None,
    ) -> None:
        """`tell` has other runs of the account hear of it, if there may be some."""
        self._pace = pace
        self._burst = burst
        self._cap = cap
        self._suspect: RateFinder | CapFinder | None = None
        """Was blamed for what may have been the other's."""
        self._tell = tell or (lambda _blamed: None)
        self._refused_at = -math.inf
        self._heard: set[str] = set()
        """Limits whose latest refusal is one that another run had, and told of."""

    def heard(self, blamed: Blamed, now: float) -> None:
        """Another run has had a refusal, or takes back what it has said of one."""
        limit, how, sent_at, at, beside = blamed
        at = min(at, now)  # the looks at the clock of two runs are a moment apart
        if how == "not after all":
            if limit in self._heard:  # else this run has had a refusal of its own since, which is not taken back
                (self._pace if limit == "rate" else self._cap).pardon()
        elif sent_at <= self._refused_at:
            self._pace.unasked()  # as below
        else:
            self._refused_at, self._suspect = at, None
            self._heard.add(limit)
            if limit == "cap":
                self._cap.refused(at, sent_at, beside, in_doubt=how == "in doubt")
            else:
                self._pace.refused(at, in_doubt=how == "in doubt")

    def refused(self, now: float, sent_at: float, beside: int | None) -> None:
        """429 to a request of that time: a poll, or a creation beside so many unfinished exports."""
        if sent_at <= self._refused_at:
            self._pace.unasked()
            return  # under way together with one that was refused: one lesson, not several
        self._refused_at = now
        suspect, self._suspect = self._suspect, None
        pace, cap = self._pace, self._cap
        accepted = 0
        if beside is not None:
            accepted = cap.accepted_beside(beside)
            cap.doubt(beside)
        if not beside or accepted >= PROOF:
            if self._burst.refused(now, sent_at):
                pace.unasked()
            else:
                pace.refused(now)
                self._blames(Blamed("rate", "surely", sent_at, now))
            if suspect is cap:
                cap.pardon()
                self._blames(Blamed("cap", "not after all", sent_at, now))
        elif cap.was_exceeded(beside) or pace.idles:
            cap.refused(now, sent_at, beside)
            self._blames(Blamed("cap", "surely", sent_at, now, beside))
        elif suspect is pace and accepted < DOUBT:
            cap.refused(now, sent_at, beside, in_doubt=True)
            pace.pardon()
            self._blames(Blamed("rate", "not after all", sent_at, now))
            self._blames(Blamed("cap", "in doubt", sent_at, now, beside))
            self._suspect = cap
        elif self._burst.refused(now, sent_at):
            pace.unasked()
        else:
            pace.refused(now, in_doubt=True)
            self._blames(Blamed("rate", "in doubt", sent_at, now))
            self._suspect = pace

    def _blames(self, blamed: Blamed) -> None:
        self._heard.discard(blamed.limit)
        self._tell(blamed)
