"""The pattern language and selections."""

import pytest

from orchestrator.errors import JobError
from orchestrator.job.axes import read_csv
from orchestrator.job.matrix import Selection, matcher, product
from orchestrator.job.misfit import Misfit, Misfits

MONTHS = [f"{year}-{month:02}" for year in (2023, 2024) for month in range(1, 13)]


def matched(pattern, labels=MONTHS, axis="window"):
    test = matcher(axis, pattern)
    return [label for label in labels if test(label)]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("2023-05", 1),
        ("2023-*", 12),
        ("202?-01", 2),
        ("2024", 12),
        ("2024-Q1", 3),
        ("..2023-05", 5),
        ("2024-11..", 2),
        ("2023-12..2024-01", 2),
        ("2023..2024-Q1", 15),
        ("2023-01-01..2023-02-27", 1),
        ("2022", 0),
    ],
)
def test_window_patterns(pattern, count):
    assert len(matched(pattern)) == count


def test_a_window_of_days_is_named_by_its_label():
    assert matched("2024-01-15..2024-01-24", ["2024-01-05..2024-01-14", "2024-01-15..2024-01-24"]) == [
        "2024-01-15..2024-01-24"
    ]


@pytest.mark.parametrize("pattern", ["..", "x..", "2024-13..", "2024-02..2024-01"])
def test_ranges_that_name_no_dates_are_refused(pattern):
    with pytest.raises(Misfit):
        matcher("window", pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("sup*", ["support"]),
        ("s?les", ["sales"]),
        ("[ab]*", ["a[1]"]),
        ("a[1]", ["a[1]"]),
        ("Sales", []),
        ("2024", ["2024"]),
    ],
)
def test_label_patterns(pattern, expected):
    assert matched(pattern, ["support", "sales", "a[1]", "2024"], "team") == expected


def test_labels_match_in_any_unicode_form():
    assert matched("Zu\u0308rich", ["Zürich"], "team") == ["Zürich"]


def test_product_is_lazy_and_leaves_out_what_rules_cover():
    assert list(product(["ab", "xy"], [[frozenset("a"), None]])) == [("b", "x"), ("b", "y")]
    assert list(product(["ab", "xy"], [[frozenset("a"), frozenset("y")]])) == [("a", "x"), ("b", "x"), ("b", "y")]


def picked(selects=(), first=None, last=None):
    selection = Selection.parse(selects, first, last)
    return {
        f"{team} {month}"
        for team in ("support", "sales")
        for month in MONTHS
        if selection.matches((("team", team), ("window", month)))
    }


@pytest.mark.parametrize(
    ("selects", "first", "hint"),
    [
        ([], "2024-1", "write 2024-01"),
        ([], "soon", "write 2024-01 or 2024-01-15"),
        (["window=2024-1..2024-Q3"], None, "write 2024-01..2024-Q3"),
        (["window=..2024/3/1"], None, "write ..2024-03-01"),
        (["window=x..2024-3"], None, "write 2023-01..2024-06, ..2023-05 or 2024-01.."),
    ],
)
def test_windows_written_in_other_ways_are_understood(selects, first, hint):
    with pytest.raises(JobError) as caught:
        Selection.parse(selects, first)
    assert caught.value.hint == hint


def test_selections():
    assert len(picked()) == 48
    assert picked(["team=sup*", "window=2023-01,2023-02"]) == {"support 2023-01", "support 2023-02"}
    assert picked(["team=support", "team=sales", "window=2023-01"]) == {"support 2023-01", "sales 2023-01"}
    assert len(picked(["window!=2024-01..2024-03"])) == 42
    assert len(picked(["team!=sales", "window=2024"], "2024-06", "2024-07")) == 2
    assert len(picked([], None, "2023-02")) == 4
    assert not Selection.parse()
    assert Selection.parse([], "2024")


@pytest.mark.parametrize(
    ("selects", "first", "last", "places"),
    [
        (["team"], None, None, ["--select team"]),
        (["team=", "tem=a"], None, None, ["--select team=", "--select tem=a"]),
        (["window=x.."], None, None, ["--select window=x.."]),
        ([], "soon", None, ["--from soon"]),
        ([], "2024-02", "2024-01", ["--from 2024-02 --to 2024-01"]),
    ],
)
def test_selections_that_can_not_be_read(selects, first, last, places):
    with pytest.raises(JobError) as caught:
        Selection.parse(selects, first, last)
    assert [p.place for p in caught.value.problems] == places
    assert {p.code for p in caught.value.problems} == {"select.invalid"}


def test_a_selection_of_an_axis_that_the_job_lacks():
    (problem,) = Selection.parse(["tag=a", "team=b"]).unknown_axes(["team", "window"])
    assert (problem.place, problem.message) == ("--select tag=a", "this job has no axis 'tag'")


def csv(text, id_column="id", label_column="name"):
    return [(v.label, *v.ids) for v in read_csv(text, "x.csv", id_column=id_column, label_column=label_column)]


def test_csv():
    assert csv('name,id,more\nA, 1 ,x\n\n"B, b",2\n') == [("A", "1"), ("B, b", "2")]
    assert csv("id\n7\n", label_column="id") == [("7", "7")]


@pytest.mark.parametrize(
    ("text", "lines", "message"),
    [
        ("id,nam\n1,a\n", [1], "no column 'name'"),
        ("id;name\n1;a\n", [1], "this header has semicolons"),
        ("id,id,name\n1,2,a\n", [1], "two columns"),
        ("", [1, 1], "no column"),
        ("id,name\n", [1], "no row"),
        ("id,name\n,a\n1,a\n2,a\n3\n", [2, 4, 5], "is empty"),
        ('id,name\n1,"a\n', [2], "not readable as CSV"),
    ],
)
def test_csv_errors_have_lines(text, lines, message):
    with pytest.raises(Misfits) as caught:
        csv(text)
    assert [m.line for m in caught.value.all] == lines
    assert {m.file for m in caught.value.all} == {"x.csv"}
    assert message in caught.value.all[0].message


def test_csv_stops_after_some_problems():
    with pytest.raises(Misfits) as caught:
        csv("id,name\n" + ",a\n" * 1000)
    assert len(caught.value.all) == 20
