"""What a run learns of how long exports take: facts go to the adaptive policy, lessons to the account, and times to polls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.engine.asking import Asking, Load
from orchestrator.engine.choose import Ref
from orchestrator.engine.durations import size_of
from orchestrator.engine.policy import Polling
from orchestrator.engine.ports import Accepted, Account, Lesson, Status
from orchestrator.engine.spending import Spending
from orchestrator.engine.states import Record, State
from orchestrator.engine.step import Asked, Fact, Poll, Posted, Resumed, Want


class Learning:
    def __init__(self, polling: Polling, account: Account, spending: Spending, started_at: float) -> None:
        """`started_at` is when the run began, seconds since the epoch."""
        self.asking = Asking(polling)
        self._adapts = polling.policy == "adaptive"
        self._account = account
        self._spending = spending
        self._started_at = started_at
        self._refs: dict[str, Ref] = {}
        """Reports that the adaptive policy knows, and the parts they are of."""
        self._lessons: list[Lesson] = []
        """Learned, and not yet kept with the account."""

    async def recall(self) -> None:
        """What earlier runs have learned of this account."""
        lessons = await self._account.lessons()
        self._spending.recall(lesson.high for lesson in lessons)
        # One of the future was learned when the clock was ahead: it would be the latest for as long.
        began = self._started_at
        self.asking.recall(lesson._replace(created_at=min(lesson.created_at, began)) for lesson in lessons)

    async def keep(self) -> None:
        """For later runs: lessons, and the limits as they were found. Raises what the account's journal raises."""
        lessons, self._lessons = self._lessons, []
        await self._account.learn(lessons)
        await self._account.keep(self._spending.found())

    def learn(self, ref: Ref, record: Record, fact: Fact, now: float) -> None:
        """What a fact tells about how long exports take; `record` is the one that it has led to."""
        part = record.parts[ref[1]]
        match fact:
            case Resumed() | Posted(Accepted()):
                for report in part.live if part.state is State.GENERATING else ():
                    self.asking.began(report.id, size_of(record.window), min(report.created_at, now))
                    self._refs[report.id] = ref
            case Asked(report_id, answer, sent_at=sent_at) if report_id in self._refs:
                asked = part.report(report_id)
                assert asked is not None, "only known reports are asked about"
                if part.state is State.GENERATING and asked.live:
                    if isinstance(answer, Status):
                        self.asking.unfinished(report_id, sent_at)
                    return
                del self._refs[report_id]
                # Of an export that was begun before this run nobody knows when it was ready.
                if part.state is State.READY and asked.live and asked.created_at >= self._started_at:
                    lesson = self.asking.finished(report_id, sent_at)
                    self._spending.learn(lesson.high)
                    self._lessons.append(lesson)
                else:
                    self.asking.forget(report_id)
        if isinstance(fact, Asked) and part.state is not State.GENERATING:
            # A stuck one that is ready after all leaves nothing to ask about the one that was created in its place.
            for other in part.reports:
                if self._refs.pop(other.id, None) is not None:
                    self.asking.forget(other.id)

    def timed(self, wants: tuple[Want, ...]) -> tuple[Want, ...]:
        """The same, with polls at the times that the policy finds best."""
        return tuple(map(self._timed, wants)) if self._adapts else wants

    def _timed(self, want: Want) -> Want:
        if not (isinstance(want, Poll) and want.planned):
            return want
        due = self.asking.due(want.report_id)
        return want if due is None else replace(want, at=due.at, early=due.early)

    def moved(self, waiting: int) -> Iterable[Ref]:
        """Takes new lessons and limits to heart, while so many exports wait to be created; the parts whose polls may have other
        times now.
        """
        pace = self._spending.pace
        load = Load(pace.per_second, self._spending.cap.most, waiting, pace.latency)
        if not self._adapts:
            return ()
        if self.asking.replan(load):
            return self._refs.values()
        return [self._refs[report_id] for report_id in self.asking.turned()]
