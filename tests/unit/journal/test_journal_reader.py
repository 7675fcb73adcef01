"""Reading a journal without touching it."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from orchestrator.engine.states import Intended, Planned, State
from orchestrator.errors import JournalError
from orchestrator.journal.reader import LastRun, read_account, read_last_run, read_snapshot
from orchestrator.journal.sqlite import SqliteJournal


class FixedClock:
    def now(self):
        return 1_700_000_000.0


async def opened(folder):
    journal = SqliteJournal(folder, FixedClock())
    await journal.open()
    return journal


def test_no_journal_is_none_and_nothing_is_made(tmp_path):
    assert read_snapshot(tmp_path / "none") is None
    assert read_snapshot(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


async def test_it_sees_what_is_appended_while_another_writes(tmp_path):
    journal = await opened(tmp_path)
    assert dict(read_snapshot(tmp_path).records) == {}
    await journal.append([Planned("a", 1.0, requests=({},))])
    assert read_snapshot(tmp_path).records["a"].state is State.WAITING
    await journal.append([Intended("a", 2.0, n=1)])
    await journal.finish_run({"run_id": "1"})
    snapshot = read_snapshot(tmp_path)
    assert snapshot.records["a"].state is State.CREATING
    assert snapshot.last_run == {"run_id": "1"}
    await journal.close()


async def test_what_is_kept_of_the_account_is_read_as_well(tmp_path):
    assert read_account(tmp_path) == {}
    journal = await opened(tmp_path)
    await journal.remember("pause", {"set_at": 1.0, "until": 2.0})
    await journal.remember("lessons", "what nobody can understand")
    assert read_account(tmp_path) == {"pause": {"set_at": 1.0, "until": 2.0}}
    await journal.close()
    (tmp_path / "journal.db").write_bytes(b"no database" * 1000)
    with pytest.raises(JournalError) as caught:
        read_account(tmp_path)
    assert caught.value.code == "journal.damaged"


async def test_a_closed_journal_is_read_without_a_trace(tmp_path):
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},))])
    await journal.close()
    before = (tmp_path / "journal.db").stat()
    assert set(read_snapshot(tmp_path).records) == {"a"}
    after = (tmp_path / "journal.db").stat()
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.db"]
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


async def test_a_reader_that_holds_on_does_not_keep_the_journal_from_closing(tmp_path):
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},))])
    reader = sqlite3.connect(f"file:{tmp_path}/journal.db?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM exports").fetchall()
    await journal.append([Planned("b", 1.0, requests=({},))])
    await journal.close()
    reader.close()
    assert set(read_snapshot(tmp_path).records) == {"a", "b"}


READ = """
    import sys
    from pathlib import Path
    from orchestrator.journal.reader import read_account, read_snapshot

    print(*sorted(read_snapshot(Path(sys.argv[1])).records))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without rights")
async def test_a_folder_of_somebody_else_is_read_as_far_as_it_goes(tmp_path):
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},))])
    await journal.close()
    os.chmod(tmp_path / "journal.db", 0o444)
    mode_wal = sqlite3.connect(tmp_path / "journal.db")
    mode_wal.execute("PRAGMA journal_mode = WAL")
    mode_wal.close()
    for entry in tmp_path.glob("journal.db-*"):
        entry.unlink()
    for folder in (tmp_path, *tmp_path.parents[:3]):
        os.chmod(folder, 0o755)
    # setuid after the imports: the interpreter itself may lie where nobody may look
    code = textwrap.dedent(READ).replace("print(", "import os; os.setuid(65534)\nprint(", 1)
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("a\n", "")


def test_a_write_that_was_cut_off_is_not_read_as_if_it_were_whole(tmp_path, monkeypatch):
    (tmp_path / "journal.db").write_bytes(b"")
    (tmp_path / "journal.db-journal").write_bytes(b"")

    def cant(*args, **kwargs):
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_ROLLBACK
        raise error

    monkeypatch.setattr("orchestrator.journal.reader.sqlite3.connect", cant)
    with pytest.raises(JournalError) as raised:
        read_snapshot(tmp_path)
    assert raised.value.code == "journal.unfinished"


async def test_a_hot_rollback_journal_is_told(tmp_path):
    """As a kill leaves it on a network file system."""
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},))])
    await journal.close()
    writer = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN EXCLUSIVE")
    writer.executemany("INSERT INTO account VALUES (?, ?)", [(str(n), "x" * 4000) for n in range(50)])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("journal.db", "journal.db-journal"):
        shutil.copy(tmp_path / name, crashed)
    writer.execute("ROLLBACK")
    writer.close()
    with pytest.raises(JournalError) as raised:
        read_snapshot(crashed)
    assert raised.value.code == "journal.unfinished"
    again = await opened(crashed)
    assert again.account == {}
    await again.close()
    assert set(read_snapshot(crashed).records) == {"a"}


IDLE = {"outcome": "succeeded", "counts": {"stored": 0, "skipped": 3}, "api": {"posts": 0, "polls": 0}, "exports": []}
DID = {**IDLE, "counts": {"stored": 3}, "exports": [{"action": "run"}]}


async def kept_after(folder, *reports):
    journal = await opened(folder)
    for report in reports:
        await journal.finish_run(report)
    await journal.close()
    return read_last_run(folder)


async def test_the_report_of_a_run_that_did_something_outlives_any_number_that_found_nothing_to_do(tmp_path):
    kept = await kept_after(tmp_path, IDLE, {**DID, "run_id": "did"}, *[{**IDLE, "run_id": str(n)} for n in range(25)])
    assert json.loads(kept.report)["run_id"] == "did"
    assert kept.idle_at == FixedClock().now()
    assert read_snapshot(tmp_path).last_run["run_id"] == "24"
    kept = await kept_after(tmp_path, {**DID, "run_id": "again"})
    assert (json.loads(kept.report)["run_id"], kept.idle_at) == ("again", None)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        kept_whole = journal.execute("SELECT count(*) FROM runs WHERE report IS NOT NULL").fetchone()
    assert kept_whole == (1,), "each lists every export"


async def test_the_first_run_leaves_its_report_whatever_it_found_to_do(tmp_path):
    assert read_last_run(tmp_path) == LastRun(None, None)
    kept = await kept_after(tmp_path, {**IDLE, "run_id": "1"})
    assert (json.loads(kept.report)["run_id"], kept.idle_at) == ("1", None)


@pytest.mark.parametrize(
    "worth",
    [
        {"outcome": "parked"},
        {"counts": {"stored": 0, "failed": 1}},
        {"api": {"posts": 0, "polls": 1}},
        {"exports": [{"action": "skip"}, {"action": "move"}]},
    ],
)
async def test_a_run_that_left_asked_or_moved_anything_leaves_its_report(tmp_path, worth):
    kept = await kept_after(tmp_path, DID, {**IDLE, **worth, "run_id": "2"})
    assert json.loads(kept.report)["run_id"] == "2"
