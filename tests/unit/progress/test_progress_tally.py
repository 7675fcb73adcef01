import random

import pytest

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Standing,
    Told,
    Troubled,
)
from orchestrator.engine.states import State
from orchestrator.progress.tally import Tally

T = 1_763_900_000.0


@pytest.fixture
def tally():
    tally = Tally()
    tally.tell(RunStarted(T, "backfill", "run", 24, 3, 16, 4))
    return tally


def stages(tally):
    return {
        name: getattr(tally, name)
        for name in ("waiting", "at_loop", "ready", "downloading", "stored", "failed")
        if getattr(tally, name)
    }


def test_an_export_passes_the_stages(tally, record):
    key = record(0, State.WAITING).key
    assert stages(tally) == {"waiting": 24}
    tally.tell(ExportChanged(T, record(0, State.CREATING), "intended"))
    assert stages(tally) == {"waiting": 23, "at_loop": 1}
    tally.tell(ExportChanged(T, record(0, State.GENERATING), "created"))
    assert stages(tally) == {"waiting": 23, "at_loop": 1}
    tally.tell(ExportChanged(T, record(0, State.READY), "ready"))
    assert stages(tally) == {"waiting": 23, "ready": 1}
    tally.tell(RequestSent(T, "fetch", key))
    assert stages(tally) == {"waiting": 23, "downloading": 1}
    tally.tell(ExportChanged(T, record(0, State.VERIFIED), "verified"))
    assert stages(tally) == {"waiting": 23, "downloading": 1}
    tally.tell(ExportChanged(T, record(0, State.STORED), "stored"))
    assert stages(tally) == {"waiting": 23, "stored": 1}


def test_a_broken_transfer_goes_back_to_ready(tally, record):
    ready = record(0, State.READY)
    tally.tell(ExportChanged(T, ready, "ready"))
    tally.tell(RequestSent(T, "fetch", ready.key))
    tally.tell(Troubled(T, ready.key, "files.broken", "cut", T + 5))
    assert stages(tally) == {"waiting": 23, "ready": 1}
    tally.tell(RequestSent(T, "fetch", ready.key))
    tally.tell(RequestSent(T, "poll", ready.key))  # the URL had died: a fresh one is asked for
    assert stages(tally) == {"waiting": 23, "ready": 1}


def test_what_an_earlier_run_left_is_known_from_the_beginning(record):
    tally = Tally()
    left = [
        record(0, State.GENERATING, created_at=T - 90),
        record(1, State.READY),
        record(2, State.STORED),
        record(3, State.FAILED, "no"),
    ]
    standing = [Standing(r.key, tuple(r.coordinates.items()), r, todo=True) for r in left]
    standing.append(Standing("k1-new", (("team", "sales"),), None, todo=True))
    tally.tell(RunStarted(T, "backfill", "run", 5, 0, 16, 4, exports=standing))
    assert stages(tally) == {"waiting": 3, "at_loop": 1, "ready": 1}
    tally.tell(RequestSent(T, "fetch", left[1].key))
    assert stages(tally) == {"waiting": 3, "at_loop": 1, "downloading": 1}
    assert tally.slowest(3, T) == [("support 2000-01", 90)]


def test_requests_are_counted_by_kind_and_by_the_second(tally):
    for n, kind in enumerate(["create", "poll", "poll", "fetch"]):
        tally.tell(RequestSent(T + n, kind, "k1-a"))
    assert tally.requests == {"create": 1, "poll": 2, "fetch": 1}
    assert tally.requests_a_second(T + 4) == pytest.approx(3 / 4), "downloads are asked of another host"


def test_the_longest_at_loop_are_those_asked_for_first(tally, record):
    for n, age in enumerate([30, 50, 10, 40]):
        tally.tell(ExportChanged(T, record(n, State.GENERATING, created_at=T - age), "created"))
    assert tally.slowest(2, T) == [("support 2000-02", 50), ("support 2000-04", 40)]
    tally.tell(ExportChanged(T, record(1, State.READY, created_at=T - 50), "ready"))
    assert tally.slowest(1, T) == [("support 2000-04", 40)]


