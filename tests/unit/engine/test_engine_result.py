"""The report of a run: which state an export is in, and what is counted."""

from __future__ import annotations

import json

import pytest
from fakes import START, make_export

from orchestrator.engine.plan import Action, Item
from orchestrator.engine.result import Figures, build
from orchestrator.engine.states import Failure, File, Part, Record, Report, State
from orchestrator.errors import StorageError

EXPORT = make_export(0)
FILE = File("r1", 100, "ab", 3, START - 50, partial=False, path=EXPORT.path)


def item(action, export=EXPORT, path=None):
    return Item(EXPORT.key, EXPORT.coordinates, path or EXPORT.path, action, "why", export)


def record(state, **changes):
    part = Part(0, EXPORT.request, state=state, reports=(Report("r1", START),), **changes)
    return Record(EXPORT.key, dict(EXPORT.coordinates), EXPORT.path, None, (0, 10), (part,))


STORED = record(State.STORED, stored=FILE, stored_at=START + 9, submitted_at=START)
FAILED = record(State.FAILED, failure=Failure("c", "m", "h"))


def report_of(items, records=(), error=None, **figures):
    return build(
        job="job",
        run_id="run",
        outcome=lambda counts: "succeeded",
        reason=None,
        error=error,
        started_at=START,
        finished_at=START + 60,
        items=items,
        records={record.key: record for record in records},
        figures=Figures(**figures),
    )


@pytest.mark.parametrize(
    ("action", "found", "stored_now", "state"),
    [
        (Action.RUN, None, False, "pending"),
        (Action.RUN, STORED, True, "stored"),
        (Action.REPLACE, STORED, True, "stored"),
        (Action.REPLACE, record(State.GENERATING, stored=FILE), False, "pending"),
        (Action.RUN, FAILED, False, "failed"),
        (Action.REFUSED, FAILED, False, "failed"),
        (Action.SKIP, STORED, False, "skipped"),
        (Action.WAIT, None, False, "skipped"),
        (Action.MOVE, STORED, False, "skipped"),
        (Action.MOVE, record(State.WAITING), False, "pending"),
    ],
)
def test_where_an_export_stands(action, found, stored_now, state):
    path = "elsewhere.json" if (action, state) == (Action.MOVE, "pending") else None
    told = report_of([item(action, path=path)], [found] if found else [], stored={EXPORT.key} if stored_now else set())
    assert told["exports"][0]["state"] == state
    assert told["counts"][state] == told["counts"]["planned"] == 1


def test_an_export_that_was_stored():
    told = report_of(
        [item(Action.RUN)], [STORED], stored={EXPORT.key}, posts_of={EXPORT.key: 2}, polls_of={EXPORT.key: 5}
    )
    [export] = told["exports"]
    assert (told["bytes"], told["rows"]) == (export["bytes"], export["rows"]) == (100, 3)
    assert (export["sha256"], export["attempts"], export["polls"], export["error"]) == ("ab", 2, 5, None)
    assert export["timings"]["submitted_at"] == "2027-01-15T08:00:00.000Z"
    told["exports"] = list(told["exports"])
    assert json.loads(json.dumps(told)) == told


def test_an_export_that_failed():
    [export] = report_of([item(Action.RUN)], [FAILED])["exports"]
    assert export["error"] == {"code": "c", "message": "m", "cause": None, "hint": "h"}


def test_what_usually_stands_behind_a_failure_is_told_with_it():
    refused = record(State.FAILED, failure=Failure("request.forbidden", "HTTP 403", "h"))
    [export] = report_of([item(Action.RUN)], [refused])["exports"]
    assert export["error"]["cause"] == "usually the token's user does not see this shared inbox, tag or agent"


def test_what_the_job_no_longer_names_is_told_only_if_it_was_collected():
    left = item(Action.LEFT_OVER, export=None)
    assert report_of([left], [record(State.GENERATING)])["counts"]["planned"] == 0
    assert report_of([left], [STORED], stored={EXPORT.key})["counts"]["stored"] == 1


def test_possible_duplicates_are_those_of_the_whole_journal():
    open_intent = record(State.CREATING, duplicates=2)
    told = report_of([], [open_intent])
    assert told["api"]["possible_duplicates"] == 3


def test_what_ended_the_run_early():
    told = report_of([], error=StorageError("full", hint="make room", code="storage.full"))
    assert told["error"] == {"code": "storage.full", "message": "full", "cause": None, "hint": "make room"}


def test_exports_are_made_one_at_a_time_and_only_when_they_are_read(monkeypatch):
    made = []
    monkeypatch.setattr("orchestrator.engine.result._export", lambda told, *_: made.append(told.path) or {})
    told = report_of([item(Action.RUN, path=f"{n}.json") for n in range(4)])
    assert (told["counts"]["planned"], len(told["exports"]), made) == (4, 4, [])
    exports = iter(told["exports"])
    next(exports)
    assert made == ["0.json"]
    assert (list(told["exports"][1:3]), made[1:]) == ([{}, {}], ["1.json", "2.json"])
