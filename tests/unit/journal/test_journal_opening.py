"""How the journal's file is opened: versions, damage, and the schema itself."""

import contextlib
import re
import sqlite3
import stat
from importlib.resources import files

import pytest

from orchestrator.engine.states import VERSION, Intended, Planned, State
from orchestrator.errors import JournalError
from orchestrator.journal.reader import read_last_run, read_snapshot
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.versions import MIGRATIONS, newest
from orchestrator.version import __version__


class FixedClock:
    def now(self):
        return 1_700_000_000.0  # 2023-11-14T22:13:20Z


def journal_in(folder, **options):
    return SqliteJournal(folder, FixedClock(), **options)


async def filled(folder, *, close=True):
    journal = journal_in(folder)
    await journal.open()
    await journal.append([Planned("a", 1.0, path="a.json", requests=({},))])
    if close:
        await journal.close()
    return journal


def changed(folder, *statements):
    with contextlib.closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_the_schema_knows_all_states():
    schema = files("orchestrator.journal").joinpath("schema.sql").read_text()
    allowed = re.search(r"state IN \(([^)]*)\)", schema)[1]
    assert re.findall(r"'(\w+)'", allowed) == list(State)


def test_a_new_json_form_is_a_new_version_of_the_journal():
    assert newest(MIGRATIONS) >= VERSION


async def test_the_schema_refuses_what_no_journal_holds(tmp_path):
    await filled(tmp_path)
    for statement in (
        "UPDATE exports SET state = 'lost'",
        "UPDATE exports SET version = 0",
        "UPDATE exports SET record = ''",
        "INSERT INTO meta VALUES ('', 'x')",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            changed(tmp_path, statement)
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("PRAGMA foreign_keys = ON")
    for values in ("('none', 0, 'x', 1.0, '{}')", "('a', -1, 'x', 1.0, '{}')", "('a', 0, '', 1.0, '{}')"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"INSERT INTO events (key, part, kind, at, data) VALUES {values}")
    connection.close()


def add_note(connection):
    connection.execute("ALTER TABLE exports ADD COLUMN note TEXT NOT NULL DEFAULT 'migrated'")


def break_down(connection):
    connection.execute("DELETE FROM exports")
    raise sqlite3.OperationalError("no")


@pytest.mark.parametrize("close", [True, False], ids=["closed", "with its log"])
async def test_an_older_journal_is_migrated_after_a_copy(tmp_path, close):
    old = await filled(tmp_path, close=close)
    assert set(read_snapshot(tmp_path, migrations=(*MIGRATIONS, add_note)).records) == {"a"}
    journal = journal_in(tmp_path, migrations=(*MIGRATIONS, add_note))
    assert set((await journal.open()).records) == {"a"}
    await journal.append([Intended("a", 2.0, n=1)])
    await journal.close()
    await old.close()
    copy = tmp_path / f"journal.db.v{newest(MIGRATIONS)}-20231114T221320Z"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() == (str(newest(MIGRATIONS)),)
    assert connection.execute("SELECT key FROM exports").fetchall() == [("a",)]
    connection.close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    assert connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() == (
        str(newest(MIGRATIONS) + 1),
    )
    assert connection.execute("SELECT note FROM exports").fetchall() == [("migrated",)]
    connection.close()


async def test_the_report_in_a_journal_of_version_1_is_read_on(tmp_path):
    await filled(tmp_path)
    changed(
        tmp_path,
        "DROP TABLE runs",
        "CREATE TABLE runs (seq INTEGER PRIMARY KEY, finished_at REAL NOT NULL, head TEXT NOT NULL, report TEXT)",
        """INSERT INTO runs VALUES (1, 1.0, '{"job": "a"}', NULL), (2, 2.0, '{"job": "b"}', '{"job": "b", "exports": []}')""",
        "UPDATE meta SET value = '1' WHERE name = 'version'",
    )
    assert read_last_run(tmp_path).report == '{"job": "b", "exports": []}', "without touching it"
    journal = journal_in(tmp_path)
    assert (await journal.open()).last_run == {"job": "b"}
    await journal.close()
    assert (tmp_path / "journal.db.v1-20231114T221320Z").exists()
    assert read_last_run(tmp_path).report == '{"job": "b", "exports": []}'


async def test_a_migration_that_fails_changes_nothing(tmp_path):
    await filled(tmp_path)
    journal = journal_in(tmp_path, migrations=(*MIGRATIONS, add_note, break_down))
    with pytest.raises(JournalError) as raised:
        await journal.open()
    assert raised.value.code == "journal.migration"
    assert set(read_snapshot(tmp_path).records) == {"a"}
    again = journal_in(tmp_path)
    assert set((await again.open()).records) == {"a"}
    await again.close()


async def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path):
    await filled(tmp_path)
    changed(
        tmp_path,
        "UPDATE meta SET value = '7' WHERE name = 'version'",
        "UPDATE meta SET value = '9.9.9' WHERE name = 'app'",
    )
    before = (tmp_path / "journal.db").read_bytes()
    journal = journal_in(tmp_path)
    with pytest.raises(JournalError) as writing:
        await journal.open()
    await journal.close()
    with pytest.raises(JournalError) as reading:
        read_snapshot(tmp_path)
    for told in (writing.value, reading.value):
        assert told.code == "journal.newer"
        assert "9.9.9, journal version 7" in told.message
        assert f"{__version__}, which knows journals up to version {newest(MIGRATIONS)}" in told.message
        assert told.hint
    assert (tmp_path / "journal.db").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.db"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:9000])


