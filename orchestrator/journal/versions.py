"""The journal's version, and how an older journal becomes one of this version.

One number tells both the tables and the JSON forms in them (`states.VERSION`): a change of either is a new version and
adds a function to `MIGRATIONS`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.version import __version__

Migration = Callable[[sqlite3.Connection], None]


def _deflate_reports(connection: sqlite3.Connection) -> None:
    """Version 2: the last run's report is kept deflated; whole, it was most of a large run's memory at its end."""
    connection.create_function("deflated", 1, lambda text: zlib.compress(text.encode()))
    for statement in (
        "ALTER TABLE runs RENAME TO runs_1",
        """CREATE TABLE runs (
             seq INTEGER PRIMARY KEY,
             finished_at REAL NOT NULL CHECK (typeof(finished_at) = 'real'),
             head TEXT NOT NULL CHECK (head LIKE '{%}'),
             report BLOB CHECK (typeof(report) IN ('blob', 'null'))
           )""",
        """INSERT INTO runs SELECT seq, finished_at, head, CASE WHEN report IS NOT NULL THEN deflated(report) END
             FROM runs_1""",
        "DROP TABLE runs_1",
    ):
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (_deflate_reports,)
"""The n-th function turns a journal of version n into one of version n + 1. It runs inside a transaction, so it must
not call `executescript`, which commits first."""


def newest(migrations: Sequence[Migration]) -> int:
    return len(migrations) + 1


def stamp(at: float) -> str:
    """A moment as part of a file's name."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def create_tables(connection: sqlite3.Connection, at: float, version: int) -> None:
    schema = files("orchestrator.journal").joinpath("schema.sql").read_text(encoding="utf-8")
    connection.executescript(f"BEGIN IMMEDIATE;\n{schema}")
    created = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    rows = [("version", str(version)), ("app", __version__), ("created", created), ("lease", "")]
    connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
    connection.execute("COMMIT")


def version_of(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    """The journal's version. Raises `JournalError` if a newer program wrote it, `ValueError` if it is none of ours."""
    meta = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('version', 'app')"))
    version = int(meta.get("version", "0"))
    if version < 1:
        raise ValueError("it does not say its version")
    if version > newest(migrations):
        raise JournalError(
            f"{path} was written by orchestrator {meta.get('app', '(unknown)')}, journal version {version}; "
            f"this is orchestrator {__version__}, which knows journals up to version {newest(migrations)}",
            code="journal.newer",
            hint="Use that version of orchestrator or a newer one, or name another state folder with `--state DIR`.",
        )
    return version


def migrate(connection: sqlite3.Connection, version: int, migrations: Sequence[Migration]) -> None:
    """Brings a journal of an older `version` up to date, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[version - 1 :]:
            migration(connection)
        rows = [(str(newest(migrations)), "version"), (__version__, "app")]
        connection.executemany("UPDATE meta SET value = ? WHERE name = ?", rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
