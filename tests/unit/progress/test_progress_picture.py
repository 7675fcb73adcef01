import random

import pytest

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    OutageBegan,
    Parking,
    Paused,
    RequestSent,
    RunStarted,
    Standing,
    Troubled,
)
from orchestrator.engine.states import State
from orchestrator.progress.cells import Cells
from orchestrator.progress.picture import ROWS, WIDEST, picture, rows_for
from orchestrator.progress.tally import Tally

T = 1_763_900_000.0


class Watched:
    """A tally and a grid that hear the same."""

    def __init__(self, *told):
        self.tally, self.cells = Tally(), Cells()
        for each in told:
            self.tell(each)

    def tell(self, told):
        self.tally.tell(told)
        self.cells.tell(told)


def run(record, todo=24, job="backfill", exports=0):
    standing = [
        Standing(r.key, tuple(r.coordinates.items()), None, todo=True)
        for r in (record(n, State.WAITING) for n in range(exports))
    ]
    it = Watched(RunStarted(T, job, "run", todo, 0, 16, 4, exports=standing))
    for n in range(6):
        it.tell(ExportChanged(T + 1, record(n, State.STORED), "stored"))
        it.tell(BytesReceived(T + 10 + n, f"k{n}", 500_000, None))
    it.tell(RequestSent(T + 1, "create", "k"))
    for n in range(6, 11):
        it.tell(ExportChanged(T + 2, record(n, State.GENERATING, created_at=T - n), "created"))
    return it


def text(it, now, width=80, **options):
    return [line.plain for line in picture(it.tally, now, width, **options)]


def test_a_calm_run(record):
    assert text(run(record), T + 20) == [
        "backfill   ■ 6 of 24 stored   0:20 elapsed, about 1 min left",
        "━" * 20 + "─" * 60,
        "· 13 waiting   ~ 5 at Loop   ▾ 0 downloading   ✗ 0 failed",
        "18 exports/min   278 kB/s, 3.0 MB received",
        "longest at Loop: support 2000-11 0:30, support 2000-10 0:29",
    ]


def test_what_was_found_of_the_limits_stands_where_it_is_needed(record):
    it = run(record)
    it.tell(RequestSent(T + 19, "poll", "k"))
    it.tell(Learned(T + 19, 12.0, 30.0, 4.83, 12, 4, rate_found=True, cap_found=True))
    lines = text(it, T + 20)
    assert lines[2] == "· 13 waiting   ~ 5 of 12 at Loop   ▾ 0 downloading   ✗ 0 failed"
    assert lines[3] == "18 exports/min   278 kB/s, 3.0 MB received   0.1 requests/s (about 4.8 allowed)"
    it.tell(Learned(T + 19, 12.0, 30.0, 4.83, 12, 4, rate_found=False, cap_found=False))
    assert "allowed" not in " ".join(text(it, T + 20))


def test_a_run_that_is_seen_in_its_journal_tells_no_more_than_that_knows(record):
    it = run(record)
    it.tally.from_journal = True
    it.tell(ExportChanged(T + 2, record(11, State.READY), "ready"))
    assert text(it, T + 20)[2] == "· 12 waiting   ~ 5 at Loop   ▾ 1 ready or downloading   ✗ 0 failed"


def test_a_run_in_every_trouble(record):
    it = run(record)
    it.tell(Paused(T + 30, T + 330, "429"))
    it.tell(OutageBegan(T + 30, "api", "refused", T + 930))
    it.tell(Parking(T + 30, "the deadline is near"))
    it.tell(ExportChanged(T + 31, record(7, State.FAILED, "Loop says no"), "failed"))
    it.tell(Troubled(T + 32, record(8, State.WAITING).key, "c", "reset", T + 60))
    assert text(it, T + 40)[3:8] == [
        "parking: the deadline is near, what is under way gets a few seconds",
        "the API host has not answered for 0:10, giving up at 12:28:50",
        "paused by the service until 12:18:50, 4:50 to go",
        "10 exports/min   3.0 MB received",
        "longest at Loop: support 2000-11 0:50, support 2000-10 0:49",
    ]
    assert text(it, T + 40)[8:] == [
        "12:13:51 FAILED support 2000-08: Loop says no",
        "12:13:52 support 2000-09: reset, again in 0:20",
    ]
    assert not any("paused" in line for line in text(it, T + 400))


def test_one_failure_in_hundreds_shows_in_the_bar(record):
    it = run(record, todo=500)
    it.tell(ExportChanged(T, record(7, State.FAILED, "no"), "failed"))
    bar = picture(it.tally, T + 20, 80)[1]
    assert bar.plain == "━" + "─" * 79
    assert any(span.style == "red" for span in bar.spans)


def test_what_was_tried_again_long_ago_is_told_no_longer(record):
    it = run(record)
    it.tell(Troubled(T, record(8, State.WAITING).key, "c", "reset", T + 5))
    it.tell(ExportChanged(T, record(7, State.FAILED, "Loop says no"), "failed"))
    assert any("reset" in line for line in text(it, T + 30))
    assert not any("reset" in line for line in text(it, T + 36))
    assert any("Loop says no" in line for line in text(it, T + 3600)), "a failure stays"


def test_a_grid_is_worth_more_than_the_end_of_a_message(record):
    it = run(record, exports=24)
    it.tell(ExportChanged(T, record(7, State.FAILED, "no room " * 40), "failed"))
    told = [line for line in text(it, T + 20, cells=it.cells) if "no room" in line]
    assert len(told) == 1
    assert told[0].endswith("…")


