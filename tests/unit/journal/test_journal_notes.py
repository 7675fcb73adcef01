"""What is only noted of an account: it goes along with events, and not with each of them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from orchestrator.engine.states import Planned
from orchestrator.journal.sqlite import NOTES_EVERY, SqliteJournal


class SetClock:
    at = 1_700_000_000.0

    def now(self):
        return self.at


@pytest.fixture
def clock():
    return SetClock()


def kept(folder):
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        return {name: json.loads(value) for name, value in database.execute("SELECT name, value FROM account")}


async def noted(journal, value, key):
    journal.note("pace", value)
    await journal.append([Planned(key, 1.0, path=f"{key}.json", requests=({},))])


async def test_notes_go_along_with_events_once_in_a_while(tmp_path, clock):
    journal = SqliteJournal(tmp_path, clock)
    await journal.open()
    await noted(journal, 1, "a")
    assert kept(tmp_path) == {"pace": 1}
    await noted(journal, 2, "b")
    assert kept(tmp_path) == {"pace": 1}, "a moment later, it can wait"
    clock.at += NOTES_EVERY
    await noted(journal, 3, "c")
    assert kept(tmp_path) == {"pace": 3}
    await journal.close()


async def test_the_last_note_is_kept_when_the_journal_closes(tmp_path, clock):
    journal = SqliteJournal(tmp_path, clock)
    await journal.open()
    await noted(journal, 1, "a")
    journal.note("pace", 2)
    await journal.close()
    assert kept(tmp_path) == {"pace": 2}


async def test_what_is_remembered_is_durable_and_no_older_note_comes_after_it(tmp_path, clock):
    journal = SqliteJournal(tmp_path, clock)
    await journal.open()
    await noted(journal, 1, "a")
    journal.note("pace", 2)
    await journal.remember("pace", 3)
    assert kept(tmp_path) == {"pace": 3}
    clock.at += NOTES_EVERY
    await journal.append([Planned("b", 1.0, path="b.json", requests=({},))])
    await journal.close()
    assert kept(tmp_path) == {"pace": 3}
