"""Following a journal that another process writes."""

import asyncio
import shutil

import pytest

from orchestrator.engine.states import Created, Intended, Planned, State
from orchestrator.journal.follow import Follower
from orchestrator.journal.sqlite import SqliteJournal


class FixedClock:
    def now(self):
        return 1_700_000_000.0


async def opened(folder):
    journal = SqliteJournal(folder, FixedClock())
    await journal.open()
    return journal


async def test_each_look_brings_what_is_new_and_nothing_twice(tmp_path):
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},)), Planned("b", 5.0, requests=({},))])
    await journal.append([Intended("b", 6.0, n=1)])
    follower = Follower(tmp_path)
    snapshot, history = follower.begin(5.0)
    assert {key: record.state for key, record in snapshot.records.items()} == {"a": State.WAITING, "b": State.CREATING}
    assert [tuple(row) for row in history] == [("planned", "b", 5.0), ("intended", "b", 6.0)]
    assert follower.news().events == []
    await journal.append([Created("b", 7.0, n=1, report_id="r"), Intended("a", 8.0, n=1)])
    await journal.remember("pause", {"set_at": 1.0, "until": 9.0})
    news = follower.news()
    assert news.events == [Created("b", 7.0, n=1, report_id="r"), Intended("a", 8.0, n=1)]
    assert news.account == {"pause": {"set_at": 1.0, "until": 9.0}}
    assert (news.last_run, news.anew) == (None, False)
    await journal.finish_run({"run_id": "1", "outcome": "parked"})
    assert follower.news().last_run == {"run_id": "1", "outcome": "parked"}
    assert follower.news().last_run is None, "told once"
    await journal.close()


async def test_the_end_of_an_earlier_run_is_no_news(tmp_path):
    journal = await opened(tmp_path)
    await journal.finish_run({"run_id": "1"})
    follower = Follower(tmp_path)
    follower.begin(0.0)
    assert follower.news().last_run is None
    await journal.close()


async def test_a_journal_that_is_not_there_yet_brings_nothing_and_then_everything(tmp_path):
    follower = Follower(tmp_path)
    snapshot, history = follower.begin(0.0)
    assert (dict(snapshot.records), history) == ({}, [])
    assert follower.news().events == ()
    journal = await opened(tmp_path)
    await journal.append([Planned("a", 1.0, requests=({},))])
    assert [event.key for event in follower.news().events] == ["a"]
    await journal.close()


@pytest.mark.parametrize("others", ["xy", "xyz", "wxyz"])
async def test_another_journal_in_its_place_is_read_from_its_beginning(tmp_path, others):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, keys in ((old, "abc"), (new, others)):
        folder.mkdir()
        journal = await opened(folder)
        await journal.append([Planned(key, 1.0, requests=({},)) for key in keys])
        await journal.close()
    follower = Follower(old)
    follower.begin(0.0)
    await asyncio.to_thread(shutil.copy, new / "journal.db", old / "journal.db")
    news = follower.news()
    assert news.anew
    assert [event.key for event in news.events] == list(others)
    assert (follower.news().anew, follower.news().events) == (False, [])


async def test_whoever_follows_leaves_the_journal_as_one_file(tmp_path):
    journal = await opened(tmp_path)
    follower = Follower(tmp_path)
    follower.begin(0.0)
    await journal.append([Planned("a", 1.0, requests=({},))])
    follower.news()
    await journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["journal.db"]
