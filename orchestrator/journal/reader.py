"""Reads a journal without touching it: for `status` and `plan`, also while another process writes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from orchestrator.engine.ports import Snapshot
from orchestrator.errors import JournalError, said_by_system
from orchestrator.journal.account import is_time, understood
from orchestrator.journal.records import record_from_text, report_text
from orchestrator.journal.refusals import open_refusal, primary_code
from orchestrator.journal.soundness import sound
from orchestrator.journal.versions import MIGRATIONS, Migration, migrate, newest, version_of

T = TypeVar("T")
Look: TypeAlias = Callable[[sqlite3.Connection], T]
NAME = "journal.db"


def load(connection: sqlite3.Connection) -> Snapshot:
    """Everything a journal of this version knows."""
    records = {
        key: sound(key, record_from_text(text))
        for key, text in connection.execute("SELECT key, record FROM exports ORDER BY rowid")
    }
    last = connection.execute("SELECT head FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
    last_run = json.loads(last[0]) if last else None
    if not isinstance(last_run, dict | None):
        raise ValueError("the report of the last run is none")  # noqa: TRY004  it is the journal that is wrong
    return Snapshot(records, last_run, _cut_off_at(connection))


def _cut_off_at(connection: sqlite3.Connection) -> float | None:
    # Of the last event by its number, not by its time: an earlier process may have had another idea of the time.
    event = connection.execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    end = connection.execute("SELECT finished_at FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
    if event is None or not is_time(event[0]) or (end is not None and end[0] >= event[0]):
        return None
    return float(event[0])


def read_account(state_dir: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> dict[str, Any]:
    """What the journal in `state_dir` keeps of the account, by name; nothing if there is no journal.

    Otherwise as `read_snapshot`.
    """

    def kept(connection: sqlite3.Connection) -> dict[str, Any]:
        return understood(connection.execute("SELECT name, value FROM account"))

    return undisturbed(state_dir, kept, migrations) or {}


class LastRun(NamedTuple):
    """What is kept of the last run that found something to do, and ended in its own words."""

    report: str | None
    """The whole of it (`orchestrator.run/1`) as JSON; None if no run has ended so yet."""
    cut_off_at: float | None
    """When a later run wrote its last that did not end in its own words, in seconds since the epoch; None if there was none."""
    idle_at: float | None = None
    """When the latest of the runs after it ended that found nothing to do; None if there was none."""


def read_last_run(state_dir: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> LastRun:
    """The report of the last run that found something to do. Otherwise as `read_snapshot`."""

    def kept(connection: sqlite3.Connection) -> LastRun:
        row = connection.execute(
            "SELECT seq, report FROM runs WHERE report IS NOT NULL ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return LastRun(None, _cut_off_at(connection))
        idle_at = connection.execute("SELECT max(finished_at) FROM runs WHERE seq > ?", (row[0],)).fetchone()[0]
        return LastRun(report_text(row[1]), _cut_off_at(connection), idle_at)

    return undisturbed(state_dir, kept, migrations) or LastRun(None, None)


def read_snapshot(state_dir: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> Snapshot | None:
    """What the journal in `state_dir` knows; None if there is no journal.

    Nothing in the folder changes, save that SQLite may put its `-shm` index beside a log that lacks one. A journal of
    an older version is migrated in memory only. Raises `JournalError` if it is damaged, held, or of a newer version.
    """
    return undisturbed(state_dir, load, migrations)


def is_of_this_version(state_dir: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether there is a journal in `state_dir` that a run would write as it is, without a migration.

    Otherwise as `read_snapshot`.
    """

    def look(connection: sqlite3.Connection) -> bool:
        return version_of(connection, state_dir / NAME, migrations) == newest(migrations)

    return _at_rest(state_dir, look) or False


def undisturbed(state_dir: Path, look: Look[T], migrations: Sequence[Migration] = MIGRATIONS) -> T | None:
    """What `look` finds in the journal, as `read_snapshot` reads it; None if there is no journal."""

    def read(connection: sqlite3.Connection) -> T:
        version = version_of(connection, state_dir / NAME, migrations)
        if version == newest(migrations):
            return look(connection)
        connection.execute("COMMIT")
        copy = sqlite3.connect(":memory:", isolation_level=None)
        try:
            connection.backup(copy)
            migrate(copy, version, migrations)
            return look(copy)
        finally:
            copy.close()

    return _at_rest(state_dir, read)


def _at_rest(state_dir: Path, read: Look[T]) -> T | None:
    """What `read` makes of the file in one transaction, whatever its version; None if there is no journal."""
    path = state_dir / NAME
    try:
        refuse_symlinks(path)
        if not path.exists():
            return None
        try:
            return _read(path, "mode=ro", read)
        except sqlite3.OperationalError as error:
            if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            if Path(f"{path}-journal").exists():
                raise _unfinished(path) from None
            # The log's index can't be had in a folder that is not ours to write: what the file itself says must do.
            return _read(path, "immutable=1", read)
    except sqlite3.Error as error:
        if primary_code(error) in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_IOERR,
        ):
            raise open_refusal(error, path) from None
        raise _damaged(path, str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    except OSError as error:
        raise JournalError(
            f"{path} can't be read",
            hint="Give this user the right to read its folder (`ls -ld`), or look as the user who runs the job.",
            cause=said_by_system(error),
        ) from None


def refuse_symlinks(path: Path) -> None:
    """A link in the place of the journal or of its log would let somebody else's file be read or written as ours."""
    for name in ("", "-wal", "-shm", "-journal"):
        if Path(f"{path}{name}").is_symlink():
            raise JournalError(
                f"{path}{name} is a symbolic link; the journal must be a real file",
                code="journal.symlink",
                hint="Remove the link, or name the real folder with `--state DIR`.",
            )


def _read(path: Path, how: str, read: Look[T]) -> T:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5.0, isolation_level=None)
    try:
        connection.execute("BEGIN")  # one moment for all that is read
        return read(connection)
    finally:
        connection.close()


def _damaged(path: Path, why: str) -> JournalError:
    return JournalError(
        f"{path} is damaged",
        code="journal.damaged",
        cause=why,
        hint="Run the job: it moves the file aside and begins a new one from the manifest. Nothing that is stored is lost.",
    )


def _unfinished(path: Path) -> JournalError:
    return JournalError(
        f"{path} was left in the middle of a write",
        code="journal.unfinished",
        hint="Run the job: that puts the journal right.",
    )
