"""Expansion: order, keys, requests, collisions, selections; and the example job files."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.errors import JobError
from orchestrator.job.expand import Export, expand, export_key
from orchestrator.job.loader import load_job
from orchestrator.job.matrix import Selection

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC).timestamp()
BASE = "https://api.intheloop.io"
CONFIGS = Path(__file__).parents[3] / "configs"
MATRIX = """\
matrix:
  window: {every: month, from: 2024-01, to: 2024-02}
  team: {support: t1, sales: [t3, t2, t3]}
"""


def cells(job, *args, **kwargs):
    return [" ".join(label for _, label in e.coordinates) for e in expand(job, NOW, *args, **kwargs)]


def failing(job, *args, **kwargs):
    with pytest.raises(JobError) as caught:
        list(expand(job, NOW, *args, **kwargs))
    return caught.value.problems


def test_the_order_is_that_of_the_matrix_then_the_included_cells(job):
    assert cells(job(MATRIX)) == ["2024-01 support", "2024-01 sales", "2024-02 support", "2024-02 sales"]
    text = (
        "matrix:\n  team: [a, b]\n  window: {every: month, from: 2024-01, to: 2024-02}\n"
        "  exclude: [{team: a, window: ..2024-01}]\n  include: [{window: 2023-12, team: b}]\n"
    )
    assert cells(job(text)) == ["a 2024-02", "b 2024-01", "b 2024-02", "b 2023-12"]


def test_an_export_has_all_that_is_asked(job):
    one = list(expand(job("request: {timezone: Europe/Ljubljana, tags: [g], teams: [x]}\n" + MATRIX), NOW))[1]
    assert one.coordinates == (("window", "2024-01"), ("team", "sales"))
    assert one.path == "2024-01/sales.json"
    assert one.window.end == 1706742000
    expected = {
        "timezone": "Europe/Ljubljana",
        "start": 1704063600,
        "end": 1706742000,
        "resultFormat": "Json",
        "tagIds": ["g"],
        "teamIds": ["t2", "t3"],
    }
    assert one.request == expected
    assert one.parts == (expected,)
    assert one.key == export_key("https://api.intheloop.io", None, expected)
    assert Export.from_json(one.to_json(), BASE) == one


def test_every_axis_replaces_what_the_request_says(job):
    text = """\
    api: {token: "${T}", impersonate: base@example.com}
    request: {format: xlsx, tags: [g], teams: [x], teammates: [m], customers: [c]}
    matrix:
      window: {every: month, from: 2024-01, to: 2024-01}
      tag: {a: 1}
      teammate: [n@example.com]
      customer: [d@example.com]
      impersonate: {boss: boss@example.com}
      format: [json]
    output: {to: x, path: "{name}-{impersonate}-{key}.{ext}"}
    """
    (one,) = expand(job(text, head="version: 1\nname: x\n"), NOW)
    assert (one.impersonate, one.format, one.tags, one.teams) == ("boss@example.com", "json", ("1",), ("x",))
    assert (one.teammates, one.customers) == (("n@example.com",), ("d@example.com",))
    assert one.path == f"x-boss-{one.key}.json"


def test_inclusive_ends_send_one_second_less_and_windows_still_tile(job):
    one, two = expand(
        job("request: {end: inclusive}\nmatrix: {window: {every: month, from: 2024-01, to: 2024-02}}\n"), NOW
    )
    assert one.end == one.window.end - 1
    assert one.window.end == two.window.start == two.start


@pytest.mark.parametrize(
    ("base_url", "impersonate", "request_", "key"),
    [
        (
            "https://api.intheloop.io",
            None,
            {"timezone": "UTC", "start": 1693526400, "end": 1696118400, "resultFormat": "Json"},
            "k1-519644f1e65f3fb1cfa5cebd4df0134b93065ba7",
        ),
        (
            "http://127.0.0.1:8080/loop",
            "žiga@example.com",
            {"timezone": "Europe/Ljubljana", "start": 0, "end": 1, "resultFormat": "Xlsx", "teamIds": ["a", "b"]},
            "k1-afa3d2eac8134157969e6380e39197fea7492d07",
        ),
    ],
)
def test_golden_keys(base_url, impersonate, request_, key):
    """A new version must not export everything again: these never change."""
    assert export_key(base_url, impersonate, request_) == key
    assert export_key(base_url, impersonate, dict(reversed(request_.items()))) == key


def test_a_key_knows_neither_token_nor_labels_nor_paths(job):
    other = MATRIX.replace("support", "helpdesk") + "output: {path: 'x/{team}-{window}', to: elsewhere}\n"
    head = "version: 1\nname: other\napi: {token: '${OTHER}', base_url: HTTPS://API.intheloop.io:443/}\n"
    assert [e.key for e in expand(job(MATRIX), NOW)] == [e.key for e in expand(job(other, head=head), NOW)]
    for changed in ("request: {timezone: Europe/Paris}\n", "request: {format: xlsx}\n", "request: {tags: [g]}\n"):
        assert not {e.key for e in expand(job(MATRIX), NOW)} & {e.key for e in expand(job(changed + MATRIX), NOW)}


def test_open_and_future_windows_are_yielded(job):
    text = "matrix: {window: {every: month, from: 2024-02, to: 2024-04}}\n"
    assert [e.window.state(NOW) for e in expand(job(text), NOW)] == ["closed", "open", "future"]


@pytest.mark.parametrize(
    ("more", "line", "column", "words"),
    [
        ("  exclude: [{team: slaes}]\n", 7, 20, ["matches no team", "did you mean `sales`?"]),
        ("  exclude: [{team: [sales, x*]}]\n", 7, 28, ["matches no team"]),
        ("  exclude: [{window: ..2023-12}]\n", 7, 22, ["matches no window"]),
        ("  include: [{team: sales}]\n", 7, 13, ["names no window"]),
        ("  include: [{team: x, window: 2023-01}]\n", 7, 20, ["no such label"]),
        ("  include: [{team: sales, window: 2023-01-15}]\n", 7, 35, ["two nearest", "one by one"]),
        ("  exclude: [{window: 2024-1}]\n", 7, 22, ["matches no window", "write 2024-01"]),
        ("  include: [{team: sales, window: 2024-01}]\n", 7, 13, ["has this cell anyway: window=2024-01 team=sales"]),
        ("  include: [{team: sales, window: 2024-01-01}]\n", 7, 13, ["has this cell anyway: window=2024-01"]),
        (
            "  include: [{team: sales, window: 2023-01}, {team: sales, window: 2023-01-01}]\n",
            7,
            45,
            ["included twice: window=2023-01"],
        ),
    ],
)
def test_rules_that_can_not_be_are_told_at_their_place(job, more, line, column, words):
    (problem,) = failing(job(MATRIX + more))
    assert (problem.line, problem.column) == (line, column)
    for word in words:
        assert word in f"{problem.message} {problem.hint}"


def test_all_such_rules_are_told_at_once(job):
    assert len(failing(job(MATRIX + "  exclude: [{team: x}, {team: y}]\n  include: [{team: z, window: 2023}]\n"))) == 4


@pytest.mark.parametrize("windows", ["{every: month, last: 2}", "{every: month, from: 2024-01}"])
def test_rolling_windows_may_reach_an_included_cell(job, windows):
    more = "[{window: 2024-02}, {window: 2023-05}, {window: 2023-05-01}]"
    one = job(f"matrix:\n  window: {windows}\n  team: [a]\n  include: {more}\n")
    assert cells(one) == ["2024-01 a", "2024-02 a", "2023-05 a"]


def test_an_excluded_cell_may_be_included(job):
    more = "  exclude: [{team: sales}]\n  include: [{team: sales, window: 2024-02}]\n"
    assert cells(job(MATRIX + more)) == ["2024-01 support", "2024-02 support", "2024-02 sales"]


def test_what_is_wrong_with_patterns_cells_and_paths_is_told_together_and_in_order(job):
    text = f"""\
    matrix:
      window: {{every: month, from: 2024-01, to: 2024-02}}
      team: {{a: 1, b: 1, A: 2, {"x" * 230}: 3}}
      exclude: [{{team: c}}]
      include: [{{team: d, window: 2023-01}}, {{team: a, window: 2024-01}}]
    output: {{to: x, path: "{{window}}/{{team}}"}}
    """
    found = failing(job(text), Selection.parse(["tag=a", "team=b"]))
    assert [(p.line, p.key or p.place) for p in found] == [
        (6, "matrix.team.b"),
        (6, "matrix.team.A"),
        (7, "matrix.exclude.0.team"),
        (8, "matrix.include.0.team"),
        (8, "matrix.include.1"),
        (9, "output.path"),
        (None, "--select tag=a"),
    ]
    assert "same question" in found[0].message
    assert "have the path '2024-01/A'" in found[1].message
    assert "230 bytes" in found[5].message
    assert all("the same goes for 1 more cell" in found[n].message for n in (0, 1, 5))


def test_patterns_that_match_nothing_are_raised_before_anything_is_yielded(job):
    with pytest.raises(JobError, match="matches no team"):
        expand(job(MATRIX + "  exclude: [{team: x}]\n"), NOW)


def test_each_cause_is_told_once(job):
    teams = ", ".join(f"t{n}" for n in range(50))
    windows = "{every: month, from: 2024-01, to: 2024-02}"
    text = f"matrix: {{window: {windows}, team: [{teams}]}}\noutput: {{to: x, path: '{{window}}'}}\n"
    (problem,) = failing(job(text))
    assert problem.message.endswith("team=t0 and window=2024-01 team=t1; the same goes for 97 more cells")
    assert problem.hint == "add {team} to output.path"


def test_there_is_an_end_to_telling_collisions(job):
    teams = ", ".join(f"t{n}: {n % 10}" for n in range(50))
    windows = "{every: month, from: 2024-01, to: 2024-02}"
    found = failing(job(f"matrix: {{window: {windows}, team: {{{teams}}}}}\n"))
    assert len({p.message for p in found}) == 21
    assert [p.key for p in found[:20]] == [f"matrix.team.t{n}" for n in range(10, 30)]
    assert found[-1].message == "and 40 more cells that collide or can't be stored"


def test_two_cells_with_one_path_name_both_and_the_missing_axis(job):
    (problem,) = failing(job(MATRIX + "output:\n  path: '{window}.{ext}'\n  to: x\n"))
    assert (problem.code, problem.line, problem.column) == ("job.collision", 8, 9)
    assert "window=2024-01 team=support and window=2024-01 team=sales" in problem.message
    assert problem.hint == "add {team} to output.path"


@pytest.mark.parametrize("labels", ["{A: 1, a: 2}", "{a/b: 1, a_b: 2}", "{'a.': 1, a_: 2}"])
def test_labels_that_meet_in_one_path_are_refused(job, labels):
    text = f"matrix:\n  team: {labels}\n  window: {{every: month, last: 1}}\n"
    (problem,) = failing(job(text))
    assert (problem.code, problem.line) == ("job.collision", 5)
    assert "rename one" in problem.hint


def test_two_cells_with_one_key_name_both(job):
    (problem,) = failing(job("matrix:\n  window: {every: month, last: 1}\n  team:\n    a: [1, 2]\n    b: [2, 1]\n"))
    assert (problem.code, problem.line) == ("job.collision", 8)
    assert "window=2024-02 team=a and window=2024-02 team=b" in problem.message


def test_collisions_are_found_outside_the_selection_too(job):
    text = "matrix: {window: {every: month, last: 1}, team: {A: 1, a: 2, b: 3}}\n"
    assert failing(job(text), Selection.parse(["team=b"]))[0].code == "job.collision"


def test_names_that_are_too_long_or_ours(job):
    (problem,) = failing(job(f"matrix: {{window: {{every: month, last: 1}}, team: [{'x' * 230}]}}\n"))
    assert "235 bytes" in problem.message
    (problem,) = failing(job("matrix: {team: [.Orchestrator], window: {every: month, last: 1}}\n"))
    assert "our own" in problem.message


def test_selections(job):
    one = job(MATRIX)
    assert cells(one, Selection.parse(["team=sup*"])) == ["2024-01 support", "2024-02 support"]
    assert cells(one, Selection.parse(["team!=support"], "2024-02")) == ["2024-02 sales"]
    (problem,) = failing(one, Selection.parse(["team=nobody"]))
    assert (problem.code, problem.place) == ("select.empty", "--select team=nobody")
    assert problem.message == "nothing is selected: no team of the job matches nobody"
    assert problem.hint == "allowed: support, sales"
    empty, in_vain = failing(one, Selection.parse(["team=sales,nobody", "window=2024-3"]))
    assert (empty.place, empty.hint) == ("--select window=2024-3", "write 2024-03")
    assert (in_vain.place, in_vain.message) == ("--select team=sales,nobody", "no team of the job matches nobody")
    (problem,) = failing(one, Selection.parse(["team=sales", "team!=s*"]))
    assert problem.place == "--select team=sales --select team!=s*"
    assert problem.message == "nothing is selected: no team of the job is left"
    (problem,) = failing(one, Selection.parse([], "2024-01-15", "2024-02-15"))
    assert problem.place == "--from 2024-01-15 --to 2024-02-15"
    assert "from 2024-01 to 2024-02, and a range covers" in problem.hint
    excluded = job(MATRIX + "  exclude: [{team: sales, window: 2024-01}]\n")
    (problem,) = failing(excluded, Selection.parse(["team=sales"], None, "2024-01"))
    assert problem.place == "--select team=sales --to 2024-01"
    assert problem.message == "nothing is selected: none of the job's 3 exports has all that is asked for"
    with pytest.raises(JobError, match="no axis 'tag'"):
        expand(one, NOW, Selection.parse(["tag=a"]))


@pytest.mark.parametrize(
    ("selects", "told"),
    [
        (["team=support,slaes"], [("--select team=support,slaes", "team", "slaes", "did you mean `sales`?")]),
        (["team=support", "team=slaes"], [("--select team=slaes", "team", "slaes", "did you mean `sales`?")]),
        (["team!=slaes"], [("--select team!=slaes", "team", "slaes", "did you mean `sales`?")]),
        (
            ["window=2024-01,2024-3,2025", "team!=x*"],
            [
                ("--select window=2024-01,2024-3,2025", "window", "2024-3", "write 2024-03"),
                ("--select window=2024-01,2024-3,2025", "window", "2025", "allowed: 2024-01, 2024-02"),
                ("--select team!=x*", "team", "x*", "allowed: support, sales"),
            ],
        ),
    ],
)
def test_each_pattern_of_a_selection_that_matches_nothing_is_told_though_others_match(job, selects, told):
    problems = failing(job(MATRIX), Selection.parse(selects))
    assert [(each.place, each.message) for each in problems] == [
        (place, f"no {axis} of the job matches {pattern}") for place, axis, pattern, _ in told
    ]
    assert {each.code for each in problems} == {"select.invalid"}
    assert all(hint in each.hint for each, (*_, hint) in zip(problems, told, strict=True))


def test_a_pattern_may_match_what_others_leave_out(job):
    picked = Selection.parse(["team=support,sales", "team!=sales", "window!=2024-01"], "2024-02")
    assert cells(job(MATRIX), picked) == ["2024-02 support"]


def test_nothing_left_and_too_much(job):
    assert failing(job(MATRIX + "  exclude: [{team: '*'}]\n"))[0].code == "job.empty"
    (problem,) = failing(job(MATRIX), max_exports=3)
    assert problem.code == "plan.too-many"
    days = "matrix: {window: {every: day, from: 1970-01-01, to: 9900-12-31}}\n"
    (problem,) = failing(job(days), Selection.parse(["team=a"]), max_exports=1000)[:1]
    assert (problem.code, problem.message[:32]) == ("plan.too-many", "the matrix has at least 1,001 ce")
    (problem,) = failing(
        job("request: {timezone: Pacific/Apia}\nmatrix: {window: {every: day, from: 2011-12-30, to: 2011-12-30}}\n")
    )
    assert "no such day" in problem.message
    (problem,) = failing(job("matrix: {window: {every: year, last: 100}}\n"))
    assert (problem.key, problem.line) == ("matrix.window.last", 4)


def test_a_plan_that_was_tampered_with_is_refused(job):
    good = next(iter(expand(job(MATRIX), NOW))).to_json()
    for change in (
        {"path": "../../x"},
        {"path": 5},
        {"window": None},
        {"request": {}},
        {"coordinates": []},
        {"impersonate": "x@y"},
    ):
        with pytest.raises(JobError) as caught:
            Export.from_json(good | change, BASE)
        assert caught.value.code == "plan.invalid"


@pytest.mark.parametrize(
    ("name", "count", "path"),
    [
        ("monthly-backfill", 30 * 24, "support/2023-01.json"),
        ("last-month", 3, "2024-06/support.json"),
        ("tag-quarters", 3 * 2 - 1 - 2 + 1, "complaint/complaint-2024-Q1.xlsx"),
    ],
)
def test_the_example_job_files(name, count, path):
    july = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
    exports = list(expand(load_job(CONFIGS / f"{name}.yaml", {}), july))
    assert (len(exports), exports[0].path) == (count, path)


def test_the_pure_modules_do_not_import_pydantic():
    code = (
        "import sys; from orchestrator.job import expand, matrix, paths, windows; "
        "sys.exit(any(m in sys.modules for m in ('pydantic', 'yaml')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
