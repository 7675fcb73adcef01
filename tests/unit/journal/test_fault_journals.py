"""Journals, records and manifests as no program has written them: only declared errors come out, and no record is invented."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from fuzzing import costly, json_values
from hypothesis import given
from hypothesis import strategies as st
from journal_files import KEYS, Files, FixedClock, changed, fill, opened

from orchestrator.engine.memory import settle
from orchestrator.engine.ports import Manifest
from orchestrator.errors import LockedError, OrchestratorError, StorageError
from orchestrator.journal.lock import JobLock
from orchestrator.journal.records import record_from_text, record_text
from orchestrator.storage.manifest import decode, encode
from orchestrator.storage.memory import MemoryStorage


@pytest.fixture(scope="module")
def journals(tmp_path_factory):
    """The files of a journal that was closed, and of one that a kill has left with its log."""

    async def make():
        closed, killed = tmp_path_factory.mktemp("closed"), tmp_path_factory.mktemp("killed")
        await fill(closed, close=True)
        journal = await fill(killed, close=False)
        files = [Files({path.name: path.read_bytes() for path in sorted(at.iterdir())}) for at in (closed, killed)]
        await journal.close()
        return files

    return asyncio.run(make())


@costly
@given(data=st.data())
def test_a_journal_cut_anywhere_opens_with_what_is_whole_or_is_moved_aside(journals, data):
    files = dict(data.draw(st.sampled_from(journals)))
    name = data.draw(st.sampled_from(sorted(set(files) - {"journal.db-shm"})))
    files[name] = files[name][: data.draw(st.integers(0, len(files[name])))]
    records, rebuilt = opened(files)
    if records is not None:
        assert set(records) <= set(KEYS)
        assert records or rebuilt or name != "journal.db"
        if not rebuilt and name == "journal.db-wal":  # a log that was cut is a shorter history, never a gap in it
            assert list(records) == KEYS[: len(records)]


def test_a_definition_of_a_table_that_is_no_text_is_found_before_the_first_write(journals):
    closed = journals[0]["journal.db"]
    records, rebuilt = opened({"journal.db": closed.replace(b"IN ('waiting'", b"IN ('\x80aiting'")})
    assert rebuilt
    assert records == {}


@costly
@given(data=st.data())
def test_a_journal_with_bytes_of_somebody_else_gives_declared_errors_only(journals, data):
    files = dict(data.draw(st.sampled_from(journals)))
    name = data.draw(st.sampled_from(sorted(set(files) - {"journal.db-shm"})))
    whole = files[name]
    at = data.draw(st.integers(0, max(len(whole) - 1, 0)))
    scribble = data.draw(st.binary(min_size=1, max_size=100))
    files[name] = whole[:at] + scribble + whole[at + len(scribble) :]
    records, _ = opened(files)
    assert records is None or set(records) <= set(KEYS)


@costly
@given(version=st.one_of(st.integers(-5, 99).map(str), st.text(max_size=20), st.integers(10**15, 10**20).map(str)))
def test_a_journal_of_any_version_is_opened_refused_or_moved_aside(journals, version):
    files = dict(journals[0])
    files["journal.db"] = changed(files["journal.db"], ("UPDATE meta SET value = ? WHERE name = 'version'", (version,)))
    records, rebuilt = opened(files)
    assert records is None or rebuilt or version == "1"


def test_a_record_is_the_same_when_it_is_read_again(journals):
    records, _ = opened(journals[0])
    assert [record_from_text(record_text(record)) for record in records.values()] == list(records.values())


# ------------------------------------------------------------------------------------------------------------ manifests


ENTRY = {
    "key": "k1-a", "coordinates": {"team": "a"}, "state": "stored", "report_ids": ["r"], "path": "a.json", "bytes": 2,
    "sha256": "ab", "rows": 0, "request": {}, "impersonate": None, "window": {"start": 0, "end": 1},
    "exported_at": "2024-01-01T00:00:00.000Z", "stored_at": "2024-01-01T00:00:00.000Z", "partial": False, "parts": [{"request": {}, "report_id": "r", "path": "a.json",
    "bytes": 2, "sha256": "ab", "rows": 0}],
}  # fmt: skip


@given(st.one_of(st.binary(max_size=200), json_values.map(lambda value: json.dumps(value).encode()), st.fixed_dictionaries({"schema": json_values, "job": json_values, "exports": json_values}).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_whatever_lies_in_the_manifests_place_only_a_declared_error_comes_out(data):
    with contextlib.suppress(StorageError):
        assert isinstance(decode(data), Manifest)


@given(st.sampled_from(sorted(ENTRY)), json_values, st.booleans())
def test_an_entry_with_anything_in_the_place_of_something_is_told_or_taken(place, value, remove):
    entry = {**ENTRY, place: value}
    if remove:
        del entry[place]
    with contextlib.suppress(OrchestratorError):
        manifest = decode(encode(Manifest("job", (entry,))))
        asyncio.run(settle({}, manifest, MemoryStorage(), 0.0))


# -------------------------------------------------------------------------------------------------------------- the lock


@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.long)])
async def test_of_two_who_want_the_lock_at_once_one_gets_it_and_one_is_told(tmp_path, rounds):
    """`flock` belongs to an open file, not to a process: two of them in threads contend as two processes do."""
    for _ in range(rounds):
        start, done = asyncio.Event(), asyncio.Event()
        ended = []

        def contend(loop, done=done, ended=ended):
            try:
                with JobLock(tmp_path, FixedClock()):
                    ended.append("works")
                    asyncio.run_coroutine_threadsafe(done.wait(), loop).result(20)
            except LockedError:
                ended.append("told")
                loop.call_soon_threadsafe(done.set)

        loop = asyncio.get_running_loop()
        start.set()
        await asyncio.gather(*(asyncio.to_thread(contend, loop) for _ in range(2)))
        assert sorted(ended) == ["told", "works"]
