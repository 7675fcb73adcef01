"""Reading a run record: what is taken for one, and how its exports are told apart."""

import json

import pytest
from report_records import export, failed, months, run_record

from orchestrator.errors import JobError
from orchestrator.report import record

GOOD = run_record(export("2024-01"), failed("2024-02"), outcome="failed")


def test_a_record_is_read_as_it_is():
    assert record.parse(json.dumps(GOOD), "run.json") == GOOD


def test_what_only_newer_versions_tell_may_be_missing():
    old = json.loads(json.dumps(GOOD))
    del old["history"]
    for each in old["exports"]:
        del each["stages"]
    assert record.parse(json.dumps(old), "run.json") == old


@pytest.mark.parametrize(
    "data",
    ["", "[]", "null", "{", "{}", '{"schema": 1}', '{"schema": "orchestrator.plan/1"}', "[" * 100_000, b"\xff\xfe{"],
)
def test_anything_else_is_refused_with_a_hint(data):
    with pytest.raises(JobError) as refusal:
        record.parse(data, "run.json")
    (problem,) = refusal.value.problems
    assert (problem.code, problem.file) == ("report.unreadable", "run.json")
    assert problem.cause
    assert problem.hint


def test_a_newer_schema_is_told_as_such():
    with pytest.raises(JobError) as refusal:
        record.parse(json.dumps(GOOD | {"schema": "orchestrator.run/2"}), "run.json")
    assert refusal.value.code == "report.newer"


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("history", "error", "reason", "resume_after")])
def test_each_part_of_it_that_is_relied_on_is_looked_at(name):
    for changed in ({k: v for k, v in GOOD.items() if k != name}, GOOD | {name: ["odd"]}):
        with pytest.raises(JobError):
            record.parse(json.dumps(changed), "run.json")


@pytest.mark.parametrize(
    "name", ["key", "coordinates", "state", "path", "report_ids", "bytes", "rows", "attempts", "polls"]
)
def test_so_is_each_part_of_an_export(name):
    odd = export("2024-01") | {name: 1.5}
    with pytest.raises(JobError):
        record.parse(json.dumps(run_record() | {"exports": [odd]}), "run.json")


def test_what_earlier_versions_did_not_know_may_be_missing_but_not_odd():
    for name in ("reason", "resume_after"):
        assert record.parse(json.dumps({k: v for k, v in GOOD.items() if k != name}), "run.json")
        with pytest.raises(JobError):
            record.parse(json.dumps(GOOD | {name: ["odd"]}), "run.json")
    for odd in ("tomorrow", "2026-11-23", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"):
        with pytest.raises(JobError):
            record.parse(json.dumps(GOOD | {"outcome": "parked", "resume_after": odd}), "run.json")


def test_an_unknown_state_and_an_odd_error_are_refused():
    for odd in ({"state": "dancing"}, {"error": {"code": "x"}}, {"error": {"code": 1, "message": "", "hint": None}}):
        with pytest.raises(JobError):
            record.parse(json.dumps(run_record() | {"exports": [export("2024-01") | odd]}), "run.json")


@pytest.mark.parametrize(
    ("state", "action", "standing"),
    [
        ("stored", "run", "stored"), ("failed", "refused", "failed"), ("pending", "run", "pending"),
        ("skipped", "skip", "kept"), ("skipped", "wait", "waiting"), ("skipped", "move", "renamed"),
    ],
)  # fmt: skip
def test_where_an_export_stands_is_finer_than_its_state(state, action, standing):
    assert record.standing(export("2024-01", state, action=action)).name == standing


def test_failures_are_grouped_by_reason_the_largest_first():
    groups = record.failures([failed("1", "a"), failed("2", "b"), export("3"), failed("4", "b", hint="b")])
    assert [(group.message, group.hint, len(group.exports)) for group in groups] == [
        ("a", "Look at the filters.", 1), ("b", "Look at the filters.", 1), ("b", "b", 1),
    ]  # fmt: skip
    groups = record.failures([failed("1", "a"), failed("2", "b"), failed("3", "b")])
    assert [(group.message, len(group.exports)) for group in groups] == [("b", 2), ("a", 1)]


def test_the_grid_has_windows_in_order_and_a_row_for_the_other_axes_together():
    cells = [
        export("", coordinates={"team": "a", "window": "2024-02", "format": "json"}),
        export("", coordinates={"team": "a", "window": "2024-01", "format": "json"}),
        export("", coordinates={"team": "b", "window": "2024-01", "format": "xlsx"}),
    ]
    grid = record.grid(cells)
    assert grid.windows == ["2024-01", "2024-02"]
    assert {name: list(row) for name, row in grid.rows.items()} == {
        "a json": ["2024-02", "2024-01"],
        "b xlsx": ["2024-01"],
    }


@pytest.mark.parametrize(
    ("windows", "most", "lengths"),
    [
        (months(2022, 3), 31, [12, 12, 12]),
        ([f"2024-01-{day:02}" for day in range(1, 32)] + [f"2024-02-{day:02}" for day in range(1, 30)], 31, [31, 29]),
        ([f"{n:04}" for n in range(100)], 31, [1] * 100),
        ([f"2024-01-01T{n}" for n in range(70)], 31, [31, 31, 8]),
        ([], 31, []),
    ],
)
def test_many_windows_are_cut_where_years_or_months_end(windows, most, lengths):
    assert [len(part) for part in record.stretches(windows, most)] == lengths
