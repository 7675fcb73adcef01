"""The adaptive policy: when to ask for each report, from what all of them have taught. Pure.

Each class of window sizes has a distribution of durations (`durations`) and the best schedule for it (`schedule`). What a
question may cost is set by two things, whichever is dearer:

courtesy  Exports of the length that the service's advice speaks of are asked about no more often than it advises. Shorter
          ones are worth relatively more questions, for each wave of them waits for the one before it.
budget    Requests a second are shared by creations and polls. As long as exports wait to be created, a place that is freed
          late costs throughput, and so does a creation that waits for its turn; the price at which the requests just
          suffice to keep all places busy is the best for both. A turn that would be lost all the same is worth a question
          as soon as courtesy allows.

While nothing is known of a class, its first exports take turns to climb a ladder of ages, so that somebody finds out soon
how long they take, and each of them is asked about once or twice only.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.engine.durations import Estimate
from orchestrator.engine.policy import Polling
from orchestrator.engine.ports import Lesson
from orchestrator.engine.schedule import Schedule, courtesy, solve, spacing

KEPT = 150
"""Lessons of a class that its estimate is made of: enough for its shape, few enough to follow a service that changes."""
_UNKNOWN = 0.2
"""Mean durations that a question costs while nobody has finished: those on the ladder ask for all."""
DEAREST = 4.0
"""Mean durations that a question may cost at most."""
_STEPS = 5
PATIENCE = 8
"""Questions about one export after which what is believed is doubted, and they come more slowly."""
_SLACK, _BRISK = 0.2, 30.0
"""Each then waits for `_SLACK` of the age at the one before it, less by age / (age + `_BRISK` seconds) for short ones, and never
longer than the service advises anyhow (`polling.every`)."""
_LADDER_FROM, _LADDER_UP = 0.1, 1.25
"""The first age of the ladder, in seconds, and the ratio of its rungs, when several exports share it."""
_SHARERS = 4
_INSTANT = 1e-4
"""Seconds by which a question may come before its time."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the run has to do, and what it may spend."""

    per_second: float
    """Requests."""
    places: int
    """Exports that may be unfinished at once."""
    waiting: int
    """Exports that are still to be created."""
    latency: float = 0.0
    """Seconds from a question to its answer."""


class Due(NamedTuple):
    """When to ask for a report. Seconds since the epoch."""

    at: float
    early: float
    """From then on, if the turn would be lost otherwise."""


@dataclass(slots=True)
class _Watched:
    size: int
    created_at: float
    asked: int = 0
    low: float = 0.0
    """The greatest age at which it was known to be unfinished."""
    last: float = 0.0
    """The age at the latest question."""


