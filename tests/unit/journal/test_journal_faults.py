"""The SQLite journal when things go wrong: kills, copies, full disks, takeovers, odd places."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from types import SimpleNamespace

import pytest

from orchestrator.engine.states import Created, Intended, Planned, State, apply, event_from_json
from orchestrator.errors import JournalError, LeaseLostError, StorageError
from orchestrator.journal import sqlite as sqlite_module
from orchestrator.journal.database import Database
from orchestrator.journal.reader import read_snapshot
from orchestrator.journal.sqlite import ALONE, LINGER, SqliteJournal


class FixedClock:
    def now(self):
        return 1_700_000_000.0


def journal_in(folder, **options):
    return SqliteJournal(folder, FixedClock(), **options)


async def keys_in(folder):
    journal = journal_in(folder)
    snapshot = await journal.open()
    await journal.close()
    return set(snapshot.records)


def planned(key):
    return Planned(key, 1.0, path=f"{key}.json", requests=({},))


async def test_closed_it_is_one_file_for_us_alone(tmp_path):
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.append([planned("a")])
    assert stat.S_IMODE((tmp_path / "journal.db-wal").stat().st_mode) == 0o600
    await journal.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.db"]
    assert stat.S_IMODE((tmp_path / "journal.db").stat().st_mode) == 0o600
    assert journal.rebuilt is None
    assert journal.warning is None


async def test_the_log_folds_to_the_records(tmp_path):
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.append([planned("a"), planned("b")])
    await journal.append([Intended("a", 2.0, n=1)])
    await journal.append([Created("a", 3.5, n=1, report_id="r")])
    await journal.close()
    folded = {}
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        for key, part, kind, at, data in connection.execute(
            "SELECT key, part, kind, at, data FROM events ORDER BY seq"
        ):
            folded[key] = apply(folded.get(key), event_from_json(kind, key, part, at, json.loads(data)))
    assert folded == read_snapshot(tmp_path).records


async def test_callers_share_commits(tmp_path, monkeypatch):
    groups = []
    commit = Database.commit

    def counted(self, writes):
        groups.append(len(writes))
        return commit(self, writes)

    monkeypatch.setattr(Database, "commit", counted)
    journal = journal_in(tmp_path)
    await journal.open()
    await asyncio.gather(*(journal.append([planned(f"k{n}")]) for n in range(500)))
    await journal.close()
    assert sum(groups) == 500
    assert len(groups) < 100
    assert len(await keys_in(tmp_path)) == 500


async def test_the_thread_dozes_for_callers_who_come_together_and_not_for_one_who_waits_for_each_answer(
    tmp_path, monkeypatch
):
    dozes, dozing, loop = [], asyncio.Event(), asyncio.get_running_loop()

    def sleep(seconds):
        dozes.append(seconds)
        loop.call_soon_threadsafe(dozing.set)

    monkeypatch.setattr(sqlite_module, "time", SimpleNamespace(sleep=sleep))
    journal = journal_in(tmp_path)
    await journal.open()
    for n in range(3 * ALONE):
        await journal.append([planned(f"k{n}")])
    assert len(dozes) <= ALONE
    dozes.clear()
    dozing.clear()
    await asyncio.gather(journal.append([planned("a")]), journal.append([planned("b")]))
    await asyncio.wait_for(dozing.wait(), 10)
    assert dozes == [LINGER]
    await journal.close()


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from orchestrator.engine.states import Planned
    from orchestrator.journal.sqlite import SqliteJournal

    class Clock:
        def now(self):
            return 1_700_000_000.0

    async def write(journal, worker):
        for n in range(1_000_000):
            key = f"{worker}-{n}"
            await journal.append([Planned(key, 1.0, requests=({},)), Planned(key + "-twin", 1.0, requests=({},))])
            print(key, flush=True)

    async def main():
        journal = SqliteJournal(Path(sys.argv[1]), Clock())
        await journal.open()
        await asyncio.gather(*(write(journal, worker) for worker in range(8)))

    asyncio.run(main())
"""


def killed_writer(folder, acknowledged):
    """Kills a writing process after that many acknowledgements; all the acknowledgements it made."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        keys = [process.stdout.readline().strip() for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
    return keys + rest.split("\n")[:-1]  # what has no newline was not told whole


@pytest.mark.parametrize("acknowledged", [1, 50, 300])
async def test_what_was_acknowledged_survives_a_kill(tmp_path, acknowledged):
    told = killed_writer(tmp_path, acknowledged)
    before = read_snapshot(tmp_path)
    keys = await keys_in(tmp_path)
    assert set(told) <= keys
    assert set(before.records) == keys
    assert {key.removesuffix("-twin") for key in keys} == {key for key in keys if not key.endswith("-twin")}
    assert all(f"{key}-twin" in keys for key in keys if not key.endswith("-twin"))


def copied_by_another(file, folder):
    """By another process: to open and close a live database oneself would drop SQLite's locks on it."""
    subprocess.run(["cp", file, folder], check=True)


