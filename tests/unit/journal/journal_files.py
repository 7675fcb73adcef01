"""The files of a journal, to be spoilt, and what then comes out of them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path

from orchestrator.engine.states import Created, Intended, Planned
from orchestrator.errors import JournalError, StorageError
from orchestrator.journal.reader import read_snapshot
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.versions import MIGRATIONS


class FixedClock:
    def now(self):
        return 1_700_000_000.0


KEYS = [f"k{n}" for n in range(20)]


async def fill(folder, *, close):
    journal = SqliteJournal(folder, FixedClock())
    await journal.open()
    for n, key in enumerate(KEYS):
        await journal.append([Planned(key, 1.0, path=f"{key}.json", requests=({"n": n, "pad": "x" * 400},))])
        await journal.append([Intended(key, 2.0, part=0)])
        await journal.append([Created(key, 3.0, part=0, report_id=f"r{n}")])
    if close:
        await journal.close()
    return journal


class Files(dict):
    """Names and bytes; hypothesis tells its arguments, and these are megabytes."""

    def __repr__(self):
        return f"Files({sorted(self)})"


def opened(files, migrations=MIGRATIONS):
    """What the reader, the writer and, once more, the reader make of these files: records, or a declared error."""

    async def write(folder):
        journal = SqliteJournal(folder, FixedClock(), migrations=migrations)
        try:
            records = dict((await journal.open()).records)
            await journal.append([Planned("new", 9.0, requests=({},))])
            return records, journal.rebuilt
        finally:
            await journal.close()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        with contextlib.suppress(JournalError, StorageError):
            read_snapshot(folder, migrations=migrations)
        try:
            records, rebuilt = asyncio.run(write(folder))
        except (JournalError, StorageError) as error:
            assert error.hint
            return None, None
        assert "new" in read_snapshot(folder, migrations=migrations).records
        return records, rebuilt


def changed(data, *statements, checks=False):
    """The bytes of a database file after statements of SQL, each with its values."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "journal.db"
        path.write_bytes(data)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"PRAGMA ignore_check_constraints = {int(not checks)}")
            for sql, values in statements:
                connection.execute(sql, values)
        return path.read_bytes()