def scribble(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"<html>" * 1000),
    "truncated": truncate,
    "scribbled": scribble,
    "not ours": lambda path: (
        path.unlink(),
        sqlite3.connect(path).executescript("CREATE TABLE t (x)").connection.close(),
    ),
    "no version": lambda path: changed(path.parent, "DELETE FROM meta"),
    "odd version": lambda path: changed(path.parent, "UPDATE meta SET value = 'x' WHERE name = 'version'"),
    "broken record": lambda path: changed(path.parent, "UPDATE exports SET record = '{]}'"),
    "strange record": lambda path: changed(path.parent, """UPDATE exports SET record = '{"key": "a"}'"""),
    "missing table": lambda path: changed(path.parent, "DROP TABLE runs"),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_journal_is_moved_aside_and_that_is_told(tmp_path, damage):
    await filled(tmp_path)
    path = tmp_path / "journal.db"
    DAMAGE[damage](path)
    (tmp_path / "journal.db-wal").write_bytes(b"")
    found = path.read_bytes()
    with pytest.raises(JournalError) as raised:
        read_snapshot(tmp_path)
    assert raised.value.code == "journal.damaged"
    assert raised.value.hint
    journal = journal_in(tmp_path)
    snapshot = await journal.open()
    assert dict(snapshot.records) == {}
    aside = tmp_path / "journal.db.corrupt-20231114T221320Z"
    assert str(aside) in journal.rebuilt
    assert "manifest" in journal.rebuilt
    assert aside.read_bytes() == found
    await journal.append([Planned("b", 1.0, requests=({},))])
    await journal.close()
    assert set(read_snapshot(tmp_path).records) == {"b"}


async def test_damage_twice_in_a_second_keeps_both(tmp_path):
    for content in (b"one", b"two"):
        (tmp_path / "journal.db").write_bytes(content)
        journal = journal_in(tmp_path)
        await journal.open()
        await journal.close()
    kept = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir() if "corrupt" in entry.name}
    assert kept == {"journal.db.corrupt-20231114T221320Z": b"one", "journal.db.corrupt-20231114T221320Z-2": b"two"}


async def test_a_log_without_its_journal_is_never_applied_to_a_new_one(tmp_path):
    old = await filled(tmp_path, close=False)
    (tmp_path / "journal.db").unlink()
    journal = journal_in(tmp_path)
    assert dict((await journal.open()).records) == {}
    await journal.close()
    await old.close()
    assert [entry.name for entry in tmp_path.glob("*.orphan-*-wal")] == ["journal.db.orphan-20231114T221320Z-wal"]


async def test_a_half_made_new_journal_is_made_anew(tmp_path):
    (tmp_path / "journal.db.new").write_bytes(b"half")
    journal = await filled(tmp_path)
    assert journal.rebuilt is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.db"]