async def test_a_copy_without_its_log_opens_and_never_lies(tmp_path):
    """As a cache takes it, at any moment: what it then tells was all true at one moment, an earlier one."""
    journal = journal_in(tmp_path)
    await journal.open()
    moments, true, behind = [{}], {}, set()
    for n in range(40):
        key, pad = f"k{n:02}", ({"pad": "x" * 60_000},)  # so much that SQLite moves the log into the file now and then
        for group in (
            [Planned(key, 1.0, path=f"{key}.json", requests=pad), Intended(key, 2.0, n=1)],
            [Created(key, 3.0, n=1, report_id=f"r{n}")],
        ):
            await journal.append(group)
            for event in group:
                true[key] = apply(true.get(key), event)
            moments.append(dict(true))
        copy = tmp_path / f"copy{n}"
        copy.mkdir()
        copied_by_another(tmp_path / "journal.db", copy)
        again = journal_in(copy)
        snapshot = await again.open()
        await again.close()
        assert again.rebuilt is None
        assert snapshot.records in moments
        behind.add(len(moments) - 1 - moments.index(snapshot.records))
    await journal.close()
    assert len(true) == 40
    assert min(behind) < 10 < max(behind), "some copies were fresh and some were stale"


@pytest.fixture
def writing(tmp_path):
    """Another process that is writing the journal."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.kill()


async def test_two_processes_the_later_one_wins(tmp_path, writing):
    journal = journal_in(tmp_path)
    snapshot = await journal.open()
    told, trouble = await asyncio.to_thread(writing.communicate)
    assert snapshot.records
    assert "LeaseLostError" in trouble
    await journal.append([planned("mine")])
    await journal.close()
    assert {*told.split(), "mine"} <= await keys_in(tmp_path)


async def test_records_changed_behind_our_back_end_the_lease(tmp_path):
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.append([planned("a")])
    other = sqlite3.connect(tmp_path / "journal.db")
    with other:
        other.execute("UPDATE exports SET version = version + 1")
    other.close()
    with pytest.raises(LeaseLostError):
        await journal.append([Intended("a", 2.0, n=1)])
    await journal.append([planned("b")])
    await journal.close()


async def test_a_journal_that_was_removed_takes_nothing_any_more(tmp_path):
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.append([planned("a")])
    (tmp_path / "journal.db").unlink()
    with pytest.raises(LeaseLostError, match="removed"):
        await journal.append([planned("b")])
    shutil.copy(tmp_path / "journal.db-wal", tmp_path / "journal.db")
    with pytest.raises(LeaseLostError, match="replaced"):
        await journal.append([planned("b")])
    await journal.close()


class Refusing:
    """A connection whose commits are refused, as by a full disk, until `left` is used up."""

    def __init__(self, connection, left, code=sqlite3.SQLITE_FULL):
        self._connection = connection
        self._left = left
        self._code = code

    def execute(self, sql, *args):
        if sql == "COMMIT" and self._left:
            self._left -= 1
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(sql, *args)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.fixture
async def refusing(tmp_path, monkeypatch):
    """An open journal of one planned export, and a function that lets its next commits fail."""
    databases = []
    build = Database.__init__

    def kept(self, *args):
        build(self, *args)
        databases.append(self)

    monkeypatch.setattr(Database, "__init__", kept)
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.append([planned("a"), planned("b")])

    def refuse(times, code=sqlite3.SQLITE_FULL):
        databases[0]._connection = Refusing(databases[0]._connection, times, code)

    yield journal, refuse
    await journal.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE])
async def test_on_a_full_disk_the_reserve_takes_what_has_happened_and_nothing_new(refusing, tmp_path, code):
    journal, refuse = refusing
    await journal.append([Intended("a", 2.0, n=1)])
    assert (tmp_path / "reserve").stat().st_size == 1024 * 1024
    refuse(1, code)
    created, intended = await asyncio.gather(
        journal.append([Created("a", 3.0, n=1, report_id="r")]),
        journal.append([Intended("b", 3.0, n=1)]),
        return_exceptions=True,
    )
    assert created is None
    assert isinstance(intended, StorageError)
    assert intended.code == "storage.full"
    assert intended.hint
    assert not (tmp_path / "reserve").exists()
    with pytest.raises(StorageError):
        await journal.append([Intended("b", 4.0, n=1)])
    await journal.finish_run({"outcome": "storage"})
    snapshot = read_snapshot(tmp_path)
    assert snapshot.records["a"].state is State.GENERATING
    assert snapshot.records["b"].state is State.WAITING
    assert snapshot.last_run == {"outcome": "storage"}


async def test_a_disk_without_any_room_takes_nothing_of_the_group(refusing, tmp_path):
    journal, refuse = refusing
    refuse(2)
    with pytest.raises(StorageError) as raised:
        await journal.append([planned("c")])
    assert raised.value.code == "storage.full"
    await journal.append([planned("d")])
    assert set(read_snapshot(tmp_path).records) == {"a", "b", "d"}


async def test_a_failing_disk_is_told_as_one(refusing, tmp_path):
    journal, refuse = refusing
    refuse(1, sqlite3.SQLITE_IOERR_FSYNC)
    with pytest.raises(StorageError) as raised:
        await journal.append([planned("c")])
    assert raised.value.code == "storage.io"
    assert (tmp_path / "reserve").exists()


LIMITED = """
    import asyncio, resource, sys
    from pathlib import Path
    from orchestrator.engine.states import Planned
    from orchestrator.errors import StorageError
    from orchestrator.journal.sqlite import SqliteJournal

    class Clock:
        def now(self):
            return 1_700_000_000.0

    async def main():
        journal = SqliteJournal(Path(sys.argv[1]), Clock())
        await journal.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        n = 0
        try:
            while True:
                await journal.append([Planned(f"k{n:05}", 1.0, requests=({"pad": "x" * 2000},))])
                n += 1
        except StorageError as error:
            print(n, error.code)
        await journal.close()

    asyncio.run(main())
