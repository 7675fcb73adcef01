"""The journal's database on the thread that owns it: groups of writes, each group one transaction.

Who wants to write is checked alone, against the records as the writes before left them: an illegal move is that
caller's own. What is left of the group is written together, all of it or nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine.states import Event, Intended, Record
from orchestrator.errors import LeaseLostError
from orchestrator.journal.opening import Opened, close_journal, open_journal
from orchestrator.journal.records import event_row, fold, record_text
from orchestrator.journal.refusals import full, says_full, write_refusal
from orchestrator.journal.reserve import Reserve
from orchestrator.journal.shelf import Shelf, lost
from orchestrator.journal.versions import Migration
from orchestrator.version import __version__


@dataclass(frozen=True, slots=True)
class Write:
    """What one caller wants written: events, and statements of SQL with their values."""

    events: tuple[Event, ...] = ()
    statements: tuple[tuple[str, tuple[Any, ...]], ...] = ()


class Database:
    """Takes the lease when it is made: whoever had it before can't write any more."""

    def __init__(self, opened: Opened, reserve: Reserve) -> None:
        self._connection = opened.connection
        self._path = opened.path
        self._reserve = reserve
        self._full = False
        self._shelf = Shelf(opened.connection, opened.snapshot.records)
        self.account = opened.account
        self._file = os.stat(self._path)  # noqa: PTH116  beside `samestat`, which has no Path form
        self._owner = secrets.token_hex(16)
        with self._transaction():
            rows = [(self._owner, "lease"), (__version__, "app")]
            self._connection.executemany("UPDATE meta SET value = ? WHERE name = ?", rows)

    def commit(self, writes: Sequence[Write]) -> list[Exception | None]:
        """One transaction for all. For each write: None, or why nothing of it is in the journal."""
        try:
            return self._attempt(writes)
        except sqlite3.Error as error:
            if not says_full(error) or not self._reserve.release():
                return [write_refusal(error, self._path) for _ in writes]
        except LeaseLostError as error:
            return [LeaseLostError(error.message, hint=error.hint) for _ in writes]
        # From here on the reserve serves what has happened; nothing new may be begun on a full disk.
        self._full = True
        return self.commit(writes)

    def close(self) -> None:
        close_journal(self._connection)
        self._reserve.release()

    def _attempt(self, writes: Sequence[Write]) -> list[Exception | None]:
        def known(key: str) -> Record | None:
            return changed.get(key) or self._shelf.get(key)

        answers: list[Exception | None] = []
        changed: dict[str, Record] = {}
        rows: list[tuple[str, int, str, float, str]] = []
        statements: list[tuple[str, tuple[Any, ...]]] = []
        for write in writes:
            try:
                if self._full and any(isinstance(event, Intended) for event in write.events):
                    raise full(self._path)
                fresh = [event_row(event) for event in write.events]
                changed.update(fold(write.events, known))
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001  whatever is wrong with one caller's events is that caller's
                answers.append(error)
            else:
                rows += fresh
                statements += write.statements
                answers.append(None)
        if rows or statements:
            with self._transaction():
                self._check_lease()
                self._project(changed)
                self._connection.executemany(
                    "INSERT INTO events (key, part, kind, at, data) VALUES (?, ?, ?, ?, ?)", rows
                )
                for sql, values in statements:
                    self._connection.execute(sql, values)
            self._shelf.written(changed)
        return answers

    def _project(self, changed: Mapping[str, Record]) -> None:
        versions = self._shelf.versions
        new = [(key, r.state, record_text(r)) for key, r in changed.items() if key not in versions]
        old = [(r.state, record_text(r), key, versions[key]) for key, r in changed.items() if key in versions]
        made = self._connection.executemany(
            "INSERT INTO exports (key, state, version, record) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING", new
        ).rowcount
        updated = self._connection.executemany(
            "UPDATE exports SET state = ?, version = version + 1, record = ? WHERE key = ? AND version = ?", old
        ).rowcount
        if max(made, 0) + max(updated, 0) != len(changed):  # SQLite says -1 of an empty list
            raise lost("its records were changed by another run")

    def _check_lease(self) -> None:
        lease = self._connection.execute("SELECT value FROM meta WHERE name = 'lease'").fetchone()
        if lease is None or lease[0] != self._owner:
            raise lost("another run has taken it over")
        try:
            current = os.stat(self._path)  # noqa: PTH116  beside `samestat`, which has no Path form
        except OSError:
            raise lost("its file was removed") from None
        if not os.path.samestat(current, self._file):
            raise lost("its file was replaced by another")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has often rolled back by itself
                self._connection.execute("ROLLBACK")
            raise


def open_database(
    folder: Path, at: float, *, migrations: Sequence[Migration], filesystem: Callable[[Path], str | None]
) -> tuple[Database, Opened]:
    """Opens the journal in `folder` and takes its lease. Raises what `open_journal` raises."""
    reserve = Reserve(folder)
    opened = open_journal(folder, at, migrations=migrations, filesystem=filesystem)
    try:
        reserve.make()
        return Database(opened, reserve), opened
    except BaseException as error:
        opened.connection.close()
        if isinstance(error, sqlite3.Error):
            raise write_refusal(error, opened.path) from None
        raise
