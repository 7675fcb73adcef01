"""What is to be done about each export, and why."""

from __future__ import annotations

import pytest
from fakes import START, make_export

from orchestrator.engine import plan as planning
from orchestrator.engine.plan import Action, Options, make, paths_to_look_at
from orchestrator.engine.states import Failure, File, Part, Record, Report, State
from orchestrator.job.windows import Window

EXPORT = make_export(0)
SIZE = 100


def record_of(export, state=State.STORED, *, stored=True, path=None, partial=False, live=0, code="service.failing"):
    at = path or export.path
    file = File("r0", SIZE, "ab", 1, START - 100, partial=partial, path=at)
    reports = tuple(Report(f"r{n}", START) for n in range(live))
    failure = Failure(code, "why") if state is State.FAILED else None
    verified = file if state is State.VERIFIED else None
    part = Part(
        0, export.request, state=state, reports=reports, stored=file if stored else None, failure=failure, file=verified
    )
    window = (export.window.start, export.window.end)
    return Record(export.key, dict(export.coordinates), at, export.impersonate, window, (part,))


def plan(exports, records=(), sizes=None, *, named=None, now=START, **options):
    known = {record.key: record for record in records}
    there = {file.path for record in records for file in record.stored or ()}
    found = {path: SIZE if path in there else None for path in paths_to_look_at(known)} | (sizes or {})
    return make(exports, known, found, now=now, options=Options(**options), named=named)


def the_one(*arguments, **options):
    [item] = plan(*arguments, **options)
    return item


@pytest.mark.parametrize(
    ("record", "options", "sizes", "action", "reason"),
    [
        (None, {}, {}, Action.RUN, "new"),
        (record_of(EXPORT), {}, {}, Action.SKIP, "stored"),
        (record_of(EXPORT), {"only": "all"}, {}, Action.REPLACE, "stored; asked for again by --only all"),
        (record_of(EXPORT), {}, {EXPORT.path: None}, Action.RUN, f"its file is gone: {EXPORT.path}"),
        (record_of(EXPORT), {"keep_missing": True}, {EXPORT.path: None}, Action.SKIP, "stored; its file was moved on"),
        (record_of(EXPORT), {}, {EXPORT.path: 7}, Action.REPLACE, "its file was changed: 7 bytes, stored were 100"),
        (record_of(EXPORT), {"keep_missing": True}, {EXPORT.path: 7}, Action.REPLACE, "its file was changed"),
        (record_of(EXPORT, partial=True), {}, {}, Action.REPLACE, "partial: exported before its window closed"),
        (record_of(EXPORT, State.FAILED, stored=False), {}, {}, Action.RUN, "failed before: why"),
        (record_of(EXPORT, State.FAILED), {}, {}, Action.REPLACE, "failed before: why"),
        (record_of(EXPORT, State.FAILED, stored=False, code="request.invalid"), {}, {}, Action.REFUSED, "why"),
        (
            record_of(EXPORT, State.FAILED, stored=False, code="request.invalid"),
            {"only": "failed"},
            {},
            Action.RUN,
            "f",
        ),
        (record_of(EXPORT, State.WAITING, stored=False), {}, {}, Action.RUN, "goes on: not created yet"),
        (record_of(EXPORT, State.CREATING, stored=False), {}, {}, Action.RUN, "goes on: whether its last POST"),
        (record_of(EXPORT, State.GENERATING, stored=False, live=1), {}, {}, Action.RUN, "goes on: report r0 is being"),
        (record_of(EXPORT, State.READY, stored=False, live=1), {}, {}, Action.RUN, "goes on: report r0 is ready"),
        (record_of(EXPORT, State.VERIFIED, stored=False, live=1), {}, {}, Action.RUN, "goes on: downloaded"),
        (record_of(EXPORT, State.GENERATING, live=1), {}, {}, Action.REPLACE, "goes on: report r0"),
        (record_of(EXPORT, State.SUPERSEDED, stored=False), {}, {}, Action.RUN, "new"),
        (record_of(EXPORT, path="old.json"), {}, {}, Action.MOVE, "renamed; was old.json"),
        (record_of(EXPORT, path="old.json"), {}, {"old.json": None}, Action.RUN, "its file is gone: old.json"),
    ],
)
def test_what_is_to_be_done(record, options, sizes, action, reason):
    item = the_one([EXPORT], [record] if record else [], sizes, **options)
    assert item.action is action
    assert item.reason.startswith(reason)


def test_only_failed_leaves_out_everything_else():
    assert plan([EXPORT], [record_of(EXPORT)], only="failed") == []
    assert plan([EXPORT], only="failed") == []


@pytest.mark.parametrize(
    ("opens", "closes", "include_current", "action", "reason"),
    [
        (-10, 10, False, Action.WAIT, "open until"),
        (-10, 10, True, Action.RUN, "new"),
        (5, 10, True, Action.WAIT, "not begun: opens"),
        (-10, 0, False, Action.RUN, "new"),
    ],
)
def test_windows_that_have_not_ended(opens, closes, include_current, action, reason):
    window = Window("w", int(START) + opens, int(START) + closes)
    item = the_one([make_export(0, window=window)], include_current=include_current)
    assert item.action is action
    assert item.reason.startswith(reason)


