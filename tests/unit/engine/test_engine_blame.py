"""Which limit a 429 is taken to speak of."""

from __future__ import annotations

import pytest

from orchestrator.engine.blame import Blame
from orchestrator.engine.burst import BurstFinder
from orchestrator.engine.finding import CapFinder, RateFinder
from orchestrator.engine.ports import Blamed

NOW = 1_700_000_000.0
RATE, CAP = 8.0, 6


class Stage:
    def __init__(self):
        self.pace, self.cap = RateFinder(100, RATE), CapFinder(256, CAP)
        self.burst = BurstFinder(self.pace)
        self.blame = Blame(self.pace, self.burst, self.cap)
        self.now = NOW

    def requests(self, many, idle=0.0):
        """Without growth: they come a little later than the rate would let them."""
        for _ in range(many):
            self.now += 1 / self.pace.per_second + idle
            self.pace.asked(self.now, max(idle, 0.12))

    def accept(self, beside, times=1):
        for _ in range(times):
            self.cap.accepted(beside)

    def refuse(self, beside=None, took=0.01):
        self.now += 1.0
        self.blame.refused(self.now, self.now - took, beside)

    @property
    def found(self):
        return self.pace.per_second < RATE, self.cap.most < CAP


@pytest.fixture
def it():
    return Stage()


RATE_ALONE, CAP_ALONE, NEITHER = (True, False), (False, True), (False, False)


def test_a_refused_poll_speaks_of_the_rate(it):
    it.refuse()
    assert it.found == RATE_ALONE


def test_a_creation_beside_none_can_only_be_too_soon(it):
    it.refuse(0)
    it.refuse(0)
    assert it.found == RATE_ALONE


def test_a_creation_beside_as_many_as_were_accepted_again_and_again_was_too_soon(it):
    it.accept(5, times=20)
    it.refuse(5)
    assert it.found == RATE_ALONE
    it.accept(5, times=20)
    it.refuse(5)
    assert it.found == RATE_ALONE


def test_a_few_acceptances_prove_nothing_for_others_may_have_finished_unnoticed(it):
    it.accept(5, times=15)
    it.refuse(5)
    it.accept(5, times=5)
    it.refuse(5)
    assert it.found == CAP_ALONE


def test_in_doubt_the_rate_is_blamed_and_if_that_does_not_help_the_cap_for_both(it):
    it.refuse(5)
    assert it.found == RATE_ALONE
    it.refuse(5)
    assert it.found == CAP_ALONE
    assert it.pace.per_second == RATE
    assert it.cap.most == 5


def test_another_refusal_after_many_acceptances_has_nothing_to_do_with_it(it):
    it.refuse(5)
    it.accept(5, times=16)
    it.refuse(5)
    assert it.found == RATE_ALONE


def test_a_poll_that_is_refused_in_between_shows_that_it_was_the_rate(it):
    it.refuse(5)
    it.refuse()
    it.refuse(5)
    assert it.found == RATE_ALONE


def test_a_cap_that_was_blamed_in_doubt_is_given_back_when_a_poll_is_refused(it):
    it.refuse(5)
    it.refuse(5)
    it.refuse()
    assert it.found == RATE_ALONE
    assert not it.cap.known


def test_a_cap_that_has_grown_since_is_not_taken_back_to_what_it_was(it):
    it.refuse(5)
    it.refuse(5)
    for _ in range(20):
        it.now += 30.0
        it.accept(it.cap.most - 1)
        it.cap.finished(it.now, pressed=True)
    grown = it.cap.most
    assert grown > CAP
    it.refuse()
    assert it.cap.most == grown


def test_what_was_too_many_once_is_too_many_again(it):
    it.refuse(5)
    it.refuse(5)
    it.requests(5)
    it.refuse(5)
    it.refuse(5)
    assert it.found == CAP_ALONE


def test_until_a_creation_is_accepted_beside_as_many(it):
    it.refuse(5)
    it.refuse(5)
    it.accept(5)
    it.refuse(5)
    assert it.found == (True, True)


def test_where_the_rate_is_hardly_used_it_was_the_cap(it):
    it.requests(40, idle=2.0)
    it.refuse(5)
    assert it.found == CAP_ALONE


def test_requests_that_were_under_way_together_are_one_lesson(it):
    it.refuse(5)
    once = it.pace.per_second
    for beside in (5, None, 4):
        it.blame.refused(it.now + 0.01, it.now - 0.005, beside)
    assert (it.pace.per_second, it.cap.most) == (once, CAP)


@pytest.mark.parametrize("beside", [None, 4])
def test_a_request_close_behind_another_speaks_first_of_what_is_taken_together(it, beside):
    it.requests(10)
    it.pace._now.known = True
    it.burst.sent(it.now)
    it.burst._kept = 1
    it.burst.sent(it.now + 0.01)
    it.now += 0.02
    it.refuse(beside, took=it.now + 1.0 - (it.now - 0.01))
    assert it.found == (False, False)
    assert it.burst.kept == 0
    it.refuse()
    assert it.found == (True, False), "and then of the rate"


# ------------------------------------------------------------------------------------------------- runs side by side


@pytest.fixture
def pair():
    """Two runs of one account, of which the second hears what the first makes of refusals."""
    one, two = Stage(), Stage()
    one.blame = Blame(one.pace, one.burst, one.cap, lambda blamed: two.blame.heard(blamed, one.now))
    return one, two


@pytest.mark.parametrize("beside", [None, 0, 5])
def test_what_one_run_blames_another_blames_as_well(pair, beside):
    one, two = pair
    one.refuse(beside)
    one.refuse(beside)
    assert (two.pace.per_second, two.cap.most) == (one.pace.per_second, one.cap.most)
    assert True in one.found


def test_what_one_run_takes_back_is_not_what_another_was_refused_itself(pair):
    one, two = pair
    one.refuse(4)
    two.now = one.now + 1
    two.refuse()
    own = two.pace.per_second
    one.now = two.now
    one.refuse(4)
    assert one.found == CAP_ALONE
    assert two.pace.per_second == own


def test_what_two_runs_were_refused_together_is_one_lesson_for_both(pair):
    one, two = pair
    one.refuse()
    cut = one.pace.per_second
    two.blame.refused(one.now + 0.01, one.now - 0.005, None)
    assert two.pace.per_second == cut


def test_a_lesson_of_a_moment_ahead_is_one_of_now(it):
    it.blame.heard(Blamed("rate", "surely", it.now + 5.0, it.now + 6.0), it.now)
    once = it.pace.per_second
    it.requests(10)
    it.refuse()
    assert it.pace.per_second < once


# ------------------------------------------------------------------------------------------------------------- rules


def test_nothing_is_estimated_from_no_time(it):
    it.refuse()
    it.pace.asked_by_others(10)
    it.blame.refused(it.now, it.now + 1e-9, None)
    assert it.pace.per_second > 0
