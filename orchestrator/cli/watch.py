"""`status --watch`: the picture of a run in another process, drawn from its journal alone.

A journal does not tell everything: polls, and the bytes of a file before it is whole, leave no trace in it. What it does not tell
is not shown. Its events become the same facts that a run's own progress hears of, so there is one tally and one picture.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestrator.cli import say
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Standing,
    Told,
    Troubled,
)
from orchestrator.engine.ports import Found, Lesson, Snapshot
from orchestrator.engine.states import Event, Intended, Lost, Record, State, Unanswered, Verified, apply
from orchestrator.errors import JournalError
from orchestrator.job.expand import Export
from orchestrator.journal.account import left_of
from orchestrator.journal.follow import Follower, News
from orchestrator.journal.lock import Holder, find_holder
from orchestrator.journal.reader import NAME
from orchestrator.progress.choose import pick
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.plain import PlainProgress

if TYPE_CHECKING:
    from orchestrator.cli.task import Task

EVERY = 1.0
"""Seconds between two looks into the journal."""
GRACE = 5.0
"""Seconds for which a run that has just been started may take to begin."""
LESSONS = 150
"""Durations that are gone by: the latest ones."""


def watch(task: Task) -> bool:
    """Shows the run that is active, until it ends, and one that has taken its place by then; false if none is, nor begins
    within `GRACE`.
    """
    return anyio.run(_watch, task)


async def _watch(task: Task) -> bool:
    clock = SystemClock()
    holder = find_holder(task.state)
    given_up_at = clock.now() + GRACE
    while holder is None and clock.now() < given_up_at:
        await anyio.sleep(EVERY / 10)
        holder = find_holder(task.state)
    if holder is None:
        return False
    stopped: list[signal.Signals] = []
    while holder is not None and not stopped:
        holder = await _show(task, holder, clock, stopped)
    if stopped:  # the cursor is back: now it may end as a program does that is told to
        signal.raise_signal(stopped[0])
    return True


async def _show(task: Task, holder: Holder, clock: SystemClock, stopped: list[signal.Signals]) -> Holder | None:
    """Shows the run of `holder` until it ends. Who is to be shown next, with a picture of its own; None if nobody is."""
    kind = pick(sys.stderr, os.environ, quiet=False, no_progress=False)
    progress = (
        LiveProgress(PeopleConsole(sys.stderr), clock.now) if kind == "live" else PlainProgress(sys.stderr, clock.now)
    )
    progress.tally.from_journal = True
    gone = False
    async with anyio.create_task_group() as tasks:
        await tasks.start(_stopping, tasks.cancel_scope, stopped)
        gone = await _follow(_Story(task, holder.since), holder, progress, tasks, clock)
        tasks.cancel_scope.cancel()
    if stopped:
        return None
    found = find_holder(task.state)
    if found is not None and (gone or found.who != holder.who):
        say.people("Another run of this job has begun.")
        return found
    if gone:
        say.people("The journal that was watched is gone: was the state folder removed?")
    return None


async def _stopping(
    scope: anyio.CancelScope,
    stopped: list[signal.Signals],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            stopped.append(number)
            scope.cancel()


async def _follow(
    story: _Story, holder: Holder, progress: LiveProgress | PlainProgress, tasks: TaskGroup, clock: SystemClock
) -> bool:
    """Tells `progress` what the journal tells, until the run of `holder` has ended. Whether that journal is gone by then, and
    with it how the story goes on; another may have come into its place.
    """
    begun, active = False, True
    while active:
        # Asked before the look: what the run wrote last is looked at once it has ended.
        found = find_holder(story.task.state)
        active = found is not None and found.who == holder.who
        # It may be in the middle of being made, or held for a moment: there is a next look.
        with contextlib.suppress(JournalError):
            news = story.news() if begun else None
            if news is not None and news.anew:
                return True
            for told in story.begin() if news is None else story.go_on(news, clock.now()):
                progress.tell(told)
            if not begun:
                begun = True
                tasks.start_soon(progress.beat)
        if active:
            await anyio.sleep(EVERY)
    return begun and not (story.task.state / NAME).exists()


class _Story:
    """What a journal tells of the run that began at `since`, as the run itself would have told it."""

    def __init__(self, task: Task, since: float) -> None:
        self.task = task
        self._since = since
        self._follower = Follower(task.state)
        self._records: dict[str, Record] = {}
        self._named = {export.key for export in task.exports}
        self._learned: Learned | None = None

    def begin(self) -> Iterator[Told]:
        snapshot, history = self._follower.begin(self._since)
        self._records = dict(snapshot.records)
        yield self._started(snapshot, history)
        for kind, key, at in history:
            if key in self._named:
                yield from self._earlier(kind, key, at)

    def news(self) -> News:
        return self._follower.news()

    def go_on(self, news: News, now: float) -> Iterator[Told]:
        for event in news.events:
            record = self._records[event.key] = apply(self._records.get(event.key), event)
            if event.key in self._named:
                yield from _facts(event, record)
        yield from self._known(news.account, now)
        if news.last_run is not None:
            yield RunEnded(now, str(news.last_run.get("outcome")))

    def _started(self, snapshot: Snapshot, history: Iterable[tuple[str, str, float]]) -> RunStarted:
        touched = {key for kind, key, _ in history if kind != "planned"}
        exports = tuple(
            self._standing(export, snapshot.records.get(export.key), touched) for export in self.task.exports
        )
        todo = sum(standing.todo for standing in exports)
        limits = self.task.policy().limits
        return RunStarted(
            self._since,
            self.task.name,
            "",
            todo,
            len(exports) - todo,
            limits.unfinished,
            limits.downloads,
            exports=exports,
        )

    def _standing(self, export: Export, record: Record | None, touched: set[str]) -> Standing:
        """The run works on what its journal has told of since it began, and on what it can only get to later."""
        if record is not None and record.state in (State.STORED, State.FAILED):
            todo = export.key in touched
        else:
            todo = export.window.end <= self._since or self.task.options.include_current
        return Standing(export.key, export.coordinates, record, todo)

    def _earlier(self, kind: str, key: str, at: float) -> Iterator[Told]:
        """Of what has happened before the watching began: what the pace and the counts are made of."""
        record = self._records[key]
        if kind == "intended":
            yield RequestSent(at, "create", key)
        elif kind == record.state and record.state in (State.STORED, State.FAILED):
            size = sum(file.bytes for file in record.stored or ())
            if size:
                yield BytesReceived(at, key, size, size)
            yield ExportChanged(at, record, kind)

    def _known(self, account: Mapping[str, Any], now: float) -> Iterator[Told]:
        for name in ("pause", "pause-files"):
            pause = account.get(name)
            if pause is not None and (left := left_of(pause, now)) > 0:
                yield Paused(now, now + left, "")
        learned = self._reckon(account, now)
        if self._learned is None or learned.seconds != self._learned.seconds:
            self._learned = learned
            yield learned

    def _reckon(self, account: Mapping[str, Any], now: float) -> Learned:
        found = Found(**account.get("found", {}))
        durations = sorted(Lesson(*lesson).high for lesson in account.get("lessons", ())[-LESSONS:])
        limits = self.task.policy().limits
        return Learned(
            now,
            seconds=sum(durations) / len(durations) if durations else None,
            longest=durations[math.ceil(0.95 * len(durations)) - 1] if durations else None,
            per_second=found.per_second or limits.requests_start or limits.requests_per_second,
            unfinished=found.unfinished or limits.unfinished_start or limits.unfinished,
            downloads=limits.downloads_start or limits.downloads,
            rate_found=found.per_second is not None,
            cap_found=found.unfinished is not None,
        )


def _facts(event: Event, record: Record) -> Iterator[Told]:
    match event:
        case Intended():
            yield RequestSent(event.at, "create", event.key)
        case Verified(file=file):
            yield BytesReceived(event.at, event.key, file.bytes, file.bytes)
        case Unanswered(detail=detail):
            yield Troubled(event.at, event.key, "api.create", f"creating the export: {detail}", event.at)
        case Lost(cause=cause):
            yield Troubled(event.at, event.key, "report.lost", f"its report is lost ({cause})", event.at)
        case _:
            pass
    yield ExportChanged(event.at, record, event.kind)