"""


async def test_at_a_limit_of_the_system_nothing_acknowledged_is_lost(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    count, code = done.stdout.split()
    assert code == "storage.full"
    assert await keys_in(tmp_path) == {f"k{n:05}" for n in range(int(count))}


async def test_a_disk_that_is_full_at_the_start_is_told_at_the_start(tmp_path, monkeypatch):
    def no_room(path, flags, mode=0o777):
        raise OSError(28, "No space left on device")

    journal = journal_in(tmp_path)
    monkeypatch.setattr("orchestrator.journal.reserve.os.open", no_room)
    with pytest.raises(StorageError) as raised:
        await journal.open()
    assert raised.value.code == "storage.full"
    await journal.close()


async def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(JournalError) as raised:
        await journal_in(tmp_path / "none").open()
    assert raised.value.hint


@pytest.mark.parametrize("folder", [".", "none"], ids=["opens", "fails"])
async def test_an_open_that_was_cancelled_can_be_closed(tmp_path, folder):
    journal = journal_in(tmp_path / folder)
    opening = asyncio.create_task(journal.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await journal.close()
    await journal.close()


async def test_whoever_writes_while_the_opening_fails_is_told(tmp_path):
    journal = journal_in(tmp_path / "none")
    opening = asyncio.create_task(journal.open())
    await asyncio.sleep(0)
    for thread in [thread for thread in threading.enumerate() if thread.name == "journal"]:
        thread.join()  # it has failed, and the loop is to hear of it in its next round
    with pytest.raises(JournalError):
        await journal.append([planned("a")])
    with pytest.raises(JournalError):
        await opening
    await journal.close()


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
async def test_a_symlink_is_refused(tmp_path, name):
    target = tmp_path / "elsewhere"
    (tmp_path / name).symlink_to(target)
    with pytest.raises(JournalError) as raised:
        await journal_in(tmp_path).open()
    assert raised.value.code == "journal.symlink"
    with pytest.raises(JournalError):
        read_snapshot(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
async def test_on_a_network_file_system_it_works_without_a_log_and_says_so(tmp_path, kind):
    first = journal_in(tmp_path)
    await first.open()
    await first.append([planned("a")])
    await first.close()
    journal = journal_in(tmp_path, filesystem=lambda folder: kind)
    await journal.open()
    assert "--state DIR" in journal.warning
    assert kind in journal.warning
    await journal.append([planned("b")])
    assert not (tmp_path / "journal.db-wal").exists()
    assert set(read_snapshot(tmp_path).records) == {"a", "b"}
    await journal.close()


def mode_of(folder):
    with contextlib.closing(sqlite3.connect(folder / "journal.db")) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


async def test_where_there_is_no_shared_memory_the_mode_that_was_granted_counts(tmp_path, monkeypatch):
    """A file system that no list names: SQLite is asked for a log, declines, and is believed."""

    def without_shared_memory(path):
        where = f"{path.absolute().as_uri()}?mode=rw&vfs=unix-dotfile"
        return sqlite3.connect(where, uri=True, timeout=1.0, isolation_level=None)

    monkeypatch.setattr("orchestrator.journal.opening._connect", without_shared_memory)
    journal = journal_in(tmp_path)
    await journal.open()
    assert "without shared memory" in journal.warning
    assert "--state DIR" in journal.warning
    await journal.append([planned("a")])
    assert not (tmp_path / "journal.db-wal").exists()
    await journal.close()
    assert mode_of(tmp_path) == "delete"
    monkeypatch.undo()
    assert await keys_in(tmp_path) == {"a"}


async def test_a_bug_in_one_group_reaches_its_callers(tmp_path, monkeypatch):
    journal = journal_in(tmp_path)
    await journal.open()
    with monkeypatch.context() as patched:
        patched.setattr(Database, "commit", lambda self, writes: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await journal.append([planned("a")])
    await journal.append([planned("a")])
    await journal.close()
