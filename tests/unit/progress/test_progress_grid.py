from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from rich.cells import cell_len

from orchestrator.progress.grid import FAILED, IN_FLIGHT, NOT_SETTLED, RENAME, STORED, TO_RUN, Grid, Mark, legend


def months(first, years):
    return [f"{year}-{month:02}" for year in range(first, first + years) for month in range(1, 13)]


def days(first, n):
    return [(date.fromisoformat(first) + timedelta(days=k)).isoformat() for k in range(n)]


def product(teams, windows):
    return [(("team", team), ("window", window)) for team in teams for window in windows]


def drawn(cells, marks, width=80, height=None, **how):
    """The lines as text; `marks` are one for all, or a function of the coordinates."""
    each = [marks if isinstance(marks, Mark) else marks(dict(cell)) for cell in cells]
    lines = [line.plain for line in Grid(cells).lines(each, width, height, **how)]
    assert all(cell_len(line) <= width for line in lines), lines
    assert height is None or len(lines) <= height, lines
    return lines


def test_rows_are_teams_and_columns_windows_under_heads_of_years_and_months():
    def mark(cell):
        return FAILED if cell == {"team": "sales", "window": "2024-02"} else STORED

    assert drawn(product(["support", "sales"], months(2023, 2)), mark) == [
        "         2023         2024",
        "         JFMAMJJASOND JFMAMJJASOND",
        "support  ■■■■■■■■■■■■ ■■■■■■■■■■■■",
        "sales    ■■■■■■■■■■■■ ■✗■■■■■■■■■■",
    ]


def test_what_the_job_leaves_out_is_blank():
    cells = product(["support"], months(2023, 1)) + product(["sales"], ["2023-03", "2023-05"])
    assert drawn(cells, TO_RUN)[2:] == ["support  ············", "sales      · ·"]


def test_windows_stand_in_the_order_of_the_calendar_whatever_that_of_the_cells():
    cells = product(["a", "b"], ["2023-02", "2023-01", "2022-12"])
    assert drawn(cells, lambda cell: {"2022-12": FAILED, "2023-01": TO_RUN}.get(cell["window"], STORED)) == [
        "   2022 2023",
        "   D    JF",
        "a  ✗    ·■",
        "b  ✗    ·■",
    ]


def test_windows_that_don_t_fit_the_width_go_on_in_another_block():
    assert drawn(product(["a", "b"], months(2020, 3)), STORED, 40) == [
        "   2020         2021",
        "   JFMAMJJASOND JFMAMJJASOND",
        "a  ■■■■■■■■■■■■ ■■■■■■■■■■■■",
        "b  ■■■■■■■■■■■■ ■■■■■■■■■■■■",
        "",
        "   2022",
        "   JFMAMJJASOND",
        "a  ■■■■■■■■■■■■",
        "b  ■■■■■■■■■■■■",
    ]


def test_one_row_of_many_windows_becomes_a_calendar():
    lines = drawn(
        product(["a"], days("2024-01-30", 80)), lambda cell: FAILED if cell["window"] == "2024-03-02" else STORED
    )
    assert lines == [
        "         1   5    10   15   20   25   30",
        "2024-01                               ■■",
        "2024-02  ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■",
        "2024-03  ■✗■■■■■■■■■■■■■■■■■■■■■■■■■■■■■",
        "2024-04  ■■■■■■■■■■■■■■■■■■",
    ]


@pytest.mark.parametrize(
    ("windows", "heads"),
    [
        ([f"{year}-Q{n}" for year in (2023, 2024) for n in (1, 2, 3, 4)], ["2023 2024", "1234 1234"]),
        (["2022", "2023", "2024"], ["2022 2023 2024"]),
        ([f"2024-W{n:02}" for n in range(8, 22)], ["2024", "8 10        20"]),
        (["2024-01-01..2024-01-20", "2024-01-21..2024-02-09", "2024-02-10..2024-02-29"], ["2024", "J F"]),
        (days("2024-01-28", 9), ["2024-01 2024-02", "28      1   5"]),
        (["first", "second"], ["first second"]),
    ],
)
def test_heads_of_each_kind_of_window(windows, heads):
    lines = drawn(product(["a", "b"], windows), STORED)
    assert [line[3:] for line in lines[: len(heads)]] == heads
    assert lines[len(heads)].startswith("a  ■")


