"""How the journal's file is opened: made, examined, migrated, or moved aside when it is damaged.

A new journal is made under another name and renamed when it is whole, so a `journal.db` without tables is never ours
half-made: it is damaged, and that is told. The file keeps its log beside it (`-wal`, `-shm`) only while a run is on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine.ports import Snapshot
from orchestrator.errors import JournalError
from orchestrator.journal.account import understood
from orchestrator.journal.filesystem import NETWORK
from orchestrator.journal.reader import NAME, load, refuse_symlinks
from orchestrator.journal.refusals import disk_refusal, open_refusal, primary_code, says_full, write_refusal
from orchestrator.journal.versions import Migration, create_tables, migrate, newest, stamp, version_of

BESIDE = ("-wal", "-shm", "-journal")

PATIENCE = 10.0
"""Seconds to wait for somebody else's short lock on the file."""

NOT_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class Damaged(Exception):
    """The file is no journal, or is one no longer."""


@dataclass(frozen=True, slots=True)
class Opened:
    connection: sqlite3.Connection
    path: Path
    snapshot: Snapshot
    account: dict[str, Any]
    """What is known of the account, by name."""
    rebuilt: str | None
    """What to tell people when a damaged journal was moved aside."""
    warning: str | None
    """What to tell people when the place is not a good one for a journal."""


def open_journal(
    folder: Path, at: float, *, migrations: Sequence[Migration], filesystem: Callable[[Path], str | None]
) -> Opened:
    """Opens the journal in `folder` for writing, whatever it finds there; `at` names the copies it makes.

    Raises `JournalError` if a newer version wrote it or its place can't be used, `StorageError` if the disk is full.
    """
    path = folder / NAME
    rebuilt = None
    try:
        refuse_symlinks(path)
        try:
            if not path.exists():
                _create(path, at, newest(migrations))
            connection, snapshot, account = _examine(path, at, migrations)
        except Damaged as damage:
            aside = _move_aside(path, at)
            rebuilt = (
                f"the journal was damaged ({damage}); it was moved aside to {aside} and a new one was begun. "
                "What is stored is known again from the manifest; exports that were under way are created anew"
            )
            _create(path, at, newest(migrations))
            connection, snapshot, account = _examine(path, at, migrations)
        warning = _choose_mode(connection, path, filesystem(folder))
    except sqlite3.Error as error:
        raise (write_refusal if says_full(error) else open_refusal)(error, path) from None
    except OSError as error:
        refusal = disk_refusal(error, path)
        if refusal.code == "storage.full":
            raise refusal from None
        raise JournalError(refusal.message, hint=refusal.hint, cause=refusal.cause) from None
    return Opened(connection, path, snapshot, account, rebuilt, warning)


def close_journal(connection: sqlite3.Connection) -> None:
    """Closes it as one file that any copy or cache takes whole, and that readers need nothing beside."""
    try:
        connection.execute("PRAGMA busy_timeout = 0")  # a run that ends has no time to wait for readers
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        # Somebody is reading just now, or the disk is full. What is in the log stays there, and is as durable.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def _create(path: Path, at: float, version: int) -> None:
    # A log without its database (somebody removed that one file) must never be applied to the new one.
    for name in BESIDE:
        orphan = Path(f"{path}{name}")
        if orphan.exists():
            orphan.rename(_free(f"{path}.orphan-{stamp(at)}{name}"))
    new = Path(f"{path}.new")
    for name in ("", "-journal"):
        Path(f"{new}{name}").unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    connection = _connect(new)
    try:
        create_tables(connection, at, version)
    finally:
        connection.close()
    new.rename(path)
    _sync(path.parent)


def _connect(path: Path) -> sqlite3.Connection:
    # `rw`, not `rwc`: a file that is not there must not be made here, with permissions of SQLite's choice.
    where = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(where, uri=True, timeout=PATIENCE, isolation_level=None)


def _examine(
    path: Path, at: float, migrations: Sequence[Migration]
) -> tuple[sqlite3.Connection, Snapshot, dict[str, Any]]:
    connection = _connect(path)
    try:
        with _telling_damage():
            for setting in ("foreign_keys = ON", "synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON"):
                connection.execute(f"PRAGMA {setting}")
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise Damaged(verdict)
            # Bytes that are no text in a table's definition would hinder only the first write.
            connection.execute("SELECT sql FROM sqlite_master").fetchall()
            version = version_of(connection, path, migrations)
        if version < newest(migrations):
            _migrate(connection, version, path, at, migrations)
        with _telling_damage():
            account = understood(connection.execute("SELECT name, value FROM account"))
            return connection, load(connection), account
    except BaseException:
        connection.close()
        raise


@contextlib.contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if primary_code(error) in NOT_DAMAGE:
            raise
        raise Damaged(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from None


def _migrate(
    connection: sqlite3.Connection, version: int, path: Path, at: float, migrations: Sequence[Migration]
) -> None:
    target = _free(f"{path}.v{version}-{stamp(at)}")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    copy = _connect(target)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    try:
        migrate(connection, version, migrations)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and primary_code(error) in NOT_DAMAGE:
            raise
        # Nothing was changed. To begin anew, as after damage, would forget a journal that an older program can read.
        raise JournalError(
            f"{path} could not be brought from version {version} to {newest(migrations)}",
            code="journal.migration",
            cause=str(error),
            hint=f"Please report it. The journal is as it was (a copy is {target.name}); the older program still reads it.",
        ) from error


def _move_aside(path: Path, at: float) -> Path:
    # The database goes first: a log left behind by a crash in between is an orphan, which `_create` recognises.
    aside = _free(f"{path}.corrupt-{stamp(at)}")
    for name in ("", *BESIDE):
        part = Path(f"{path}{name}")
        if part.exists():
            part.rename(f"{aside}{name}")
    _sync(path.parent)
    return aside


def _choose_mode(connection: sqlite3.Connection, path: Path, kind: str | None) -> str | None:
    if kind not in NETWORK:
        granted = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        if granted == "wal":
            return None
    connection.execute("PRAGMA journal_mode = DELETE")
    where = f"a network file system ({kind})" if kind in NETWORK else "a file system without shared memory"
    return (
        f"{path} is on {where}: it works more slowly there, and is only as safe as that file system's locks. "
        "Put the job's state on a local disk with `--state DIR`"
    )


def _free(wanted: str) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3` … that nobody has."""
    path, n = Path(wanted), 1
    while path.exists() or path.is_symlink():
        n += 1
        path = Path(f"{wanted}-{n}")
    return path


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
