"""Whose fault a bad answer is: the host's, or that of one request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.health import SUSPICIOUS, Health, Streak


class Host:
    """A host's health and the streak of each subject."""

    def __init__(self):
        self.health = Health()
        self.streaks: dict[str, Streak | None] = {}
        self.now = 0.0

    def good(self, *subjects):
        for subject in subjects:
            self.now += 1
            self.health = self.health.answered()
            self.streaks[subject] = None

    def bad(self, *subjects):
        for subject in subjects:
            self.now += 1
            self.health, self.streaks[subject] = self.health.failed(self.streaks.get(subject), self.now, "500")

    def tries(self, subject):
        streak = self.streaks.get(subject)
        return streak.tries if streak else 0


def test_a_poisoned_request_among_good_ones_is_counted_from_its_first_failure():
    host = Host()
    host.good("a")
    for _ in range(4):
        host.bad("p")
        host.good("a")
    assert host.tries("p") == 4
    assert not host.health.down


def test_a_poisoned_request_is_counted_also_when_the_others_are_done():
    host = Host()
    host.bad("p")
    host.good("a", "b")
    host.bad(*["p"] * 5)
    assert host.tries("p") == 6
    assert not host.health.down


def test_two_poisoned_requests_are_no_outage():
    host = Host()
    host.bad("p", "q")
    host.good("a")
    host.bad("p", "q", "p", "q", "p", "q")
    assert (host.tries("p"), host.tries("q")) == (4, 4)
    assert not host.health.down


def test_an_outage_costs_nobody_a_try():
    host = Host()
    subjects = [f"s{n}" for n in range(16)]
    host.good(*subjects)
    for _ in range(5):
        host.bad(*subjects)
    assert host.health.down
    assert all(host.tries(subject) == 0 for subject in subjects)
    assert host.health.bad_since == 17
    host.good("s0")
    assert not host.health.down
    assert host.health.bad_since is None


def test_somebody_who_was_ill_before_the_outage_pays_nothing_for_it():
    host = Host()
    host.bad("p")
    host.good("a")
    host.bad("p")
    assert host.tries("p") == 2
    host.bad("a", "p", "a", "p", "a", "p")  # a's failures are young: the host itself may be ill
    assert host.tries("p") == 2
    assert host.health.down


def test_a_single_request_alone_looks_like_an_outage():
    host = Host()
    for _ in range(SUSPICIOUS):
        assert not host.health.down
        host.bad("p")
    assert host.health.down
    host.good("control")
    host.bad("p")
    assert host.tries("p") == 2
    assert not host.health.down


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcd"))))
def test_tries_never_exceed_failures_and_down_needs_a_row_of_bad_answers(story):
    host = Host()
    row = 0
    for is_good, subject in story:
        (host.good if is_good else host.bad)(subject)
        row = 0 if is_good else row + 1
        for streak in host.streaks.values():
            assert streak is None or streak.tries <= streak.failures
        assert not host.health.down or row >= SUSPICIOUS


@given(st.integers(1, 20), st.integers(1, 20))
def test_no_outage_however_long_costs_a_try(subjects, rounds):
    host = Host()
    names = [str(n) for n in range(subjects)]
    host.good(*names)
    for _ in range(rounds):
        host.bad(*names)
    assert all(host.tries(name) == 0 for name in names)
