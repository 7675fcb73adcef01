"""One run from the lock to the report: opens the neighbours in order, hands them to the engine, tells what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network, passwords
from orchestrator.cli import options, say, wiring
from orchestrator.cli.log_later import set_up_with_the_first_line
from orchestrator.cli.signals import SIGNALS
from orchestrator.engine import result
from orchestrator.engine.attempts import POST_GRACE
from orchestrator.engine.events import Told
from orchestrator.engine.plan import Item
from orchestrator.engine.ports import Clock, Observer, Snapshot
from orchestrator.engine.runner import Runner
from orchestrator.engine.states import Moved, Record, State, Stored
from orchestrator.job.scalars import ProxyUrl
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.lock import JobLock
from orchestrator.journal.machine import Machine, place
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state_dir import prepare_state
from orchestrator.progress.choose import pick
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.plain import PlainProgress
from orchestrator.progress.summary import print_summary
from orchestrator.storage.local import LocalStorage

if TYPE_CHECKING:
    from orchestrator.cli.logs import Stream
    from orchestrator.cli.task import Task

END = POST_GRACE + 2.0
"""Seconds that the end of a run may take: the last POSTs' answers, then manifest and journal."""


class Progress(Observer, Protocol):
    async def beat(self) -> None: ...


class Observers:
    """Tells each of several."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def tell(self, told: Told) -> None:
        for observer in self._observers:
            observer.tell(told)


class Session:
    def __init__(self, task: Task, token: str, talk: options.Talk, clock: Clock) -> None:
        self._task = task
        self._talk = talk
        self._clock = clock
        self._console = PeopleConsole(sys.stderr)
        self._progress: Progress | None = None
        proxy = task.network.proxy
        self._proxy = proxy.url if isinstance(proxy, ProxyUrl) else proxy
        self._token = token
        self._secrets = [token, *passwords(self._proxy)]
        say.never(self._secrets)

    async def run(self, *, deadline: float | None, started: float, fail_fast: bool, adopt: bool) -> dict[str, Any]:
        """The whole run. Raises OrchestratorError for what goes wrong before there is something to report."""
        observer = self._observer()
        task = self._task
        prepare_state(task.state)
        with JobLock(task.state, self._clock):
            journal = SqliteJournal(task.state, self._clock)
            snapshot = await journal.open()
            try:
                self._warn(journal.rebuilt)
                self._warn(journal.warning)
                async with self._neighbours() as (api, files, storage), self._beside_others() as machine:
                    ends = self._end_by(deadline, started)
                    with self._interrupted(ends) as stopped:
                        memory = await self._recall(journal, snapshot, storage, adopt=adopt)
                        self._warn(await wiring.nothing_is_left(task, memory, storage))
                        items = await wiring.make_plan(task, memory, storage, self._clock.now())
                    if stopped.cancelled_caught:
                        return await self._not_begun(snapshot, storage)
                    records, stale = memory.records, memory.manifest_is_stale(task.name)
                    # Of ten thousand exports, the manifest's entries alone are as much as all the rest.
                    del snapshot, memory
                    runner = Runner(
                        api=api,
                        files=files,
                        storage=storage,
                        contents=wiring.Contents(),
                        journal=journal,
                        account=JournalAccount(journal, self._clock),
                        clock=self._clock,
                        observer=observer,
                        policy=task.policy(fail_fast=fail_fast),
                        random=random.Random(),  # noqa: S311  for waits: the system's costs a call of it for each
                        shared=machine,
                    )
                    report = await self._carry_out(runner, items, records, ends, manifest_stale=stale)
            finally:
                with anyio.CancelScope(shield=True):
                    await journal.close()
        self._tell_end(report)
        if runner.bug is not None:
            say.bug(runner.bug)
        return report

    @contextlib.contextmanager
    def _interrupted(self, ends: Mapping[str, float]) -> Iterator[anyio.CancelScope]:
        """What is done within can take its time (disputed files are read), so a signal and the deadline end it as well."""
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            if "park_at" in ends:
                scope.deadline = anyio.current_time() + ends["park_at"] - self._clock.now()

            def stop(_name: str) -> None:
                loop.call_soon_threadsafe(scope.cancel)

            with SIGNALS.heard_by(stop):
                yield scope

    async def _not_begun(self, snapshot: Snapshot, storage: LocalStorage) -> dict[str, Any]:
        """The report of a run that was stopped before it had found out whose file lies where."""
        now, records = self._clock.now(), snapshot.records
        items = await wiring.make_plan(self._task, wiring.Memory(records, (), None), storage, now)
        came = f"{SIGNALS.name} came" if SIGNALS.first is not None else "the deadline came"
        report = result.build(
            job=self._task.name,
            run_id=_run_id(now),
            outcome=lambda _: "parked",
            reason=f"{came} before anything was begun",
            error=None,
            started_at=now,
            finished_at=now,
            items=items,
            records=records,
            figures=result.Figures(),
        )
        self._tell_end(report)
        return report

    async def _carry_out(
        self,
        runner: Runner,
        items: Sequence[Item],
        records: Mapping[str, Record],
        ends: Mapping[str, float],
        *,
        manifest_stale: bool,
    ) -> dict[str, Any]:
        """The run itself, with its progress, while signals are heard."""
        with self._heard_by(runner):
            async with anyio.create_task_group() as tasks:
                if self._progress is not None:
                    tasks.start_soon(self._progress.beat)
                report = await runner.run(
                    job=self._task.name,
                    run_id=_run_id(self._clock.now()),
                    items=items,
                    records=records,
                    manifest_stale=manifest_stale,
                    **ends,
                )
                tasks.cancel_scope.cancel()
        return report

    @contextlib.asynccontextmanager
    async def _neighbours(self) -> AsyncIterator[tuple[LoopClient, FileHost, LocalStorage]]:
        task = self._task
        ca_file = str(task.folder / task.network.ca_file) if task.network.ca_file else None
        network = Network(timeout=task.network.timeout, proxy=self._proxy, ca_file=ca_file)

        def token() -> str:
            found = task.api.token.resolve(os.environ, task.folder)
            say.never([found])
            return found

        async with (
            LocalStorage(task.root, task.state) as storage,
            LoopClient(task.api.base_url, token=token, network=network, clock=self._clock) as api,
            FileHost(
                task.api.base_url, network=network, clock=self._clock, allow_private=task.api.allow_private
            ) as files,
        ):
            yield api, files, storage

    @contextlib.asynccontextmanager
    async def _beside_others(self) -> AsyncIterator[Machine | None]:
        """What this run shares with others of the account on this machine; None if the job opts out."""
        if not self._task.limits.shared:
            yield None
            return
        machine = Machine(place(self._task.api.base_url, self._token, os.environ))
        try:
            yield machine
        finally:
            machine.close()

    async def _recall(
        self, journal: SqliteJournal, snapshot: Snapshot, storage: LocalStorage, *, adopt: bool
    ) -> wiring.Memory:
        """What is remembered, with the journal brought up to what the manifest knows, and old temporary files gone."""
        await storage.sweep(_verified(snapshot.records))
        memory = await wiring.remember(self._task, snapshot, storage, self._clock.now(), adopt=adopt)
        for event in memory.learned:
            record = snapshot.records.get(event.key)
            before = record.parts[event.part].stored if record is not None else None
            stored = memory.records[event.key].parts[event.part].stored
            if isinstance(event, (Moved, Stored)) and stored is not None and before != stored:
                await storage.secure(stored.path)  # a rename that nobody could journal may not be durable either
        await journal.append(memory.learned)
        if memory.learned:
            await storage.sweep(_verified(memory.records))  # what lies at its place needs no temporary file any more
        return memory

    def _end_by(self, deadline: float | None, started: float) -> dict[str, float]:
        """When to park, and for how long to wait for POSTs then, so that the process has ended by the deadline."""
        if deadline is None:
            return {}
        end = min(END, deadline / 2)  # a short deadline is shared between the run and its end
        left = deadline - (time.monotonic() - started)
        return {"park_at": self._clock.now() + left - end, "post_grace": end * POST_GRACE / END}

    def _heard_by(self, runner: Runner) -> AbstractContextManager[None]:
        # The handler runs in the main thread, but the loop in it may sleep: it must be woken, as from another thread.
        loop = asyncio.get_running_loop()

        def park(name: str) -> None:
            loop.call_soon_threadsafe(runner.park, f"{name} came")

        return SIGNALS.heard_by(park)

    # ------------------------------------------------------------------------------------------------------ talking

    def _observer(self) -> Observers:
        """Sets up progress and log."""
        talk = self._talk
        as_json = talk.log_format == "json"
        kind = pick(sys.stderr, os.environ, quiet=talk.quiet, no_progress=talk.no_progress or as_json)
        observers: list[Observer] = []
        stream: Stream = sys.stderr
        if kind == "live":
            live = LiveProgress(self._console, self._clock.now)
            self._progress, stream = live, live.stream
            observers.append(live)
        elif kind == "plain":
            plain = PlainProgress(sys.stderr, self._clock.now, every=talk.heartbeat)
            self._progress = plain
            observers.append(plain)
        level = logging.DEBUG if talk.verbose else logging.ERROR if talk.quiet else logging.INFO

        def configure() -> None:
            from orchestrator.cli import logs

            logs.configure("json" if as_json else "text", level, stream, self._secrets)

        if as_json or talk.verbose or talk.quiet or talk.no_progress:
            from orchestrator.cli.logs import LogObserver

            configure()
            observers.append(LogObserver())
        else:
            set_up_with_the_first_line(configure)
        return Observers(*observers)

    def _warn(self, told: str | None) -> None:
        if told is not None:
            self._console.print(f"warning: {told}", soft_wrap=True)

    def _tell_end(self, report: dict[str, Any]) -> None:
        if self._talk.log_format == "json":
            return  # the log's last line has said it
        if self._talk.quiet and report["outcome"] == "succeeded":
            return
        print_summary(report, self._console, manifest=_shown(self._task))


def _verified(records: Mapping[str, Record]) -> frozenset[str]:
    """The temporary files that the journal still counts on."""
    files = (part.file for record in records.values() for part in record.parts if part.state is State.VERIFIED)
    return frozenset(file.temp for file in files if file is not None and file.temp is not None)


def _shown(task: Task) -> str:
    path = task.root / "manifest.json"
    with contextlib.suppress(ValueError):
        return str(path.relative_to(os.getcwd()))  # noqa: PTH109  as the user would type it
    return str(path)


def _run_id(now: float) -> str:
    """Run ids sort by time."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{random.SystemRandom().randrange(16**6):06x}"
