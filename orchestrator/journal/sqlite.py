"""The journal in SQLite: one thread writes, in groups, and answers when the group is durable.

A commit costs a wait for the disk, however much is in it. So while one group is on its way, everybody else's events
gather in a queue and become the next group. And to wake the thread costs more than most of what it is told: what comes within
one round of the loop goes to it together.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine.ports import Clock, Snapshot
from orchestrator.engine.states import Event
from orchestrator.journal.database import Database, Write, open_database
from orchestrator.journal.filesystem import filesystem_type
from orchestrator.journal.records import found_nothing_to_do, report_row, to_text
from orchestrator.journal.versions import MIGRATIONS, Migration

GROUP = 1000
"""Callers after which a commit takes no more along: a bound on how long the first of them waits."""

LINGER = 0.004
"""Seconds for which the thread dozes before it waits to be woken: to wake it costs the loop more than to find it awake, and what
comes meanwhile is one commit. Who comes when it waits already is written at once.
"""

ALONE = 3
"""Commits for one caller each, in a row, after which it does not doze: nothing would gather, and who writes one thing after the
other waits for each.
"""

NOTES_EVERY = 1.0
"""Seconds: an account's notes change with each export, and the last ones say it all."""

RUNS = 10
"""Runs of which the head is kept: the last ones. The whole report, which lists every export, is kept of one run only: the last
one that found something to do.
"""

_LIGHTEN = "UPDATE runs SET report = NULL WHERE report IS NOT NULL"
_INSERT = "INSERT INTO runs (finished_at, head, report) VALUES (?, ?, ?)"
_INSERT_BELOW = """INSERT INTO runs (finished_at, head, report)
  VALUES (?, ?, CASE WHEN EXISTS (SELECT 1 FROM runs WHERE report IS NOT NULL) THEN NULL ELSE ? END)"""
_FORGET = "DELETE FROM runs WHERE seq <= (SELECT max(seq) FROM runs) - ? AND report IS NULL"


@dataclass(frozen=True, slots=True)
class _Wish:
    """`write` is None for the last one: close."""

    write: Write | None
    answer: asyncio.Future[None] | None = None