def test_a_long_message_takes_two_lines_and_no_more(record):
    it = run(record)
    it.tell(ExportChanged(T, record(7, State.FAILED, "no room " * 40), "failed"))
    told = [line for line in text(it, T + 20) if "no room" in line]
    assert len(told) == 2
    assert told[1].startswith("         no room")
    assert told[1].endswith("…")
    assert all(line.count("no room") > 4 for line in told)
    assert told[0].startswith("12:13:20 FAILED support 2000-08: no room")


def test_the_grid_fills_and_marks_what_the_counts_count(record):
    it = run(record, exports=24)
    it.tell(ExportChanged(T + 3, record(6, State.READY), "ready"))
    it.tell(ExportChanged(T + 3, record(7, State.FAILED, "no"), "failed"))
    lines = text(it, T + 20, cells=it.cells)
    assert [line.strip() for line in lines[-3:-1]] == ["2000         2001", "JFMAMJJASOND JFMAMJJASOND"]
    assert (lines[-1].count("■"), lines[-1].count("~"), lines[-1].count("▾"), lines[-1].count("✗")) == (6, 3, 1, 1)
    assert lines[-1].count("·") == it.tally.waiting == 13


def test_what_is_stored_or_refused_before_the_run_is_in_its_grid_too(record):
    stored, failed, other = record(0, State.STORED), record(1, State.FAILED, "no"), record(2, State.WAITING)
    again = record(3, State.FAILED, "no")
    left = record(4, State.GENERATING, created_at=T - 60)
    standing = [
        Standing(r.key, tuple(r.coordinates.items()), known, todo)
        for r, known, todo in [
            (stored, stored, False), (failed, failed, False), (other, None, False), (again, again, True), (left, left, True),
            (record(5, State.WAITING), None, True),
        ]
    ]  # fmt: skip
    it = Watched(RunStarted(T, "backfill", "run", 3, 3, 16, 4, exports=standing))
    assert "".join(mark.sign for mark in it.cells.marks) == "■!○·~·"
    assert text(it, T)[0] == "backfill   ■ 0 of 3 stored, 1 before   0:00 elapsed", "as many as the grid shows"
    assert (it.tally.waiting, it.tally.at_loop, it.tally.total) == (2, 1, 3)
    assert it.tally.slowest(3, T) == [("support 2000-05", 60.0)]


def test_a_grid_is_painted_anew_only_when_a_mark_has_changed(record):
    it = run(record, exports=24)
    painted = it.cells.lines(80, 10, ascii_only=False)
    it.tell(ExportChanged(T + 3, record(6, State.GENERATING), "alive"))
    assert it.cells.lines(80, 10, ascii_only=False) is painted
    assert it.cells.lines(60, 10, ascii_only=False) is not painted
    it.tell(ExportChanged(T + 3, record(6, State.READY), "ready"))
    assert "▾" in it.cells.lines(60, 10, ascii_only=False)[-1].plain


def test_few_exports_and_few_lines_have_no_grid(record):
    assert not run(record, exports=3).cells.worth_showing
    it = run(record, exports=24)
    assert not any("2000" in line for line in text(it, T + 20, cells=it.cells, rows=5)[:4])


def test_each_piece_keeps_its_own_style(record):
    stages = next(line for line in picture(run(record).tally, T + 20, 36) if line.plain.startswith("▾"))
    assert stages.plain == "▾ 0 downloading   ✗ 0 failed"
    assert stages.style == ""
    assert [(span.start, span.end, span.style) for span in stages.spans] == [(0, 15, "dim"), (18, 28, "dim")]


def test_nothing_to_do_and_no_name():
    assert text(Watched(RunStarted(T, "", "run", 0, 0, 16, 4)), T)[0] == "■ 0 of 0 stored   0:00 elapsed"


def test_files_are_renamed(record):
    it = Watched(RunStarted(T, "", "run", 0, 0, 16, 4, moves=2))
    stages = "· 0 waiting   ~ 0 at Loop   ▾ 0 downloading   ✗ 0 failed"
    assert text(it, T, 100)[2] == f"{stages}   0 files renamed"
    it.tell(ExportChanged(T, record(0, State.STORED), "moved"))
    assert text(it, T, 100)[2] == f"{stages}   1 file renamed"


def test_ascii_only(record):
    it = run(record, exports=24)
    it.tell(Troubled(T, "k", "c", "x" * 200, T + 60))
    assert all(line.isascii() for line in text(it, T + 20, ascii_only=True, cells=it.cells))


@pytest.mark.parametrize(("height", "rows"), [(1, 0), (2, 1), (10, 9), (15, 14), (24, 16), (30, 20), (200, 20)])
def test_a_picture_leaves_room_for_what_is_printed_above(height, rows):
    assert rows_for(height) == rows


@pytest.mark.parametrize("width", [1, 20, 40, 80, 140, 300])
@pytest.mark.parametrize("rows", [0, 1, 5, ROWS, 20])
@pytest.mark.parametrize("seed", range(3))
def test_it_always_fits(width, rows, seed, record):
    chance = random.Random(seed)
    it = run(record, todo=123_456, job="日本" * chance.randrange(1, 30), exports=100)
    for n in range(12):
        at = T + n
        it.tell(
            chance.choice(
                [
                    Paused(at, at + 10**6, "429"),
                    OutageBegan(at, chance.choice(["api", "files"]), "no\nroute", at + 900),
                    Parking(at, "SIGTERM " * chance.randrange(1, 40)),
                    Troubled(at, "k", "c", "ошибка " * n, at + 5),
                    ExportChanged(at, record(n, State.FAILED, "failed " * n), "failed"),
                ]
            )
        )
        lines = picture(it.tally, at, width, rows=rows, cells=it.cells)
        assert len(lines) <= rows
        assert all(line.cell_len <= min(width, WIDEST) for line in lines)
        assert "\n" not in "".join(line.plain for line in lines)
