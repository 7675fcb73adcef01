"""Places among the unfinished exports, ghosts, and what an outage does to the budgets."""

from __future__ import annotations

import math

import pytest
from fakes import Told, make_policy

from orchestrator.engine.events import OutageBegan, OutageEnded
from orchestrator.engine.ports import Found
from orchestrator.engine.spending import Spending
from orchestrator.engine.states import Cause, Part, Report, State
from orchestrator.journal.machine import Machine

NOW = 1000.0


def spending(durations=(), **changes):
    made = Spending(make_policy(**{"unfinished": 2, **changes}), Told())
    made.recall(durations)
    return made


def part(state, *, live=0, stuck=0, ghosts=(), intended_at=None):
    reports = [Report(f"r{n}", NOW) for n in range(live)]
    reports += [Report(f"s{n}", NOW, cause=Cause.STUCK) for n in range(stuck)]
    return Part(0, {}, state=state, reports=tuple(reports), ghosts=ghosts, intended_at=intended_at)


WAITING = part(State.WAITING)


@pytest.mark.parametrize(
    ("held", "free"),
    [
        (part(State.WAITING), 2),
        (part(State.CREATING), 1),
        (part(State.GENERATING, live=1), 1),
        (part(State.GENERATING, live=2), 0),
        (part(State.WAITING, stuck=1), 2),
        (part(State.READY, live=1), 2),
        (part(State.STORED, live=1), 2),
        (part(State.WAITING, ghosts=(NOW,)), 1),
    ],
)
def test_who_holds_a_place(held, free):
    made = spending()
    made.changed(None, held, NOW)
    for _ in range(free):
        assert made.budgets(NOW).create_at == -math.inf
        made.starting += 1
    assert made.budgets(NOW).create_at > NOW


def test_a_place_is_given_back():
    made = spending(unfinished=1)
    generating = part(State.GENERATING, live=1)
    made.changed(WAITING, generating, NOW)
    assert made.budgets(NOW).create_at == math.inf
    made.changed(generating, part(State.READY, live=1), NOW)
    assert made.budgets(NOW).create_at == -math.inf


@pytest.mark.parametrize(
    ("durations", "ends"),
    [
        ((), 30.0),  # three polls' time
        ((5.0,) * 4, 30.0),
        ((5.0,) * 100, 5.0),
        ((5.0,) * 94 + (50.0,) * 6, 50.0),
        ((5.0,) * 96 + (50.0,) * 4, 5.0),
    ],
)
def test_a_ghost_ends_by_time(durations, ends):
    made = spending(durations, unfinished=1)
    made.changed(WAITING, part(State.WAITING, ghosts=(NOW,)), NOW)
    assert made.budgets(NOW).create_at == NOW + ends
    assert made.budgets(NOW + ends).create_at == -math.inf


def test_a_ghost_of_another_clock_does_not_hold_its_place_for_a_day():
    made = spending(unfinished=1)
    made.changed(None, part(State.WAITING, ghosts=(NOW + 86_400,)), NOW)
    assert made.budgets(NOW).create_at == NOW + 30


@pytest.mark.parametrize(
    "left",
    [part(State.GENERATING, live=1), part(State.CREATING, intended_at=NOW), part(State.FAILED, ghosts=(NOW,))],
)
def test_what_the_run_has_no_work_with_holds_a_place_for_a_while(left):
    made = spending(unfinished=1)
    made.left(left, NOW)
    assert made.budgets(NOW).create_at == NOW + 30


def test_a_host_that_is_down_is_probed_by_one_request_at_a_time():
    made = spending()
    for _ in range(3):
        made.badly("api", None, NOW, "502")
    assert made.budgets(NOW).request_at == NOW + 10
    assert made.budgets(NOW).poll_first
    made.asking = 1
    assert made.budgets(NOW).request_at == math.inf
    assert made.gives_up_at("api") == NOW + 900
    made.well("api", NOW + 60)
    assert made.gives_up_at("api") == math.inf
    assert made.budgets(NOW + 60).request_at < NOW + 60
    assert [type(told) for told in made._observer.all] == [OutageBegan, OutageEnded]


def test_one_host_says_nothing_of_the_other():
    made = spending()
    for _ in range(3):
        made.badly("files", None, NOW, "502")
    assert made.budgets(NOW).fetch_at == NOW + 10
    assert made.budgets(NOW).request_at < NOW
    assert made.errors == 0


def test_downloads_have_places_and_a_gate_of_their_own():
    made = spending(downloads=1)
    made.close("files", NOW + 20, NOW)
    made.close("files", NOW + 10, NOW)
    assert made.budgets(NOW).fetch_at == NOW + 20
    made.downloading = 1
    assert made.budgets(NOW + 30).fetch_at == math.inf


