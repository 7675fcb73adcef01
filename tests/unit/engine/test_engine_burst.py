"""How many turns may be kept and used at once: as many as the service has shown to take."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.engine.burst import MOST, PROOF, BurstFinder
from orchestrator.engine.finding import FIRST_HOLD, LONGEST_HOLD

NOW = 1_700_000_000.0
RATE = 5.0
TURN = 1 / RATE


class Stage:
    """A rate that is known or not, and the requests that go out at it."""

    def __init__(self, *, opening=()):
        self.pace = SimpleNamespace(per_second=RATE, known=False, opens=True)
        self.burst = BurstFinder(self.pace)
        self.now = NOW
        for gap in opening:
            self.send(gap)

    def is_known(self):
        self.pace.known, self.pace.opens = True, False
        self.send(10.0)

    def send(self, *gaps):
        for gap in gaps:
            self.now += gap
            self.burst.sent(self.now)

    def row(self, more, times=1):
        """A request after a silence, and so many more close behind it."""
        for _ in range(times):
            self.send(2.0, *[0.01] * more)

    def refuse(self):
        self.now += 0.01
        return self.burst.refused(self.now, self.now - 0.01)


@pytest.mark.parametrize(
    ("opening", "kept"),
    [
        pytest.param([TURN] * 20, 0, id="never ahead of the rate"),
        pytest.param([TURN / 2] * 3, 1, id="one turn ahead"),
        pytest.param([TURN / 2] * 20, MOST, id="ten turns ahead"),
        pytest.param([TURN / 2, 5.0] * 10, 0, id="what is ahead after each silence does not add up"),
    ],
)
def test_as_many_are_kept_as_were_taken_ahead_of_the_rate_before_the_first_refusal(opening, kept):
    it = Stage(opening=opening)
    assert it.burst.kept == 0, "nobody knows the rate yet"
    it.is_known()
    assert it.burst.kept == kept


def test_requests_after_the_first_refusal_tell_nothing_of_a_bucket():
    it = Stage()
    it.pace.opens = False
    it.send(*[TURN / 2] * 20)
    it.is_known()
    assert it.burst.kept == 0


@pytest.mark.parametrize(
    ("opening", "hold"),
    [
        pytest.param([TURN] * 20, LONGEST_HOLD, id="it has shown that it has none"),
        pytest.param([], FIRST_HOLD, id="an earlier run has found the rate"),
    ],
)
def test_who_has_shown_no_bucket_is_tried_after_a_while(opening, hold):
    it = Stage(opening=opening)
    it.is_known()
    it.send(hold - 1)
    assert it.burst.kept == 0
    it.send(1.1)
    assert it.burst.kept == 1


def test_one_more_is_kept_when_those_have_proven_themselves():
    it = Stage(opening=[TURN / 2] * 3)
    it.is_known()
    it.send(FIRST_HOLD)
    it.row(1, PROOF - 1)
    assert it.burst.kept == 1
    it.row(1)
    assert it.burst.kept == 2
    it.row(2, 10 * PROOF)
    assert it.burst.kept == MOST


@pytest.mark.parametrize(("more", "kept"), [(2, 1), (1, 0)])
def test_a_row_that_has_not_proven_itself_and_is_refused_was_too_long(more, kept):
    it = Stage(opening=[TURN / 2] * 20)
    it.is_known()
    it.row(more)
    assert it.refuse()
    assert it.burst.kept == kept


def test_a_refusal_of_a_request_that_kept_its_distance_has_nothing_to_do_with_it():
    it = Stage(opening=[TURN / 2] * 20)
    it.is_known()
    it.row(2)
    it.send(TURN)
    assert not it.refuse()
    assert it.burst.kept == 2


def test_a_row_that_has_proven_itself_is_refused_for_the_rate_but_not_twice():
    it = Stage(opening=[TURN / 2] * 20)
    it.is_known()
    it.row(2, PROOF + 1)
    assert not it.refuse()
    assert it.burst.kept == 2
    it.row(2)
    assert it.refuse()
    assert it.burst.kept == 1


def test_what_was_refused_is_tried_again_after_a_time_that_doubles():
    it = Stage(opening=[TURN / 2] * 3)
    it.is_known()
    for hold in (FIRST_HOLD, 2 * FIRST_HOLD, 4 * FIRST_HOLD):
        it.row(1)
        assert it.refuse()
        it.send(hold - 1)
        assert it.burst.kept == 0
        it.send(1.1)
        assert it.burst.kept == 1