def test_where_the_height_is_small_a_mark_is_the_worst_of_a_longer_time():
    cells = product(["a", "b", "c"], days("2024-01-01", 366))

    def mark(cell):
        return {("b", "2024-05-17"): FAILED, ("b", "2024-05-18"): TO_RUN, ("c", "2024-02-03"): NOT_SETTLED}.get(
            (cell["team"], cell["window"]), STORED
        )

    assert drawn(cells, mark, 80, 12) == [
        "   2024",
        "   JFMAMJJASOND",
        "a  ■■■■■■■■■■■■",
        "b  ■■■■✗■■■■■■■",
        "c  ■○■■■■■■■■■■",
        "(a mark is the worst of its month)",
    ]
    assert drawn(product(["a", "b", "c"], days("2020-01-01", 2000)), STORED, 40, 9) == [
        "   2020 2021 2022 2023 2024 2025",
        "   1234 1234 1234 1234 1234 12",
        "a  ■■■■ ■■■■ ■■■■ ■■■■ ■■■■ ■■",
        "b  ■■■■ ■■■■ ■■■■ ■■■■ ■■■■ ■■",
        "c  ■■■■ ■■■■ ■■■■ ■■■■ ■■■■ ■■",
        "(a mark is the worst of its quarter)",
    ]


def test_a_week_counts_to_the_month_that_most_of_its_days_are_in():
    weeks = [f"2024-W{n:02}" for n in range(1, 53)]
    lines = drawn(product(["a", "b"], weeks), lambda cell: FAILED if cell["window"] == "2024-W05" else STORED, 20, 7)
    assert lines[1:3] == ["   JFMAMJJASOND", "a  ■✗■■■■■■■■■■"], "29 January to 4 February"


def test_rows_that_are_all_alike_are_told_by_their_number_where_not_all_fit():
    def mark(cell):
        if cell["team"] == "t70":
            return IN_FLIGHT if cell["window"] == "2024-03" else STORED
        return TO_RUN if cell["team"] in ("t98", "t99") else STORED

    assert drawn(product([f"t{n}" for n in range(100)], months(2024, 1)), mark, 80, 10) == [
        "     2024",
        "     JFMAMJJASOND",
        "t0   ■■■■■■■■■■■■",
        "t70  ■■~■■■■■■■■■",
        "t98  ············",
        "t99  ············",
        "… and 96 more, all stored",
    ]


def test_the_worst_rows_stay_and_the_others_are_counted():
    teams = [f"t{n:02}" for n in range(30)]

    def mark(cell):
        if cell["window"] != "2024-06":
            return STORED
        return FAILED if cell["team"] in ("t07", "t21") else TO_RUN

    lines = drawn(product(teams, months(2024, 1)), mark, 60, 8)
    assert [line[:3] for line in lines[2:7]] == ["t00", "t01", "t02", "t07", "t21"]
    assert lines[7] == "… and 25 more: 25 to run, 275 stored"


def test_a_single_axis_that_is_not_the_windows_is_listed():
    cells = product(["support", "sales", "billing"], ["2024-01"])
    assert drawn(cells, lambda cell: FAILED if cell["team"] == "sales" else STORED) == [
        "■ support   ✗ sales     ■ billing"
    ]
    many = drawn(product([f"inbox {n}" for n in range(500)], ["2024-01"]), TO_RUN, 40, 6)
    assert many[-1] == "… and 491 more, all to run"