@pytest.mark.parametrize(
    ("polls", "idle", "grows"),
    [
        pytest.param(1, 0.0, False, id="the rate is filled, and hardly by polls"),
        pytest.param(4, 0.0, True, id="it is filled by polls, of which there could be fewer"),
        pytest.param(1, 2.0, True, id="nobody waits for the rate"),
    ],
)
def test_the_cap_grows_unless_it_is_the_rate_that_holds_the_run_up(polls, idle, grows):
    made, now = spending(unfinished=50, unfinished_start=4, requests_per_second=5.0), NOW
    for n in range(300):
        now += 0.2 + idle
        made.pace.asked(now, idle)
        made.took_turn(polled=n % (polls + 1) > 0)
    made.accepted(3)
    made.finished(now, waiting=True)
    assert (made.cap.most == 5) is grows
    made.finished(now, waiting=False)
    assert (made.cap.most == 5) is grows, "nobody waits for a place"


def test_no_turn_is_lost_that_other_runs_of_the_account_may_take():
    made = spending(requests_per_second=5.0)
    assert made.budgets(NOW).lost_at < math.inf
    made._others = 3
    assert made.budgets(NOW).lost_at == math.inf


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_runs_that_share_an_account_find_its_rate_as_one_does_alone(runs, tmp_path):
    limits = {"requests_per_second": 100.0, "requests_start": 4.0}
    path = tmp_path / "shared" / "account.json"
    side_by_side = [Spending(make_policy(**limits), Told(), shared=Machine(path)) for _ in range(runs)]
    now, sent = NOW, 0
    while now < NOW + 60:
        gone = [each for each in side_by_side if each.budgets(now).request_at <= now and each.has_turn(now)]
        for each in gone:
            each.reserve(now)
            each.rate.sent(now)
        sent += len(gone)
        if not gone:
            now = max(now + 1e-3, min(each.budgets(now).request_at for each in side_by_side))
    assert [each.pace.per_second for each in side_by_side] == [100.0] * runs
    assert not any(each.pace.idles for each in side_by_side)
    assert sent > 60 * 80


class Bucket:
    """A service that takes so many requests a second, and `burst` together."""

    def __init__(self, per_second, burst):
        self._per_second, self._burst, self._left, self._at = per_second, burst, float(burst), NOW
        self.taken = self.refused = 0

    def takes(self, now):
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        allowed = self._left >= 1
        self._left -= allowed
        self.taken += allowed
        self.refused += not allowed
        return allowed


@pytest.mark.parametrize(("per_second", "burst"), [(5.0, 5), (20.0, 20), (2.0, 5)])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_runs_that_share_an_account_use_up_what_a_service_allows(runs, per_second, burst, tmp_path):
    limits = {"requests_per_second": 100.0, "requests_start": 4.0}
    path = tmp_path / "shared" / "account.json"
    side_by_side = [Spending(make_policy(**limits), Told(), shared=Machine(path)) for _ in range(runs)]
    service, now = Bucket(per_second, burst), NOW
    while now < NOW + 300:
        gone = [each for each in side_by_side if each.budgets(now).request_at <= now and each.has_turn(now)]
        for each in gone:
            each.reserve(now)
            each.rate.sent(now)
            if not service.takes(now):
                each.refused(now, now)
                each.close("api", now + 1.0, now)
        if not gone:
            now = max(now + 1e-3, min(each.budgets(now).request_at for each in side_by_side))
    assert service.taken > 0.9 * 300 * per_second
    assert service.refused < 0.02 * service.taken


def test_what_stands_beside_a_creation_are_the_exports_of_all_runs(tmp_path):
    path = tmp_path / "shared" / "account.json"
    Machine(path).take(NOW, 0.1, 3)
    made = Spending(make_policy(), Told(), shared=Machine(path))
    made.has_turn(NOW)
    made.starting = 2
    assert made.beside == 4


def test_a_turn_that_has_passed_in_a_silence_is_taken_anew(tmp_path):
    path = tmp_path / "shared" / "account.json"
    one, two = (Spending(make_policy(requests_per_second=2.0), Told(), shared=Machine(path)) for _ in range(2))
    assert one.has_turn(NOW)
    assert not two.has_turn(NOW)
    one.close("api", NOW + 10, NOW)
    two.close("api", NOW + 10, NOW)
    assert [each.has_turn(NOW + 10) for each in (one, two)] == [True, False]


def test_a_run_begins_with_what_others_have_found(tmp_path):
    path = tmp_path / "shared" / "account.json"
    Machine(path).take(NOW, 0.1, 3, found=Found(4.5, 7))
    made = Spending(make_policy(requests_per_second=100.0, unfinished=64), Told(), shared=Machine(path))
    made.has_turn(NOW)
    assert made.found() == Found(4.5, 7)