def test_the_pace_is_that_of_the_last_minutes(tally, record):
    for n in range(6):
        tally.tell(ExportChanged(T + 10 * (n + 1), record(n, State.STORED), "stored"))
    assert tally.pace(T + 60) == pytest.approx(6 / 60)
    assert tally.pace(T + 109) == pytest.approx(2 / 60)
    tally.tell(Learned(T, 25.0, 40.0, 10.0, 4, 4, rate_found=False, cap_found=False))
    assert tally.pace(T + 109) == pytest.approx(6 / 100), "exports that take long come in longer waves"


def test_what_was_stored_before_is_no_work_of_this_run(tally, record):
    for event in ("adopted", "moved", "superseded", "planned"):
        tally.tell(ExportChanged(T, record(0, State.STORED), event))
    assert stages(tally) == {"waiting": 24}


def test_files_that_are_renamed_are_counted_once_and_wait_for_nothing(record):
    tally = Tally()
    tally.tell(RunStarted(T, "backfill", "run", 0, 12, 16, 4, moves=2))
    for event in ("moving", "moved", "moving", "moved", "planned"):  # a ring is opened by moving a file aside
        tally.tell(ExportChanged(T, record(0, State.STORED), event))
    assert (tally.renamed, tally.moves) == (1, 2)
    assert (tally.total, stages(tally)) == (0, {})


def test_more_exports_than_were_announced(tally, record):
    for n in range(30):
        tally.tell(ExportChanged(T, record(n, State.GENERATING), "created"))
    assert tally.total == 30
    assert tally.waiting == 0


def test_bytes_and_their_rate(tally, record):
    tally.tell(BytesReceived(T + 1, "k1-a", 1000, None))
    tally.tell(BytesReceived(T + 2, "k1-a", 3000, 9000))
    tally.tell(BytesReceived(T + 2.5, "k1-a", 500, None))  # began anew
    assert tally.bytes_received == 3500
    assert tally.rate(T + 3) == pytest.approx(3500 / 2)
    assert tally.rate(T + 11.5) == pytest.approx(2500 / 9.5)
    assert tally.rate(T + 60) == 0


def test_bytes_are_forgotten_when_the_file_is_stored(tally, record):
    stored = record(0, State.STORED)
    tally.tell(BytesReceived(T + 1, stored.key, 1000, None))
    tally.tell(ExportChanged(T + 2, stored, "stored"))
    tally.tell(BytesReceived(T + 3, stored.key, 1500, None))
    assert tally.bytes_received == 2500


def test_the_estimate_waits_until_it_makes_sense(tally, record):
    assert tally.remaining(T + 60) is None
    for n in range(3):
        tally.tell(ExportChanged(T + 5, record(n, State.STORED), "stored"))
    assert tally.remaining(T + 5) is None
    assert tally.remaining(T + 30) == pytest.approx(21 * 10)
    tally.tell(Paused(T + 30, T + 90, "429"))
    assert tally.remaining(T + 30) == pytest.approx(21 * 10 + 60)
    tally.tell(OutageBegan(T + 30, "api", "refused", T + 900))
    assert tally.remaining(T + 30) is None
    tally.tell(OutageEnded(T + 31, "api"))
    tally.tell(Parking(T + 32, "the deadline"))
    assert tally.remaining(T + 32) is None
    assert Tally().remaining(T) is None


def test_what_is_learned_gives_an_estimate_from_the_first_second(tally, record):
    tally.tell(Learned(T, 30.0, 60.0, 10.0, 4, 4, rate_found=False, cap_found=False))
    first = tally.remaining(T)
    assert first == pytest.approx(24 * 30 / 4 + 45)
    tally.tell(Paused(T, T + 60, "429"))
    assert tally.remaining(T) == pytest.approx(first + 60)
    for n in range(20):
        tally.tell(ExportChanged(T + 40 + n, record(n, State.STORED), "stored"))
    slow = tally.remaining(T + 60)
    tally.tell(Learned(T, 3.0, 6.0, 10.0, 4, 4, rate_found=False, cap_found=False))
    assert tally.remaining(T + 60) == pytest.approx(slow - (45 - 4.5)), "the run's own pace outweighs the reckoning"