def test_with_one_window_the_shorter_axis_goes_across():
    cells = [
        (("team", team), ("format", kind), ("window", "2024-01"))
        for team in ("a", "b", "c")
        for kind in ("json", "xlsx")
    ]
    assert drawn(cells, lambda cell: TO_RUN if cell["format"] == "xlsx" else STORED) == [
        "   json xlsx",
        "a  ■    ·",
        "b  ■    ·",
        "c  ■    ·",
    ]  # fmt: skip


def test_a_row_has_all_axes_that_differ_and_no_other():
    cells = [
        (("tag", "t"), ("team", team), ("window", window), ("format", kind))
        for team in ("a", "b")
        for window in ("2024-01", "2024-02")
        for kind in ("json", "xlsx")
    ]
    assert [line.split("  ")[0] for line in drawn(cells, STORED)[2:]] == ["a json", "a xlsx", "b json", "b xlsx"]


def test_one_cell_and_none():
    assert drawn(product(["support"], ["2024-01"]), FAILED) == ["✗ support 2024-01"]
    assert drawn([], STORED) == []


def test_long_heads_are_told_apart():
    formats = ["the same beginning, one", "the same beginning, two"]
    cells = [(("team", team), ("tag", tag), ("window", "2024")) for team in ("a", "b", "c") for tag in formats]
    head = drawn(cells, STORED)[0]
    assert head.split(" the")[0].strip() == "1:the same" or head.split()[0] != head.split()[2]
    assert len(set(head.replace("  ", " ").split("1:")[-1].split("2:"))) == 2


@pytest.mark.parametrize("width", [1, 5, 11, 20, 80])
@pytest.mark.parametrize("how", [{}, {"ascii_only": True}])
def test_wide_and_hostile_labels_keep_to_their_columns(width, how):
    teams = ["顧客サポート", "\x1b[31mred\x1b[0m\nnext \x07line", "x" * 200, "\u202eevil"]
    lines = drawn(product(teams, months(2020, 4)), STORED, width, **how)
    assert not any(set(line) & set("\x1b\n\x07\u202e") for line in lines)
    if width == 80:
        assert len({line.index("#" if how else "■") for line in lines if "#" in line or "■" in line}) <= len(teams)
        starts = {cell_len(line[: line.index("#" if how else "■")]) for line in lines if "#" in line or "■" in line}
        assert len(starts) == 1
    if how:
        assert all(line.isascii() for line in lines)


def test_nothing_is_understood_by_colour_alone():
    marks = [FAILED, IN_FLIGHT, TO_RUN, RENAME, NOT_SETTLED, STORED]
    assert len({mark.sign for mark in marks}) == len({mark.ascii for mark in marks}) == len(marks)
    assert all(mark.ascii.isascii() for mark in marks)


def test_marks_have_their_styles():
    (line,) = Grid(product(["a", "b"], ["2024-01"])).lines([FAILED, STORED], 80)
    assert {str(span.style) for span in line.spans} == {FAILED.style, STORED.style}


def test_painting_again_shows_what_has_changed():
    cells = product(["a", "b"], months(2024, 1))
    grid = Grid(cells)
    marks = [TO_RUN] * len(cells)
    before = [line.plain for line in grid.lines(marks, 80)]
    marks[3] = replace(STORED, sign="S")
    after = [line.plain for line in grid.lines(marks, 80)]
    assert before[2] == "a  ············"
    assert after[2] == "a  ···S········"
    assert before[3] == after[3]


def test_the_legend_counts_and_wraps():
    counts = Counter({STORED: 1690, FAILED: 6, TO_RUN: 24, RENAME: 0})
    assert [line.plain for line in legend(counts, 80)] == ["✗ 6 failed   · 24 to run   ■ 1,690 stored"]
    assert [line.plain for line in legend(counts, 30)] == ["✗ 6 failed   · 24 to run", "■ 1,690 stored"]
    assert [line.plain for line in legend(counts, 80, ascii_only=True)] == ["x 6 failed   . 24 to run   # 1,690 stored"]