class SqliteJournal:
    """Implements `Journal`, and keeps the account's values (see `account.py`).

    `state_dir` must exist (`prepare_state`) and its lock be held. After `open`, `rebuilt` and `warning` hold what people
    should be told: that a damaged journal was moved aside, that the place is a poor one.
    """

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        *,
        migrations: Sequence[Migration] = MIGRATIONS,
        filesystem: Callable[[Path], str | None] = filesystem_type,
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._migrations = migrations
        self._filesystem = filesystem
        self._round: list[_Wish] = []
        """What has come in this round of the loop."""
        self._queue: queue.SimpleQueue[list[_Wish]] = queue.SimpleQueue()
        self._alone = 0
        """Commits in a row that were for one caller each."""
        self._open = False
        self._noted: set[str] = set()
        self._noted_at = -math.inf
        self.rebuilt: str | None = None
        self.warning: str | None = None
        self.account: dict[str, Any] = {}

    async def open(self) -> Snapshot:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Snapshot] = loop.create_future()
        # A daemon: a run that is told to stop at once must not wait for it, and every commit is whole or not there.
        threading.Thread(target=self._serve, args=(loop, opened), name="journal", daemon=True).start()
        self._open = True
        return await opened

    async def append(self, events: Sequence[Event]) -> None:
        if events:
            if self._clock.now() >= self._noted_at + NOTES_EVERY:
                self._put_notes()
            await self._written(Write(events=tuple(events)))

    async def finish_run(self, report: Mapping[str, Any]) -> None:
        row = (float(self._clock.now()), *report_row(report))
        insert = ((_INSERT_BELOW, row),) if found_nothing_to_do(report) else ((_LIGHTEN, ()), (_INSERT, row))
        await self._written(Write(statements=(*insert, (_FORGET, (RUNS,)))))

    async def remember(self, name: str, value: Any) -> None:
        """Keeps a value of the account; durable when it returns. Raises what `append` raises."""
        self.account[name] = value
        await self._written(self._account_write(name))

    def note(self, name: str, value: Any) -> None:
        """Keeps a value of the account: with events that are appended a little later, or at the end. Nobody is told if that
        fails.
        """
        self.account[name] = value
        self._noted.add(name)

    async def close(self) -> None:
        """Harmless if `open` failed or was never called."""
        if not self._open:
            return
        self._put_notes()
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(_Wish(None, closed))
        self._open = False
        await closed

    def _put_notes(self) -> None:
        self._noted_at = self._clock.now()
        while self._noted:
            self._put(_Wish(self._account_write(self._noted.pop())))

    def _account_write(self, name: str) -> Write:
        sql = "INSERT INTO account (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        return Write(statements=((sql, (name, to_text(self.account[name]))),))

    async def _written(self, write: Write) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(_Wish(write, answer))
        await answer

    def _put(self, wish: _Wish) -> None:
        if not self._open:
            raise RuntimeError("the journal is not open")
        if not self._round:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._round.append(wish)

    def _hand_over(self) -> None:
        wishes, self._round = self._round, []
        self._queue.put(wishes)

    def _abandon(self, opened: asyncio.Future[Snapshot], error: Exception) -> None:
        """There is no thread any more: whoever has called meanwhile (its opener may be cancelled) must not wait."""
        self._open = False
        _settle(opened, None, error)
        self._hand_over()
        with contextlib.suppress(queue.Empty):
            while True:
                for wish in self._queue.get_nowait():
                    _settle(wish.answer, None, None if wish.write is None else error)

    # ------------------------------------------------------------------------------------------- the writer's thread

    def _serve(self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[Snapshot]) -> None:
        try:
            database, found = open_database(
                self._state_dir, self._clock.now(), migrations=self._migrations, filesystem=self._filesystem
            )
        except Exception as error:  # noqa: BLE001  every error is the opener's to see, and this thread's end
            _on_loop(loop, self._abandon, opened, error)
            return
        self.rebuilt, self.warning, self.account = found.rebuilt, found.warning, database.account
        _on_loop(loop, _settle, opened, found.snapshot, None)
        del found  # what it was at the beginning need not be held to the end
        closing = None
        while closing is None:
            wishes = self._gather()
            closing = next((wish for wish in wishes if wish.write is None), None)
            self._commit(loop, database, [wish for wish in wishes if wish.write is not None])
        try:
            database.close()
        except Exception as error:  # noqa: BLE001  as above
            _on_loop(loop, _settle, closing.answer, None, error)
        else:
            _on_loop(loop, _settle, closing.answer, None, None)

    def _gather(self) -> list[_Wish]:
        """Waits for one wish, and takes along what else is there by then."""
        if self._alone < ALONE and self._queue.empty():
            time.sleep(LINGER)
        wishes = self._queue.get()
        with contextlib.suppress(queue.Empty):
            while len(wishes) < GROUP:
                wishes += self._queue.get_nowait()
        self._alone = self._alone + 1 if len(wishes) == 1 else 0
        return wishes

    def _commit(self, loop: asyncio.AbstractEventLoop, database: Database, wishes: Sequence[_Wish]) -> None:
        try:
            errors = database.commit([wish.write for wish in wishes if wish.write is not None])
        except Exception as error:  # noqa: BLE001  a bug of ours must reach its callers, or they would wait for ever
            errors = [error for _ in wishes]
        _on_loop(loop, _settle_all, [(wish.answer, error) for wish, error in zip(wishes, errors, strict=True)])


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for an answer any more
        loop.call_soon_threadsafe(call, *args)


def _settle_all(answers: Sequence[tuple[asyncio.Future[None] | None, Exception | None]]) -> None:
    for answer, error in answers:
        _settle(answer, None, error)


def _settle(answer: asyncio.Future[Any] | None, result: Any, error: Exception | None) -> None:
    if answer is None or answer.done():  # done: its caller was cancelled while it waited
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
