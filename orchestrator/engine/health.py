"""Whether a host answers, and whose fault a bad answer is.

One request that fails again and again while the host answers others well is that request's problem: its tries are
counted and it fails in the end. A host that answers nobody is an outage: nobody's tries are counted, the host is probed by one
request at a time, and after `retry.outage` the run is parked. To tell the two apart, each streak of failures of one
subject remembers how many good answers the host had given when the streak began. If it has given more since, the
host is well and the subject is ill; as long as any streak has seen no good answer, the host itself may be ill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SUSPICIOUS = 3
"""Bad answers in a row, without a good one between them, from which a host counts as down."""


@dataclass(frozen=True, slots=True)
class Health:
    good: int = 0
    """Usable answers so far."""
    bad: int = 0
    """Bad answers since the last usable one."""
    bad_since: float | None = None
    youngest: int = -1
    """`good` when the youngest streak of failures began."""
    detail: str = ""
    """What the latest bad answer was."""

    def answered(self) -> Health:
        """After a usable answer (a refusal or a 429 is one: somebody is at home)."""
        return replace(self, good=self.good + 1, bad=0, bad_since=None, detail="")

    def failed(self, streak: Streak | None, now: float, detail: str) -> tuple[Health, Streak]:
        """After a bad answer to a subject whose failures so far are `streak`."""
        streak = streak or Streak(began=self.good)
        after = replace(
            self,
            bad=self.bad + 1,
            bad_since=now if self.bad_since is None else self.bad_since,
            youngest=max(self.youngest, streak.began),
            detail=detail,
        )
        # Once the host is known to be well, the failure that began the streak was the subject's own as well.
        tries = max(streak.tries, 1) + 1 if after.others_are_well(streak) else streak.tries
        return after, replace(streak, failures=streak.failures + 1, tries=tries)

    def others_are_well(self, streak: Streak) -> bool:
        """The host has answered since the streak began, and since every other one began."""
        return streak.began < self.good and self.youngest < self.good

    @property
    def down(self) -> bool:
        """The host answers nobody: it is to be probed by one request at a time."""
        return self.bad >= SUSPICIOUS and self.youngest >= self.good


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures in a row of one subject: creating, polling or fetching one part."""

    began: int
    """The host's `good` when the first of them came."""
    failures: int = 0
    tries: int = 0
    """Those that count against `retry.attempts`."""
