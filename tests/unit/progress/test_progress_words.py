import time

import pytest

from orchestrator.progress.words import (
    about,
    clock,
    clock_in_zone,
    count,
    label,
    moment,
    moment_of,
    printable,
    size,
    span,
    spelled,
)


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 B"), (812, "812 B"), (999, "999 B"), (1000, "1.0 kB"), (3_210_000, "3.2 MB"), (9_960_000, "10 MB"),
     (999_700, "1.0 MB"), (48_000_000_000, "48 GB"), (5_200_000_000_000_000, "5,200 TB")],
)  # fmt: skip
def test_sizes(n, words):
    assert size(n) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "less than a minute"), (56, "less than a minute"), (58, "about 1 min"), (360, "about 6 min"),
     (19 * 60, "about 19 min"), (33 * 60, "about 35 min"), (57 * 60, "about 55 min"), (58 * 60, "about 1 h"),
     (80 * 60, "about 1 h 20 min"), (11 * 3600, "about 11 h"), (50 * 3600, "about 2 days")],
)  # fmt: skip
def test_estimates_are_no_finer_than_they_are_known(seconds, words):
    assert about(seconds) == words


def test_spans():
    assert [span(s) for s in (-3, 42, 312, 3912)] == ["0:00", "0:42", "5:12", "1:05:12"]
    assert [spelled(s) for s in (42, 312, 3912, 51 * 3600)] == ["42 s", "5 min 12 s", "1 h 05 min", "2 days 3 h"]


def test_another_day_shows_its_date():
    assert clock(1_763_900_000, 1_763_900_300) == "12:13:20"
    assert clock(1_763_900_000, 1_763_900_000 + 86_400) == "2025-11-23 12:13:20"


def test_names():
    assert count(1, "export") == "1 export"
    assert count(1200, "export") == "1,200 exports"
    assert label({"team": "support", "window": "2024-05"}) == "support 2024-05"
    assert label({}) == "the only export"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("žluťoučký 日本 …", "žluťoučký 日本 …"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil\x1b\\click\x1b]8;;\x07", "click"),
        ("\x1b]0;never ended", ""),
        ("a\r\nb\x00c\x9b2Jd", "a b cd"),
        ("\x1bcreset", "reset"),
        ("ab\u202ecd", "abcd"),
        ("lone \udcff", "lone "),
        ("tail\x1b", "tail "),
    ],
)
def test_nothing_that_a_terminal_obeys_survives(text, clean):
    assert printable(text) == clean


def test_lines_stay_where_they_are_wanted():
    assert printable("a\n\tb\x1b]0;x\nc", lines=True) == "a\n\tb\nc"


@pytest.mark.parametrize(
    ("said", "shown"),
    [("::add-mask::e", ": :add-mask::e"), ("a ::set-output name=x::y", "a : :set-output name=x::y"),
     ("x ##[add-mask]e", "x # #[add-mask]e"), ("##vso[task.complete]", "# #vso[task.complete]"),
     ("a\u2028::debug::b", "a : :debug::b")],
)  # fmt: skip
def test_nothing_is_left_that_a_pipelines_runner_would_obey(said, shown):
    assert printable(said) == shown


@pytest.mark.parametrize(
    "said", ["no connection to ::1", "a::b::c", "tests/x.py::test_y", "## heading", "#[x]", "1::2 :: 3"]
)
def test_what_only_looks_like_a_command_stays(said):
    assert printable(said) == said


def test_a_moment_is_local_and_names_its_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Ljubljana")
    time.tzset()
    assert moment(1_763_900_000) == moment_of("2025-11-23T12:13:20.000Z") == "2025-11-23 13:13:20 CET"
    assert clock_in_zone(1_763_900_000, 1_763_900_060) == "13:13:20 CET"
    assert clock_in_zone(1_763_900_000, 1_764_900_000) == "2025-11-23 13:13:20 CET"


@pytest.mark.parametrize("odd", ["soon", "", None, 7, []])
def test_what_is_no_moment_is_shown_as_it_is(odd):
    assert moment_of(odd) == str(odd)
