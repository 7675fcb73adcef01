"""Journals cut and edited: what was durable stays, what makes no sense is told, and nobody goes on from half a record."""

from __future__ import annotations

import asyncio
import json

import pytest
from fuzzing import costly, json_values, spoilt
from hypothesis import example, given
from hypothesis import strategies as st
from journal_files import Files, FixedClock, changed, opened

from orchestrator.engine import manifest as manifests
from orchestrator.engine import plan
from orchestrator.engine.states import (
    Alive,
    Created,
    Failed,
    File,
    Intended,
    Lost,
    Planned,
    Ready,
    Stored,
    Unanswered,
    Verified,
    apply,
    record_to_json,
)  # fmt: skip
from orchestrator.journal.account import JournalAccount, understood
from orchestrator.journal.records import record_text
from orchestrator.journal.sqlite import SqliteJournal

FILE = File("r1", 10, "ab", 3, 4.0, partial=False, path="a.json", temp="t.part")
LIFE = [
    Planned("a", 1.0, coordinates={"team": "a"}, path="a.json", window=(0, 9), requests=({"teamIds": ["a"]},)),
    Intended("a", 2.0, n=1), Unanswered("a", 2.0, n=1), Intended("a", 3.0, n=2), Created("a", 4.0, n=2, report_id="r1"),
    Planned("b", 4.0, coordinates={"team": "b"}, path="b.json", window=(0, 9), requests=({"teamIds": ["b"]},)),
    Alive("a", 5.0, report_id="r1"), Intended("b", 5.0, n=1), Created("b", 5.0, n=1, report_id="r2"), Ready("a", 6.0, report_id="r1"),
    Verified("a", 7.0, file=FILE), Stored("a", 8.0), Lost("b", 8.0, report_id="r2"), Failed("b", 9.0, code="x", message="y"),
    Planned("c", 9.0, coordinates={"team": "c"}, path="c.json", requests=({"teamIds": ["c"]},)), Intended("c", 9.0, n=1),
]  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The files that a kill left, and for each commit the length of the log after it with the records as they were then."""

    async def make():
        folder = tmp_path_factory.mktemp("history")
        journal = SqliteJournal(folder, FixedClock())
        await journal.open()
        log, records = folder / "journal.db-wal", {}
        commits = [(log.stat().st_size, {})]
        for event in LIFE:
            await journal.append([event])
            records[event.key] = apply(records.get(event.key), event)
            commits.append((log.stat().st_size, dict(records)))
        files = Files({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
        await journal.close()
        return files, commits, (folder / "journal.db").read_bytes()

    return asyncio.run(make())


@costly
@given(st.floats(0, 1), st.binary(max_size=40))
@example(0.0, b"")
@example(1.0, b"")
def test_a_log_cut_at_any_byte_holds_exactly_what_was_durable_before_it(history, at, rubbish):
    files, commits, _ = history
    log = files["journal.db-wal"]
    end = round(at * len(log))
    records, rebuilt = opened({**files, "journal.db-wal": log[:end] + rubbish})
    assert rebuilt is None
    assert records == [known for size, known in commits if size <= end or not known][-1]


@costly
@given(st.floats(0, 1))
def test_a_closed_journal_cut_at_any_byte_is_whole_or_moved_aside(history, at):
    _, commits, closed = history
    records, rebuilt = opened({"journal.db": closed[: round(at * len(closed))]})
    assert records == commits[-1][1] or (rebuilt and records == {})


def no_change(_connection):
    pass


@costly
@given(st.integers(-1, 6) | st.text(max_size=4), st.integers(0, 4))
def test_a_journal_of_any_version_is_migrated_refused_or_moved_aside(history, version, migrations):
    _, commits, closed = history
    data = changed(closed, ("UPDATE meta SET value = ? WHERE name = 'version'", (str(version),)))
    records, rebuilt = opened({"journal.db": data}, (no_change,) * migrations)
    try:
        number = int(version)
    except ValueError:
        number = 0
    if number > migrations + 1:
        assert records is None, "a newer journal is not touched"
    elif number < 1:
        assert rebuilt
    else:
        assert (records, rebuilt) == (commits[-1][1], None)


RECORDS = {}
for _event in LIFE:
    RECORDS[_event.key] = apply(RECORDS.get(_event.key), _event)
ODD = json_values | st.sampled_from(
    ["stored", "failed", "verified", "waiting", "r1", "stuck", 1e300, -1, 2**80, [], {}, ""]
)


@costly
@given(
    st.sampled_from("abc").flatmap(
        lambda key: st.tuples(st.just(key), spoilt(json.loads(record_text(RECORDS[key])), ODD))
    )
)
@example(("b", {**record_to_json(RECORDS["b"]), "path": 5}))
@example(("b", {**record_to_json(RECORDS["b"]), "parts": []}))
@example(("a", {**record_to_json(RECORDS["a"]), "key": "b"}))
def test_a_record_with_odd_values_is_one_to_go_on_from_or_the_journal_is_moved_aside(history, odd):
    key, record = odd
    data = changed(history[2], ("UPDATE exports SET record = ? WHERE key = ?", (json.dumps(record), key)))
    records, rebuilt = opened({"journal.db": data})
    assert records == {} if rebuilt else set(records) == set(RECORDS)
    manifests.build("job", records.values())
    for only in ("missing", "failed", "all"):
        plan.make([], records, {}, now=10.0, options=plan.Options(only), named=())


@costly
@given(
    st.dictionaries(
        st.sampled_from(["pause", "pause-files", "lessons", "found", "later"]),
        json_values | spoilt({"set_at": 1.7e9, "until": 1.7e9 + 60}) | st.just("{") | st.lists(st.floats(), max_size=3),
    )
)
@example({"pause": {"set_at": 1.7e9, "until": 1e300}})
@example({"pause": 5})
def test_what_is_known_of_the_account_is_kept_or_forgotten(history, account):
    sql = "INSERT OR REPLACE INTO account (name, value) VALUES (?, ?)"
    rows = [(sql, (name, value if value == "{" else json.dumps(value))) for name, value in account.items()]
    kept = (sql, ("pause-kept", json.dumps({"set_at": 1.7e9, "until": 1.7e9 + 60})))
    records, rebuilt = opened({"journal.db": changed(history[2], *rows, kept)})
    assert (records, rebuilt) == (RECORDS, None)

    class Keeper:
        def __init__(self):
            self.account = understood([values for _, values in (*rows, kept)])

        async def remember(self, name, value):
            self.account[name] = value

        note = remember

    async def used():
        known = JournalAccount(Keeper(), FixedClock())
        assert await known.paused_until("kept") == 1.7e9 + 60, "whatever else is odd, a pause is not shortened"
        for host in ("api", "files"):
            await known.pause(1.7e9 + 5, host)
            assert 1.7e9 + 5 <= await known.paused_until(host) < 1e12
        assert all(0 <= one.low <= one.high < 1e12 for one in await known.lessons())
        found = await known.found()
        assert all(limit is None or 0 < limit < 1e12 for limit in (found.per_second, found.unfinished))

    asyncio.run(used())
