import random

import pytest

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    OutageBegan,
    Parking,
    Paused,
    RequestSent,
    RunStarted,
    Troubled,
)
from orchestrator.engine.states import State
from orchestrator.progress.picture import ROWS, picture
from orchestrator.progress.tally import Tally

T = 1_763_900_000.0


def run(record, todo=24, job="backfill"):
    tally = Tally()
    tally.tell(RunStarted(T, job, "run", todo, 0, 16, 4))
    for n in range(6):
        tally.tell(ExportChanged(T + 1, record(n, State.STORED), "stored"))
        tally.tell(BytesReceived(T + 10 + n, f"k{n}", 500_000, None))
    tally.tell(RequestSent(T + 1, "create", "k"))
    for n in range(6, 11):
        tally.tell(ExportChanged(T + 2, record(n, State.GENERATING), "created"))
    return tally


def text(tally, now, width=80, **options):
    return [line.plain for line in picture(tally, now, width, **options)]


def test_a_calm_run(record):
    lines = text(run(record), T + 20)
    assert lines[0] == "backfill   6 of 24 stored   about 1 min left"
    assert lines[1] == "━" * 20 + "─" * 60
    assert lines[2] == "13 waiting   5 at Loop   0 ready   0 downloading   6 stored   0 failed"
    assert lines[3] == "3.0 MB received, 278 kB/s   requests: 1 create, 0 poll, 0 fetch   0:20 elapsed"
    assert len(lines) == 4


def test_a_run_in_every_trouble(record):
    tally = run(record)
    tally.tell(Paused(T + 30, T + 330, "429"))
    tally.tell(OutageBegan(T + 30, "api", "refused", T + 930))
    tally.tell(Parking(T + 30, "the deadline is near"))
    tally.tell(ExportChanged(T + 31, record(7, State.FAILED, "Loop says no"), "failed"))
    tally.tell(Troubled(T + 32, record(8, State.WAITING).key, "c", "reset", T + 60))
    assert text(tally, T + 40)[3:] == [
        "parking: the deadline is near, what is under way gets a few seconds",
        "the API host has not answered for 0:10, giving up at 12:28:50 (local time)",
        "paused by the service, until 12:18:50 (local time), 4:50 to go",
        "3.0 MB received   requests: 1 create, 0 poll, 0 fetch   0:40 elapsed",
        "12:13:51 FAILED support 2000-08: Loop says no",
        "12:13:52 support 2000-09: reset, again in 0:20",
    ]
    assert not any("paused" in line for line in text(tally, T + 400))


def test_one_failure_in_hundreds_shows_in_the_bar(record):
    tally = run(record, todo=500)
    tally.tell(ExportChanged(T, record(7, State.FAILED, "no"), "failed"))
    bar = picture(tally, T + 20, 80)[1]
    assert bar.plain == "━" + "─" * 79
    assert any(span.style == "red" for span in bar.spans)


def test_each_piece_keeps_its_own_style(record):
    stages = next(line for line in picture(run(record), T + 20, 30) if line.plain == "6 stored   0 failed")
    assert stages.style == ""
    assert [(span.start, span.end, span.style) for span in stages.spans] == [(0, 8, "green"), (11, 19, "dim")]


def test_nothing_to_do_and_no_name():
    tally = Tally()
    tally.tell(RunStarted(T, "", "run", 0, 0, 16, 4))
    assert text(tally, T)[0] == "0 of 0 stored"


def test_files_are_renamed(record):
    tally = Tally()
    tally.tell(RunStarted(T, "", "run", 0, 0, 16, 4, moves=2))
    stages = "0 waiting   0 at Loop   0 ready   0 downloading   0 stored   0 failed"
    assert text(tally, T, 100)[2] == f"{stages}   0 files renamed"
    tally.tell(ExportChanged(T, record(0, State.STORED), "moved"))
    assert text(tally, T, 100)[2] == f"{stages}   1 file renamed"


def test_ascii_only(record):
    tally = run(record)
    tally.tell(Troubled(T, "k", "c", "x" * 200, T + 60))
    assert all(line.isascii() for line in text(tally, T + 20, ascii_only=True))


@pytest.mark.parametrize("width", [1, 20, 40, 80, 140, 300])
@pytest.mark.parametrize("seed", range(5))
def test_it_always_fits(width, seed, record):
    chance = random.Random(seed)
    tally = run(record, todo=123_456, job="日本" * chance.randrange(1, 30))
    for n in range(12):
        at = T + n
        tally.tell(
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
        lines = picture(tally, at, width)
        assert len(lines) <= ROWS
        assert all(line.cell_len <= min(width, 100) for line in lines)
        assert "\n" not in "".join(line.plain for line in lines)