def test_no_estimate_for_a_run_that_does_not_wait_for_the_end():
    tally = Tally()
    tally.tell(RunStarted(T, "backfill", "run", 24, 0, 16, 4, to_the_end=False))
    tally.tell(Learned(T, 30.0, 60.0, 10.0, 4, 4, rate_found=False, cap_found=False))
    assert tally.remaining(T) is None


def test_no_estimate_when_all_is_done(tally, record):
    for n in range(24):
        tally.tell(ExportChanged(T + 5, record(n, State.STORED), "stored"))
    assert tally.remaining(T + 60) is None


def test_a_pause_is_never_shortened(tally):
    tally.tell(Paused(T, T + 300, "first"))
    tally.tell(Paused(T, T + 5, "second"))
    assert tally.paused_until == T + 300


def test_an_outage_told_again_began_when_it_began(tally):
    tally.tell(OutageBegan(T, "api", "refused", T + 900))
    tally.tell(OutageBegan(T + 60, "api", "reset", T + 900))
    assert tally.outages["api"].at == T
    assert tally.outages["api"].detail == "reset"
    tally.tell(OutageEnded(T + 61, "files"))
    tally.tell(OutageEnded(T + 61, "api"))
    assert not tally.outages


def test_the_last_problems_same_words_counted(tally, record):
    for n in range(5):
        tally.tell(ExportChanged(T, record(n, State.GENERATING), "created"))
        tally.tell(Troubled(T + n, record(n, State.WAITING).key, "api.broken", "503", T + 60))
    tally.tell(Troubled(T + 6, "k1-unknown-to-us", "api.broken", "reset\x1b[2J", T + 60))
    tally.tell(ExportChanged(T + 7, record(0, State.FAILED, "no"), "failed"))
    assert [(p.label, p.message, p.times) for p in tally.problems] == [
        ("support 2000-05", "503", 5),
        ("k1-unknown-t", "reset", 1),
        ("support 2000-01", "no", 1),
    ]
    assert tally.problems[-1].again_at is None
    assert tally.problems[-1].hint == "try a shorter window"
    tally.tell(Troubled(T + 8, "k1-x", "api.broken", "something new", T + 60))
    assert len(tally.problems) == 3


def test_the_end_and_unknown_events(tally):
    tally.tell(Told(T))
    tally.tell(RunEnded(T + 5, "parked"))
    assert tally.outcome == "parked"


@pytest.mark.parametrize("seed", range(20))
def test_the_stages_always_add_up(seed, record):
    chance = random.Random(seed)
    tally = Tally()
    tally.tell(RunStarted(T, "backfill", "run", 40, 0, 16, 4))
    for step in range(600):
        n, at = chance.randrange(40), T + step / 10
        key = record(n, State.WAITING).key
        tally.tell(
            chance.choice(
                [
                    ExportChanged(at, record(n, chance.choice([s for s in State if s != "superseded"])), "any"),
                    RequestSent(at, chance.choice(["create", "poll", "fetch"]), key),
                    BytesReceived(at, key, chance.randrange(10**6), None),
                    Troubled(at, key, "c", chance.choice("abcd"), at + 1),
                ]
            )
        )
        figures = [tally.waiting, tally.at_loop, tally.ready, tally.downloading, tally.stored, tally.failed]
        assert min(figures) >= 0
        assert sum(figures) == tally.total == 40


@pytest.mark.parametrize("end", [State.STORED, State.FAILED])
def test_of_an_export_that_has_ended_only_its_state_is_kept(tally, record, end):
    key = record(0, State.READY).key
    for n in range(2):  # the second time after it was begun anew
        tally.tell(ExportChanged(T, record(0, State.READY), "ready"))
        tally.tell(RequestSent(T, "fetch", key))
        tally.tell(BytesReceived(T, key, 10 + n, 20))
        assert tally.label(key) != key[:12]
        tally.tell(ExportChanged(T, record(0, end), end.value))
        assert key not in tally._labels.keys() | tally._received.keys() | tally._fetching.keys() | tally._begun.keys()
    assert stages(tally)[end.value] == 1
