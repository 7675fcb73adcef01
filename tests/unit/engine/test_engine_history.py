"""What a run has spent its time on: an export's stages, and requests over time in bounded memory."""

import pytest

from orchestrator.engine.events import ExportChanged, Paused, RequestRefused, RequestSent, RunStarted
from orchestrator.engine.history import BUCKETS, LONGEST, History
from orchestrator.engine.states import File, Part, Record, State

BEGAN = 1_800_000_000.0


class Listener:
    def __init__(self):
        self.heard = []

    def tell(self, told):
        self.heard.append(told)


@pytest.fixture
def history():
    history = History(Listener())
    history.tell(RunStarted(BEGAN, "job", "run", 1, 0, 4, 4))
    return history


def record(state, *, stored=None):
    part = Part(0, {}, state=State(state), stored=stored)
    return Record("key", {"window": "2024-01"}, "p", None, (0, 1), (part,))


def changed(history, seconds, state, event="", **more):
    history.tell(ExportChanged(BEGAN + seconds, record(state, **more), event))


def total(history, name, ended):
    return sum(bucket[name] for bucket in history.buckets(BEGAN + ended))


def test_an_export_that_goes_straight_through_has_each_stage_once(history):
    history.begins(record("waiting"), BEGAN + 0.5)
    changed(history, 2, "creating", "intended")
    changed(history, 2.5, "generating", "created")
    history.unfinished("key", BEGAN + 20)
    history.unfinished("key", BEGAN + 30)
    changed(history, 40, "ready", "ready")
    history.tell(RequestSent(BEGAN + 42, "fetch", "key"))
    changed(history, 45, "verified", "verified")
    changed(history, 46, "stored", "stored")
    assert history.stages("key") == [
        ("queued", 0.5), ("service", 2.5), ("notice", 30.0), ("ready", 40.0), ("transfer", 42.0), ("end", 46.0),
    ]  # fmt: skip


def test_who_was_found_finished_at_the_first_question_was_at_the_service_for_all_that_is_known(history):
    history.begins(record("generating"), BEGAN)
    changed(history, 40, "ready", "ready")
    assert history.stages("key") == [("service", 0.0), ("ready", 40.0)]


def test_an_export_that_is_made_anew_goes_through_the_stages_again(history):
    history.begins(record("waiting"), BEGAN)
    changed(history, 1, "generating", "created")
    history.unfinished("key", BEGAN + 5)
    changed(history, 9, "waiting", "lost")
    changed(history, 10, "generating", "created")
    changed(history, 20, "ready", "ready")
    names = [name for name, _ in history.stages("key")]
    assert names == ["queued", "service", "queued", "service", "ready"]


def test_a_download_that_breaks_and_goes_on_is_one_transfer(history):
    history.begins(record("ready"), BEGAN)
    history.tell(RequestSent(BEGAN + 1, "fetch", "key"))
    changed(history, 2, "ready", "ready")
    history.tell(RequestSent(BEGAN + 3, "fetch", "key"))
    assert history.stages("key") == [("ready", 0.0), ("transfer", 1.0)]


def test_the_first_stages_and_the_last_are_kept_of_one_that_never_ends(history):
    history.begins(record("waiting"), BEGAN)
    for n in range(100):
        changed(history, 2 * n, "generating", "created")
        changed(history, 2 * n + 1, "waiting", "lost")
    changed(history, 500, "failed", "failed")
    stages = history.stages("key")
    assert len(stages) == LONGEST
    assert stages[:2] == [("queued", 0.0), ("service", 0.0)]
    assert stages[-1] == ("end", 500.0)


def test_what_the_run_does_not_work_on_has_no_stages(history):
    changed(history, 1, "stored", "moved")
    assert history.stages("key") == []


def test_requests_refusals_and_bytes_are_counted_where_they_happened(history):
    for second, kind in ((0.1, "create"), (0.2, "create"), (1.5, "poll"), (3.9, "fetch")):
        history.tell(RequestSent(BEGAN + second, kind, "other"))
    history.tell(RequestRefused(BEGAN + 1.6))
    history.begins(record("verified"), BEGAN)
    changed(history, 4.5, "stored", "stored", stored=File("id", 1000, "0" * 64, 3, 0.0, partial=False))
    buckets = history.buckets(BEGAN + 5.5)
    assert [bucket["posts"] for bucket in buckets] == [2, 0, 0, 0, 0, 0]
    assert [bucket["polls"] for bucket in buckets] == [0, 1, 0, 0, 0, 0]
    assert [bucket["downloads"] for bucket in buckets] == [0, 0, 0, 1, 0, 0]
    assert [bucket["throttled"] for bucket in buckets] == [0, 1, 0, 0, 0, 0]
    assert [bucket["bytes"] for bucket in buckets] == [0, 0, 0, 0, 1000, 0]
    assert [bucket["at"] for bucket in buckets] == [0, 1, 2, 3, 4, 5]


def test_a_run_of_any_length_has_a_bounded_number_of_buckets_and_loses_no_count(history):
    for n in range(10_000):
        history.tell(RequestSent(BEGAN + 37 * n, "poll", "key"))
    buckets = history.buckets(BEGAN + 370_000)
    assert len(buckets) <= BUCKETS
    assert len(buckets) > BUCKETS // 3
    assert total(history, "polls", 370_000) == 10_000


def test_a_long_silence_at_the_end_is_as_bounded(history):
    history.tell(RequestSent(BEGAN, "poll", "key"))
    assert len(history.buckets(BEGAN + 1_000_000)) <= BUCKETS


def test_pauses_are_counted_once_where_they_overlap_and_no_longer_than_the_run(history):
    history.tell(Paused(BEGAN + 2, BEGAN + 12, "429"))
    history.tell(Paused(BEGAN + 4, BEGAN + 15, "429"))
    history.tell(Paused(BEGAN + 5, BEGAN + 6, "another host, and sooner over"))
    history.tell(Paused(BEGAN + 30, BEGAN + 60, "429"))
    assert total(history, "paused", 40) == pytest.approx(13 + 10)


def test_whatever_is_told_is_handed_on():
    listener = Listener()
    history = History(listener)
    told = [RunStarted(BEGAN, "job", "run", 1, 0, 4, 4), RequestRefused(BEGAN), Paused(BEGAN, BEGAN + 1, "x")]
    for each in told:
        history.tell(each)
    assert listener.heard == told
