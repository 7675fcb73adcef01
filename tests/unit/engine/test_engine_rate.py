"""When the next request may go: never more in a second than the limit, never inside the gate."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.engine.burst import MOST
from orchestrator.engine.finding import LATENESS, RateFinder
from orchestrator.engine.rate import Rate

EPSILON = 1e-6


def is_held(times, limit):
    most = max(1, math.floor(limit))
    span = most / limit  # a second, for a whole number
    return all(after - before >= span - EPSILON for before, after in zip(times, times[most:], strict=False))


@pytest.mark.parametrize(("limit", "seconds"), [(5, 20), (1, 20), (0.5, 60), (2, 20), (1.5, 20), (2.5, 20)])
def test_a_steady_stream_uses_the_limit(limit, seconds):
    rate, now, sent = Rate(RateFinder(limit)), 1000.0, []
    while (now := max(now, rate.next_at())) < 1000 + seconds:
        rate.reserve(now)
        rate.sent(now)
        sent.append(now)
    assert len(sent) == pytest.approx(limit * seconds, rel=0.1)
    assert is_held(sent, limit)


@given(
    st.sampled_from([0.2, 0.5, 1, 1.5, 2, 2.5, 5, 7.3, 20]),
    st.sampled_from([1.0, 0.98, 0.7]),
    st.integers(0, MOST),
    st.lists(
        st.tuples(
            st.floats(0, 2),  # how late the loop looks
            st.floats(0, 3),  # how long the intent takes
            st.sampled_from(["send", "send", "send", "release", "gate"]),
        ),
        max_size=60,
    ),
)
@example(5, 0.98, 0, [(0, 0, "send")] * 12)
def test_no_second_holds_more_than_the_limit(limit, found, kept, story):
    """`found`: the share of the limit that an earlier run has found; `kept`: turns that may be."""
    finder = RateFinder(limit, None, found * limit)
    finder._now.held_until = math.inf  # a refusal of late keeps it from growing
    rate = Rate(finder)
    rate.burst._kept = kept
    now, sent, gates, under_way = 1000.0, [], [], []

    def send_until(until):
        for at in sorted(at for at in under_way if at <= until):
            under_way.remove(at)
            rate.sent(at)
            sent.append(at)

    for late, takes, what in story:
        at = rate.next_at()
        if math.isinf(at):  # only an answer can free a place
            now = min(under_way)
            send_until(now)
            at = rate.next_at()
        now = max(now, at) + late
        send_until(now)
        now = max(now, rate.next_at() if math.isfinite(rate.next_at()) else now)
        if rate.next_at() > now:
            continue
        assert all(now >= gate for gate in gates)
        rate.reserve(now)
        if what == "release":
            rate.release()
        else:
            under_way.append(now + takes)
        if what == "gate":
            gates.append(now + 10)
            rate.close(now + 10, now)
    send_until(math.inf)
    assert is_held(sent, limit)


def test_a_gate_is_never_opened_early():
    rate = Rate(RateFinder(5))
    rate.close(500, 490)
    rate.close(400, 490)
    assert rate.next_at() == 500


def test_a_request_that_was_not_sent_takes_no_place():
    rate = Rate(RateFinder(2))
    for _ in range(2):
        rate.reserve(100.0)
    assert rate.next_at() == math.inf
    rate.release()
    assert rate.next_at() < math.inf


def go_at_once(rate, now):
    """How many requests may go together."""
    many = 0
    while rate.next_at() <= now:
        rate.reserve(now)
        rate.sent(now)
        many += 1
    return many


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_turns_that_were_kept_may_be_used_at_once_and_then_the_pace_holds(kept):
    rate = Rate(RateFinder(100, 5.0))
    rate.burst._kept = kept
    go_at_once(rate, 1000.0)
    assert go_at_once(rate, 1100.0) == 1 + kept
    assert rate.next_at() == pytest.approx(1100.0 + 0.2, abs=LATENESS)
    assert rate.lost_at() == pytest.approx(rate.next_at() + kept * 0.2, abs=0.01)


def test_no_turn_is_kept_from_before_a_pause():
    rate = Rate(RateFinder(100, 5.0))
    rate.burst._kept = 2
    go_at_once(rate, 1000.0)
    rate.close(1100.0, 1000.0)
    assert go_at_once(rate, 1100.0) == 1
