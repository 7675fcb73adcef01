"""The fold: which event may come when, what it makes of a record, and that all of it survives JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.states import (
    EVENTS,
    FINAL,
    MOVES,
    Adopted,
    Alive,
    Cause,
    Created,
    Doubted,
    Event,
    Failed,
    File,
    IllegalMove,
    Intended,
    Lost,
    Moved,
    Moving,
    Part,
    Planned,
    Ready,
    Record,
    Refused,
    Report,
    Revived,
    State,
    Stored,
    Superseded,
    Torn,
    Unanswered,
    Verified,
    apply,
    event_from_json,
    event_to_json,
    record_from_json,
    record_to_json,
)

KEY = "k1-0"
PLANNED = Planned(KEY, 1.0, coordinates={"team": "a"}, path="a.json", window=(0, 10), requests=({"start": 0},))
FILE = File("r1", 2, "00", 0, 3.0, partial=False, path="a.json", temp="t.part")


def fold(*events: Event, record: Record | None = None) -> Record:
    for event in (PLANNED, *events) if record is None else events:
        record = apply(record, event)
    assert record is not None
    return record


def part_of(*events: Event) -> Part:
    return fold(*events).parts[0]


CREATED = (Intended(KEY, 2.0, n=1), Created(KEY, 3.0, n=1, report_id="r1"))
READY = (*CREATED, Ready(KEY, 4.0, report_id="r1"))
VERIFIED = (*READY, Verified(KEY, 5.0, file=FILE))
STORED = (*VERIFIED, Stored(KEY, 6.0))
FAILED = (Failed(KEY, 9.0, code="c", message="m"),)


def test_the_straight_way():
    part = part_of(*STORED)
    assert part.state is State.STORED
    assert part.stored == replace(FILE, temp=None)
    assert (part.submitted_at, part.ready_at, part.stored_at) == (2.0, 4.0, 6.0)
    assert part.reports[0].created_at == 2.0


@pytest.mark.parametrize(
    ("before", "event", "state"),
    [
        ((Intended(KEY, 2.0, n=1),), Refused(KEY, 3.0, n=1), State.WAITING),
        ((Intended(KEY, 2.0, n=1),), Unanswered(KEY, 3.0, n=1), State.WAITING),
        (CREATED, Alive(KEY, 4.0, report_id="r1"), State.GENERATING),
        (CREATED, Doubted(KEY, 4.0, report_id="r1"), State.GENERATING),
        (CREATED, Lost(KEY, 4.0, report_id="r1", cause=Cause.FAILED), State.WAITING),
        (READY, Lost(KEY, 4.0, report_id="r1", cause=Cause.EXPIRED), State.WAITING),
        (VERIFIED, Torn(KEY, 6.0), State.READY),
        (STORED, Revived(KEY, 7.0), State.WAITING),
        (STORED, Superseded(KEY, 7.0, by="k1-1"), State.SUPERSEDED),
        (STORED, Moved(KEY, 7.0, path="b.json"), State.STORED),
        ((), Adopted(KEY, 7.0, file=FILE), State.STORED),
        ((*CREATED, *FAILED), Revived(KEY, 10.0), State.GENERATING),
        (FAILED, Revived(KEY, 10.0), State.WAITING),
    ],
)
def test_where_an_event_leads(before, event, state):
    assert part_of(*before, event).state is state


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ((), Created(KEY, 2.0, n=1, report_id="r1")),
        ((), Stored(KEY, 2.0)),
        (CREATED, Intended(KEY, 4.0, n=2)),
        (CREATED, Verified(KEY, 4.0, file=FILE)),
        (CREATED, Alive(KEY, 4.0, report_id="another")),
        (STORED, Failed(KEY, 7.0)),
        (CREATED, Moved(KEY, 7.0, path="b.json")),
        (CREATED, Moving(KEY, 7.0, path="b.json")),
        (CREATED, Revived(KEY, 7.0)),
    ],
)
def test_what_may_not_come(before, event):
    record = fold(*before)
    with pytest.raises(IllegalMove):
        apply(record, event)
    assert record == fold(*before)


def test_nothing_comes_before_planned():
    with pytest.raises(IllegalMove, match="never planned"):
        apply(None, Revived(KEY, 1.0))


def test_every_event_has_its_moves():
    assert set(MOVES) | {Planned} == set(EVENTS.values())


def test_a_lost_answer_is_a_duplicate_and_a_ghost():
    part = part_of(Intended(KEY, 2.0, n=1), Unanswered(KEY, 30.0, n=1))
    assert (part.duplicates, part.ghosts, part.intended_at) == (1, (2.0,), None)


def test_a_stuck_report_is_paid_for_once_and_may_still_win():
    stuck = (*CREATED, Lost(KEY, 9.0, report_id="r1", cause=Cause.STUCK))
    part = part_of(*stuck)
    assert (part.state, part.spent, part.ghosts) == (State.WAITING, 1, (2.0,))
    assert part_of(*stuck, Lost(KEY, 10.0, report_id="r1", cause=Cause.FAILED)).spent == 1
    second = (Intended(KEY, 20.0, n=2), Created(KEY, 21.0, n=2, report_id="r2"))
    part = part_of(*stuck, *second, Ready(KEY, 30.0, report_id="r1"))
    assert (part.state, len(part.live)) == (State.READY, 2)
    assert part.ghosts == (2.0, 20.0), "its successor runs on"


def test_what_runs_on_after_a_failure_is_a_ghost():
    assert part_of(*CREATED, *FAILED).ghosts == (2.0,)


def test_a_revived_stored_part_keeps_its_file_and_forgets_its_reports():
    part = part_of(*STORED, Revived(KEY, 7.0))
    assert part.stored is not None
    assert (part.reports, part.spent, part.submitted_at) == ((), 0, None)


def test_new_labels_change_where_verified_bytes_go():
    record = fold(*VERIFIED, replace(PLANNED, path="b.json", coordinates={"team": "b"}))
    assert record.path == record.parts[0].file.path == "b.json"
    assert record.coordinates == {"team": "b"}


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (("stored", "stored"), "stored"),
        (("stored", "waiting"), "waiting"),
        (("verified", "ready"), "ready"),
        (("failed", "stored"), "failed"),
        (("waiting", "failed"), "failed"),
    ],
)
def test_an_export_stands_where_its_least_advanced_part_stands(states, whole):
    parts = tuple(Part(n, {}, state=State(state)) for n, state in enumerate(states))
    assert Record(KEY, {}, "", None, (0, 0), parts).state == whole


# -------------------------------------------------------------------------------------------------------- properties

texts = st.text(max_size=8)
times = st.floats(min_value=0, max_value=1e10)
ids = st.sampled_from(["r1", "r2", "r3"])
files = st.builds(
    File,
    report_id=ids,
    bytes=st.integers(0, 10**12),
    sha256=texts,
    rows=st.none() | st.integers(0, 10**9),
    exported_at=times,
    partial=st.booleans(),
    path=texts,
    temp=st.none() | texts,
)
requests = st.dictionaries(texts, texts | st.integers() | st.lists(texts, max_size=2), max_size=3)
common = {"key": st.just(KEY), "at": times, "part": st.just(0)}
own = {
    Planned: {
        "coordinates": st.dictionaries(texts, texts, max_size=3),
        "path": texts,
        "impersonate": st.none() | texts,
        "window": st.tuples(st.integers(), st.integers()),
        "requests": st.tuples(requests),
    },
    Revived: {"reason": texts},
    Intended: {"n": st.integers(1, 9)},
    Created: {"n": st.integers(1, 9), "report_id": ids},
    Refused: {"n": st.integers(1, 9), "detail": texts},
    Unanswered: {"n": st.integers(1, 9), "detail": texts},
    Alive: {"report_id": ids, "status": texts},
    Doubted: {"report_id": ids, "status": texts},
    Lost: {"report_id": ids, "cause": st.sampled_from(Cause)},
    Ready: {"report_id": ids},
    Verified: {"file": files},
    Torn: {},
    Stored: {},
    Adopted: {"file": files},
    Moving: {"path": texts},
    Moved: {"path": texts},
    Failed: {"code": texts, "message": texts, "hint": st.none() | texts},
    Superseded: {"by": texts},
}
events = st.one_of([st.builds(kind, **common, **fields) for kind, fields in own.items()])


def is_legal(part: Part) -> bool:
    report: Report | None = part.live[0] if part.live else None
    return all(
        (
            (part.state is State.CREATING) == (part.intended_at is not None),
            (part.state is State.VERIFIED) == (part.file is not None),
            (part.state is State.FAILED) == (part.failure is not None),
            part.state is not State.STORED or part.stored is not None,
            part.state not in (State.GENERATING, State.READY) or report is not None,
            part.state is not State.WAITING or report is None,
            len({r.id for r in part.reports}) == len(part.reports),
            part.spent >= 0,
        )
    )


@given(st.lists(events, max_size=40))
def test_no_sequence_of_events_makes_an_illegal_record(sequence):
    record: Record | None = fold()
    for event in sequence:
        try:
            record = apply(record, event)
        except IllegalMove:
            continue
        assert is_legal(record.parts[0]), (event, record)
        text = json.dumps(record_to_json(record))
        assert record_from_json(json.loads(text)) == record
        assert text == json.dumps(asdict(record)), "the journals of all versions hold this form"


@given(events)
def test_events_survive_json(event):
    data = json.loads(json.dumps(event_to_json(event)))
    assert event_from_json(event.kind, event.key, event.part, event.at, data) == event
    columns = {"key": event.key, "part": event.part, "at": event.at}
    assert columns | data == json.loads(json.dumps(asdict(event))), "the journals of all versions hold this form"


def test_only_final_parts_are_revived():
    assert MOVES[Revived] == FINAL
