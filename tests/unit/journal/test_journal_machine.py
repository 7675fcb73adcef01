"""Runs of one account on one machine: one row of requests, one gate, one cap."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from orchestrator.engine.ports import Blamed, Found
from orchestrator.journal.machine import FARTHEST, FORGOTTEN, KEPT, Machine, look, place

NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shared" / "account.json"


def test_turns_of_all_runs_come_one_after_the_other(path):
    first, second = Machine(path), Machine(path)
    turns = [machine.take(NOW, 0.5, 0).at - NOW for _ in range(4) for machine in (first, second)]
    assert turns[0] == 0
    assert turns == sorted(turns)
    assert turns[-1] >= 0.5 * 7 - 0.1


def test_a_run_that_is_alone_waits_for_nobody(path):
    machine = Machine(path)
    assert [machine.take(NOW + n, 0.5, 0).at for n in range(5)] == [NOW + n for n in range(5)]


def test_turns_that_nobody_took_are_kept_where_that_is_allowed(path):
    machine = Machine(path)
    machine.take(NOW, 0.5, 0)
    turns = [machine.take(NOW + 100, 0.5, 0, kept=2).at - NOW for _ in range(5)]
    assert turns == pytest.approx([100, 100, 100, 100.5, 101.0])


def test_a_pause_holds_for_all_runs(path):
    first, second = Machine(path), Machine(path)
    first.close_until(NOW + 60, NOW)
    first.close_until(NOW + 30, NOW)
    assert second.take(NOW, 0.5, 0).closed_until == NOW + 60


def test_a_pause_outlives_the_runs_that_are_silent_because_of_it(path):
    paused, other = Machine(path), Machine(path)
    paused.take(NOW, 0.5, 3)
    paused.close_until(NOW + 600, NOW)
    other.take(NOW + FORGOTTEN + 1, 0.5, 0)
    other.close()
    after = Machine(path)
    assert look(path, NOW + 200) == (0, NOW + 600)
    assert after.take(NOW + 200, 0.5, 0).closed_until == NOW + 600
    after.take(NOW + 601, 0.5, 0)
    after.close()
    assert not path.exists()


def test_a_pause_of_a_clock_that_was_ahead_lasts_no_longer_than_it_would_have(path):
    machine = Machine(path)
    machine.close_until(NOW + 86_400 + 60, NOW + 86_400)
    assert machine.take(NOW, 0.5, 0).closed_until == NOW + 60
    assert machine.take(NOW + 59, 0.5, 0).closed_until == NOW + 60
    assert machine.take(NOW + 61, 0.5, 0).closed_until == 0


def test_a_pause_is_not_shortened_for_a_run_that_has_looked_at_the_clock_a_moment_before(path):
    machine = Machine(path)
    machine.close_until(NOW + 60, NOW)
    assert machine.take(NOW - 0.5, 0.5, 0).closed_until == NOW + 60


def test_a_slow_row_is_believed_as_far_as_its_runs_reach(path):
    machine = Machine(path)
    assert [machine.take(NOW, 100.0, 0).at - NOW for _ in range(2)] == [0, pytest.approx(100, abs=0.1)]


def test_each_run_knows_how_many_exports_the_others_have_under_way(path):
    first, second, third = Machine(path), Machine(path), Machine(path)
    assert first.take(NOW, 0.1, 3).others == 0
    assert second.take(NOW, 0.1, 2).others == 3
    assert third.take(NOW, 0.1, 0).others == 5
    second.close()
    assert third.take(NOW, 0.1, 0).others == 3


def test_each_run_knows_how_many_requests_the_others_have_sent(path):
    first, second, third = Machine(path), Machine(path), Machine(path)
    first.take(NOW, 0.1, 0)
    for _ in range(3):
        second.take(NOW, 0.1, 0)
    third.take(NOW, 0.1, 0)
    assert [machine.take(NOW, 0.1, 0).asked for machine in (first, first, second)] == [4, 0, 3]


def test_each_run_hears_once_what_the_others_have_made_of_refusals(path):
    first, second = Machine(path), Machine(path)
    for machine in (first, second):
        machine.take(NOW, 0.1, 0)
    blamed = [Blamed("rate", "surely", NOW + n, NOW + n + 0.5) for n in range(KEPT + 2)]
    for each in blamed:
        first.tell(each)
    assert second.take(NOW + 20, 0.1, 0).blamed == tuple(blamed[-KEPT:])
    assert second.take(NOW + 20, 0.1, 0).blamed == ()
    assert first.take(NOW + 20, 0.1, 0).blamed == ()
    third = Machine(path)
    assert third.take(NOW + 20, 0.1, 0).blamed == (), "what was learned before it came"


@pytest.mark.parametrize("ahead", [-86_400, 86_400])
def test_what_another_clock_has_noted_of_refusals_is_not_heard(path, ahead):
    first, second = Machine(path), Machine(path)
    second.take(NOW, 0.1, 0)
    first.tell(Blamed("rate", "surely", NOW + ahead, NOW + ahead))
    assert second.take(NOW, 0.1, 0).blamed == ()


def test_limits_that_one_run_has_found_are_known_to_the_others_while_it_runs(path):
    first, second, third = Machine(path), Machine(path), Machine(path)
    first.take(NOW, 0.1, 0, found=Found(4.5, None))
    assert second.take(NOW, 0.1, 0, found=Found(None, 7)).found == Found(4.5, None)
    assert third.take(NOW, 0.1, 0).found == Found(4.5, 7)
    for machine in (first, second):
        machine.close()
    assert third.take(NOW, 0.1, 0).found == Found()


def test_a_run_that_was_killed_is_forgotten(path):
    first, second = Machine(path), Machine(path)
    first.take(NOW, 0.1, 3)
    assert second.take(NOW + FORGOTTEN + 1, 0.1, 0).others == 0


def test_a_run_that_takes_no_turn_but_goes_on_is_known(path):
    first, second = Machine(path), Machine(path)
    first.take(NOW, 0.1, 3)
    first.stay(NOW + FORGOTTEN - 1, 2)
    assert second.take(NOW + 2 * FORGOTTEN - 2, 0.1, 0).others == 2


def test_a_row_that_a_clock_of_next_year_has_left_holds_nobody_up(path):
    Machine(path).take(NOW + 365 * 86_400, 1.0, 1)
    assert Machine(path).take(NOW, 1.0, 0).at <= NOW + FARTHEST


def test_the_last_run_takes_the_file_away(path):
    first, second = Machine(path), Machine(path)
    first.take(NOW, 0.1, 1)
    second.take(NOW, 0.1, 1)
    first.close()
    assert path.exists()
    second.close()
    assert not path.parent.exists()
    # A run that still has the old file open finds those that came after it.
    third = Machine(path)
    first.take(NOW, 0.1, 4)
    assert third.take(NOW, 0.1, 1).others == 4


@pytest.mark.parametrize(
    "text", ["", "null", "{", '{"next": "soon"}', "[" * 5000, '{"next":1e999,"closed_until":0,"runs":{}}']
)
def test_what_no_run_has_written_is_nothing(path, text):
    path.parent.mkdir(mode=0o700)
    path.write_text(text)
    turn = Machine(path).take(NOW, 0.1, 1)
    assert (turn.at, turn.others) == (NOW, 0)
    assert Machine(path).take(NOW, 0.1, 0).others == 1


def test_a_folder_that_others_may_write_is_not_used(path):
    path.parent.mkdir()
    path.parent.chmod(0o777)
    machine = Machine(path)
    assert machine.take(NOW, 0.1, 1).at == NOW
    machine.close()
    assert list(path.parent.iterdir()) == []


def test_a_link_in_the_place_of_the_file_is_not_followed(path, tmp_path):
    path.parent.mkdir(mode=0o700)
    other = tmp_path / "other"
    other.write_text("precious")
    path.symlink_to(other)
    Machine(path).take(NOW, 0.1, 1)
    assert other.read_text() == "precious"


def test_the_files_name_is_that_of_the_account_and_tells_no_token():
    one, other = (place("https://api.test", token, {"XDG_RUNTIME_DIR": "/run/u"}) for token in ("tok-1", "tok-2"))
    assert one != other
    assert "tok-1" not in str(one)
    assert place("https://api.test", "tok-1", {"XDG_RUNTIME_DIR": "/run/u"}) == one
    assert place("https://api.test", "tok-1", {}).parent.name == f"orchestrator-{os.getuid()}"


def _take_many(path, count, out):
    machine = Machine(path)
    out.put([machine.take(NOW, 1.0, 1).at for _ in range(count)])


def test_processes_never_get_the_same_turn(path, monkeypatch):
    monkeypatch.setattr("orchestrator.journal.machine.FARTHEST", 1e9)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    runs = [context.Process(target=_take_many, args=(path, 200, out)) for _ in range(3)]
    for run in runs:
        run.start()
    turns = [turn for _ in runs for turn in out.get()]
    for run in runs:
        run.join()
    assert (
        len({round(turn, 3) for turn in turns}) >= len(turns) - 1
    )  # the first two share the moment of the catching up