class _Class:
    """What is known of the exports with windows of one size."""

    def __init__(self, first: float, longest: float) -> None:
        self._longest = longest
        self._estimate = Estimate(first)
        self.lessons: deque[Lesson] = deque(maxlen=2 * KEPT)
        self.unheard = 0
        """Lessons since the estimate was made."""
        self.running: dict[str, _Watched] = {}
        self.rung = 0.0
        self._climber: str | None = None
        self.ladder_ends = first
        self.schedule = self.courteous = _at_first(first, longest)
        """The best for the budget; the best if requests cost no more than courtesy asks for."""

    @property
    def is_due(self) -> bool:
        return self.unheard >= max(1, min(len(self.lessons), KEPT) // 5)

    def estimate(self) -> None:
        self.unheard = 0
        # Finished ones alone would be the short ones of late, with those that run the long ones of old: exports that were
        # created since one moment are neither.
        lessons = sorted(self.lessons, key=lambda lesson: lesson.created_at)[-KEPT:]
        since = lessons[0].created_at if len(lessons) == KEPT else -math.inf
        self._estimate.learn(
            ((lesson.low, lesson.high, 1.0) for lesson in lessons),
            (watched.low for watched in self.running.values() if watched.created_at >= since),
        )

    @property
    def mean(self) -> float:
        """Seconds, as believed."""
        return self._estimate.mean

    @property
    def longest(self) -> float:
        """Seconds that 95 % of them stay below, as believed."""
        return self._estimate.longest

    def plan(self, load: Load, share: float) -> None:
        """Finds the schedule for this load, of which the class has `share`."""
        mean = self._estimate.mean
        low, high = courtesy(mean), DEAREST * mean
        if not self.lessons:
            low = max(low, _UNKNOWN * mean)
        self.schedule = self.courteous = solve(self._estimate.mass, low, self._longest, load.latency)
        if _demand(self.schedule, load, share) <= load.per_second * share:
            return
        for _ in range(_STEPS):
            price = math.sqrt(low * high)
            self.schedule = solve(self._estimate.mass, price, self._longest, load.latency)
            if _demand(self.schedule, load, share) > load.per_second * share:
                low = price
            else:
                high = price
        self.schedule = solve(self._estimate.mass, high, self._longest, load.latency)

    @property
    def climbs(self) -> bool:
        return not self.lessons and self.rung < self.ladder_ends

    def climber(self) -> str:
        """The report whose turn on the ladder it is: the oldest of those that were asked about least."""
        if self._climber is None:
            self._climber = min(self.running, key=lambda report_id: self.running[report_id].asked)
        return self._climber

    def next_climber(self) -> None:
        """The turn passes on."""
        self._climber = None

    def next_rung(self) -> float:
        """The ladder's next age: higher steps for few exports, so that no single one is asked about very often."""
        few = _SHARERS / min(_SHARERS, max(1, len(self.running)))
        return max(self.rung * (1 + (_LADDER_UP - 1) * few), _LADDER_FROM * few)


def patience(age: float, every: float) -> float:
    """Seconds that lie, after `PATIENCE` questions, between one at this age and the next one about the same export.

    `every` is how often the service advises to ask, in seconds.
    """
    return min(age * _SLACK * age / (age + _BRISK), every)


@functools.lru_cache(8)
def _at_first(first: float, longest: float) -> Schedule:
    return solve(Estimate(first).mass, _UNKNOWN * first, longest)


def _demand(schedule: Schedule, load: Load, share: float) -> float:
    """Requests a second that a class with this share of the places makes under this schedule."""
    busy = min(load.places, load.waiting + load.places) * share
    each = schedule.polls + (1 if load.waiting else 0)
    return busy / (schedule.mean + schedule.delay) * each


class Asking:
    """What the run knows of all reports that it asks about. Times are seconds since the epoch."""

    def __init__(self, polling: Polling) -> None:
        self._polling = polling
        self._classes: dict[int, _Class] = {}
        self._reports: dict[str, _Watched] = {}
        self._load: Load | None = None
        self._moved: set[int] = set()
        """The classes in which the ladder's next rung is another report's turn."""

    def recall(self, lessons: Iterable[Lesson]) -> None:
        """What earlier runs have learned."""
        for lesson in lessons:
            known = self._class(lesson.size)
            known.lessons.append(lesson)
            known.unheard += 1

    # ------------------------------------------------------------------------------------------------------- reports

    def began(self, report_id: str, size: int, created_at: float) -> None:
        """A report is to be asked about; `created_at` is when its creation was decided on."""
        if report_id not in self._reports:
            watched = self._reports[report_id] = _Watched(size, created_at)
            known = self._class(size)
            known.running[report_id] = watched
            known.next_climber()

    def asks(self, report_id: str, now: float) -> None:
        """A question about it goes out."""
        watched = self._reports.get(report_id)
        if watched is not None:
            watched.asked += 1
            known = self._class(watched.size)
            if known.climbs:
                self._moved.add(watched.size)
            known.next_climber()
            watched.last = now - watched.created_at
            known.rung = max(known.rung, watched.last)

    def unfinished(self, report_id: str, sent_at: float) -> None:
        """The answer to a question that was sent at `sent_at` was "not yet"."""
        watched = self._reports[report_id]
        watched.low = max(watched.low, sent_at - watched.created_at)

    def finished(self, report_id: str, sent_at: float) -> Lesson:
        """It was "done": a lesson."""
        watched = self._reports[report_id]
        self.forget(report_id)
        age = max(0.0, sent_at - watched.created_at)
        lesson = Lesson(watched.size, watched.created_at, min(watched.low, age), age)
        known = self._class(watched.size)
        known.lessons.append(lesson)
        known.unheard += 1
        return lesson

    def forget(self, report_id: str) -> None:
        """The report is not asked about any more, or what it does says nothing of how long exports take."""
        watched = self._reports.pop(report_id, None)
        if watched is not None:
            known = self._class(watched.size)
            del known.running[report_id]
            known.next_climber()
            self._moved.add(watched.size)

    def shortest_mean(self) -> float:
        """Seconds that exports take, of the class of window sizes that is quickest; 0 while nothing is known."""
        return min((known.mean for known in self._classes.values() if known.lessons), default=0.0)

    def expected(self) -> tuple[float, float] | None:
        """Seconds that exports take: the mean, and what 95 % of them stay below. None while nobody has finished.

        Of several classes each counts as much as it has exports running, or if none has, as it has taught.
        """
        taught = [known for known in self._classes.values() if known.lessons]
        for known in taught:
            if known.is_due:  # under the other policies nobody else asks for it
                known.estimate()
        running = sum(len(known.running) for known in taught)
        weights = [len(known.running) if running else len(known.lessons) for known in taught]
        if not taught:
            return None
        mean = sum(weight * known.mean for weight, known in zip(weights, taught, strict=True)) / sum(weights)
        return mean, max(known.longest for weight, known in zip(weights, taught, strict=True) if weight)

    # ---------------------------------------------------------------------------------------------------------- when

    def due(self, report_id: str) -> Due | None:
        """When to ask for it next; None for a report that is none of ours."""
        watched = self._reports.get(report_id)
        if watched is None:
            return None
        known = self._class(watched.size)
        last = max(watched.low, watched.last + _INSTANT) if self._overlap else watched.low
        age = known.schedule.after(last)
        early = min(age, known.courteous.after(last))
        if watched.asked >= PATIENCE:
            age = early = max(age, last + min(patience(last, self._polling.every), self._polling.max))
        if known.climbs and report_id == known.climber():
            age = min(age, known.next_rung())
        return Due(watched.created_at + age, watched.created_at + min(age, early))

    def may_overlap(self, report_id: str) -> bool:
        """Whether the next question about it need not wait for the answer to the latest one."""
        watched = self._reports.get(report_id)
        return self._overlap and watched is not None and watched.asked < PATIENCE

    def replan(self, load: Load) -> bool:
        """Takes the latest lessons and the load to heart; whether that has changed when reports are due."""
        changed = False
        loads = self._load is None or _differs(self._load, load)
        total = max(1, sum(len(known.running) for known in self._classes.values()))
        for known in self._classes.values():
            if known.is_due:
                known.estimate()
            elif not (loads and known.running):
                continue
            known.plan(load, max(len(known.running), 1) / total)
            changed = True
            self._load = load
        return changed

    def turned(self) -> list[str]:
        """The reports to which the turn on the ladder has passed since the last call: only they are due at another time."""
        classes = [self._classes[size] for size in self._moved]
        self._moved.clear()
        return [known.climber() for known in classes if known.climbs and known.running]

    @property
    def _overlap(self) -> bool:
        """Answers take so long that questions need not wait for them."""
        return self._load is not None and spacing(self._load.latency) < self._load.latency

    def _class(self, size: int) -> _Class:
        known = self._classes.get(size)
        if known is None:
            known = self._classes[size] = _Class(self._polling.first, self._polling.max)
        return known


def _differs(before: Load, after: Load) -> bool:
    """Whether a load asks for another plan: what grows or shrinks by a tenth does."""
    return (
        bool(before.waiting) != bool(after.waiting)
        or abs(math.log(after.places / before.places)) > 0.1
        or abs(math.log(after.per_second / before.per_second)) > 0.1
        or abs(after.latency - before.latency) > 0.2 * before.latency + 0.01
    )
