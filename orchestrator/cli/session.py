"""One run from the lock to the report: opens the neighbours in order, hands them to the engine, tells what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network, passwords
from orchestrator.cli import opening, wiring
from orchestrator.cli.signals import SIGNALS, Stops
from orchestrator.cli.speech import Speech
from orchestrator.engine import result
from orchestrator.engine.attempts import POST_GRACE
from orchestrator.engine.plan import Item
from orchestrator.engine.ports import Clock, Snapshot
from orchestrator.engine.runner import Command, Runner
from orchestrator.engine.states import Moved, Record, State, Stored
from orchestrator.job.scalars import ProxyUrl
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.lock import JobLock
from orchestrator.journal.machine import Machine, place
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state_dir import prepare_state
from orchestrator.storage.local import LocalStorage

if TYPE_CHECKING:
    from orchestrator.cli.task import Task

END = POST_GRACE + 2.0
"""Seconds that the end of a run may take: the last POSTs' answers, then manifest and journal."""


class Session:
    def __init__(
        self,
        task: Task,
        token: str,
        speech: Speech,
        clock: Clock,
        command: Command = "run",
        *,
        stops: Stops = SIGNALS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`stops` is what may park the run from outside, `environ` where references to secrets are looked up."""
        self._task = task
        self._speech = speech
        self._clock = clock
        self._command: Command = command
        self._stops = stops
        self._environ = environ
        proxy = task.network.proxy
        self._proxy = proxy.url if isinstance(proxy, ProxyUrl) else proxy
        self._token = token
        speech.never([token, *passwords(self._proxy)])

    async def run(self, *, deadline: float | None, started: float, fail_fast: bool, adopt: bool) -> dict[str, Any]:
        """The whole run. Raises OrchestratorError for what goes wrong before there is something to report."""
        observer = self._speech.observer()
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
                        self._warn(await wiring.strangers(memory, items, storage))
                    if stopped.cancelled_caught:
                        return await self._not_begun(snapshot, storage)
                    records, stale = memory.records, memory.manifest_is_stale(task.name)
                    # Of ten thousand exports, the manifest's entries alone are as much as all the rest.
                    del snapshot, memory
                    account = JournalAccount(journal, self._clock)
                    if any(item.has_work for item in items):
                        await self._open_with(account, deadline, started, ends)
                    runner = Runner(
                        api=api,
                        files=files,
                        storage=storage,
                        contents=wiring.Contents(),
                        journal=journal,
                        account=account,
                        clock=self._clock,
                        observer=observer,
                        policy=task.policy(fail_fast=fail_fast),
                        random=random.Random(),  # noqa: S311  for waits: the system's costs a call of it for each
                        shared=machine,
                        command=self._command,
                    )
                    report = await self._carry_out(runner, items, records, ends, manifest_stale=stale)
            finally:
                with anyio.CancelScope(shield=True):
                    await journal.close()
        self._speech.ended(report)
        if runner.bug is not None:
            self._speech.bug(runner.bug)
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

            with self._stops.heard_by(stop):
                yield scope

    async def _not_begun(self, snapshot: Snapshot, storage: LocalStorage) -> dict[str, Any]:
        """The report of a run that was stopped before it had found out whose file lies where."""
        now, records = self._clock.now(), snapshot.records
        items = await wiring.make_plan(self._task, wiring.Memory(records, (), None), storage, now)
        came = f"{self._stops.name or 'the deadline'} came"
        report = result.build(
            job=self._task.name,
            run_id=None,  # the journal keeps nothing of it
            outcome=lambda _: "parked",
            reason=f"{came} before anything was begun",
            error=None,
            started_at=now,
            finished_at=now,
            items=items,
            records=records,
            figures=result.Figures(),
            command=self._command,
        )
        self._speech.ended(report)
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
                if self._speech.beat is not None:
                    tasks.start_soon(self._speech.beat)
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
            found = task.api.token.resolve(self._environ, task.folder)
            self._speech.never([found])
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
        machine = Machine(place(self._task.api.base_url, self._token, self._environ))
        try:
            yield machine
        finally:
            machine.close()

    async def _recall(
        self, journal: SqliteJournal, snapshot: Snapshot, storage: LocalStorage, *, adopt: bool
    ) -> wiring.Memory:
        """What is remembered, with the journal brought up to what the manifest knows, and old temporary files gone."""
        await storage.sweep(_verified(snapshot.records))
        memory = await wiring.remember(
            self._task, snapshot, storage, self._clock.now(), tell=self._speech.note, adopt=adopt
        )
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

    async def _open_with(
        self, account: JournalAccount, deadline: float | None, started: float, ends: Mapping[str, float]
    ) -> None:
        """Says what the run keeps to."""
        policy = self._task.policy()
        self._speech.note(opening.limits(policy.limits, await account.found(), self._command))
        if deadline is not None:
            now = self._clock.now()
            ended_at = now + deadline - (time.monotonic() - started)
            self._speech.note(opening.deadline(ends["park_at"], ended_at, now, self._command))

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

        return self._stops.heard_by(park)

    def _warn(self, told: str | None) -> None:
        if told is not None:
            self._speech.warn(told)


def _verified(records: Mapping[str, Record]) -> frozenset[str]:
    """The temporary files that the journal still counts on."""
    files = (part.file for record in records.values() for part in record.parts if part.state is State.VERIFIED)
    return frozenset(file.temp for file in files if file is not None and file.temp is not None)


def _run_id(now: float) -> str:
    """Run ids sort by time."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{random.SystemRandom().randrange(16**6):06x}"
