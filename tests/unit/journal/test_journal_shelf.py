"""What a journal that is being written holds in memory, and what it takes from its file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from orchestrator.engine.states import Created, Failed, Intended, Planned, Revived, State
from orchestrator.errors import LeaseLostError
from orchestrator.journal.database import Write, open_database
from orchestrator.journal.versions import MIGRATIONS

KEYS = [f"k{n}" for n in range(30)]


@pytest.fixture
def database(tmp_path):
    made, _ = open_database(tmp_path, 1.0, migrations=MIGRATIONS, filesystem=lambda _: None)
    yield made
    made.close()


def write(database, *events):
    [error] = database.commit([Write(tuple(events))])
    if error is not None:
        raise error


def records(folder):
    with closing(sqlite3.connect(folder / "journal.db")) as file:
        return dict(file.execute("SELECT key, state FROM exports"))


def test_only_exports_that_something_becomes_of_are_held(database):
    for key in KEYS:
        write(database, Planned(key, 1.0, path=f"{key}.json", requests=({},)))
    assert database._shelf._at_work == {}
    for n, key in enumerate(KEYS):
        write(database, Intended(key, 2.0, n=1))
        assert list(database._shelf._at_work) == [key]
        write(database, Created(key, 3.0, n=1, report_id=f"r{n}"))
        write(database, Failed(key, 4.0, code="c", message="m"))
        assert database._shelf._at_work == {}


def test_what_was_put_away_is_gone_on_with(database, tmp_path):
    write(database, Planned("a", 1.0, path="a.json", requests=({"start": 7},)))
    write(database, Intended("a", 2.0, n=1))
    write(database, Failed("a", 3.0, code="c", message="m"))
    write(database, Revived("a", 4.0, reason="again"))
    assert records(tmp_path) == {"a": State.WAITING}
    record = database._shelf["a"]
    assert (record.parts[0].request, record.parts[0].intents) == ({"start": 7}, 1)


def test_several_writes_of_one_commit_see_each_other(database, tmp_path):
    write(database, Planned("a", 1.0, path="a.json", requests=({},)))
    writes = [Write((Intended("a", 2.0, n=1),)), Write((Created("a", 3.0, n=1, report_id="r"),))]
    assert database.commit(writes) == [None, None]
    assert records(tmp_path) == {"a": State.GENERATING}


@pytest.mark.parametrize("change", ["UPDATE exports SET version = version + 1", "DELETE FROM exports"])
def test_a_record_that_somebody_else_has_changed_is_nobodys_to_go_on_from(database, tmp_path, change):
    write(database, Planned("a", 1.0, path="a.json", requests=({},)))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute(change)
        file.commit()
    with pytest.raises(LeaseLostError):
        write(database, Intended("a", 2.0, n=1))