def test_a_partial_file_stays_while_its_window_is_open():
    export = make_export(0, window=Window("w", int(START) - 10, int(START) + 10))
    item = the_one([export], [record_of(export, partial=True)], include_current=True)
    assert (item.action, item.reason) == (Action.SKIP, "stored, partial: its window is still open")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timezone": "Europe/Ljubljana"}, "timezone changed"),
        ({"tags": ("t1",)}, "tags changed"),
        ({"impersonate": "a@example.com"}, "impersonate changed"),
        ({"end": EXPORT.end - 1}, "window edges changed"),
    ],
)
def test_another_question_at_the_same_path_takes_its_place(changes, reason):
    old, new = EXPORT, make_export(0, **changes)
    [item] = plan([new], [record_of(old)], named={new.key})
    assert (item.action, item.reason, item.supersedes) == (Action.REPLACE, reason, old.key)


def test_files_that_change_places_supersede_nobody():
    a, b = make_export(0, path="b.json"), make_export(1, path="a.json")
    for options in ({}, {"only": "all"}):
        items = plan([a, b], [record_of(a, path="a.json"), record_of(b, path="b.json")], **options)
        assert [(item.source, item.supersedes) for item in items] == [("a.json", None), ("b.json", None)]


def test_who_takes_a_place_that_is_left_supersedes_nobody():
    moved, new = make_export(0, path="new.json"), make_export(1, path="old.json")
    items = plan([moved, new], [record_of(moved, path="old.json")])
    assert [(item.action, item.supersedes) for item in items] == [(Action.MOVE, None), (Action.RUN, None)]


def test_who_moves_onto_a_file_that_stays_supersedes_it():
    a, b = make_export(0, path="b.json"), make_export(1, path="b.json")
    records = [record_of(a, path="a.json"), record_of(b)]
    [item] = plan([a], records, named={a.key})
    assert (item.action, item.supersedes) == (Action.MOVE, b.key)


def test_a_file_that_waits_is_not_on_the_move():
    waits = make_export(0, path="new.json", window=Window("w", int(START) - 10, int(START) + 10))
    new = make_export(1, path="old.json")
    items = plan([waits, new], [record_of(waits, path="old.json", partial=True)])
    assert [(item.action, item.supersedes) for item in items] == [(Action.WAIT, None), (Action.REPLACE, waits.key)]


@pytest.mark.parametrize(
    ("record", "action", "collect"),
    [
        (record_of(EXPORT), Action.NOT_IN_JOB, False),
        (record_of(EXPORT, State.GENERATING, stored=False, live=1), Action.LEFT_OVER, True),
        (record_of(EXPORT, State.VERIFIED, stored=False, live=1), Action.LEFT_OVER, True),
        (record_of(EXPORT, State.WAITING, stored=False), Action.LEFT_OVER, False),
        (record_of(EXPORT, State.CREATING, stored=False), Action.LEFT_OVER, False),
    ],
)
def test_what_the_job_no_longer_names(record, action, collect):
    item = the_one([], [record], named=set())
    assert (item.action, item.collect, item.export) == (action, collect, None)


def test_what_is_named_but_not_selected_is_nobodys_business():
    assert plan([], [record_of(EXPORT)], named={EXPORT.key}) == []
    assert plan([], [record_of(EXPORT)]) == []
    assert plan([], [record_of(EXPORT, State.FAILED, stored=False)], named=set()) == []


def test_left_overs_do_not_write_over_each_other_or_over_what_is_stored():
    first, second = make_export(0), make_export(0, timezone="Europe/Ljubljana")
    running = [record_of(export, State.GENERATING, stored=False, live=1) for export in (first, second)]
    assert [item.collect for item in plan([], running, named=set())] == [True, False]
    items = plan([], [running[1], record_of(first)], named=set())
    assert [(item.action, item.collect) for item in items] == [(Action.LEFT_OVER, False), (Action.NOT_IN_JOB, False)]
    [_, left] = plan([first], running, named={first.key})
    assert (left.action, left.collect) == (Action.LEFT_OVER, False)


def test_each_export_is_thought_about_once_and_those_whose_file_is_elsewhere_twice(monkeypatch):
    asked = []
    item = planning._Planner.item
    monkeypatch.setattr(planning._Planner, "item", lambda self, export: asked.append(export.key) or item(self, export))
    exports = [make_export(n) for n in range(5)]
    records = [record_of(exports[0]), record_of(exports[1], path="elsewhere.json")]
    plan(exports, records, {exports[0].path: 10, "elsewhere.json": 10})
    assert sorted(asked) == sorted([exports[1].key, *(export.key for export in exports)])
