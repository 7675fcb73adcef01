"""The schedules that the makespan is held against."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.schedule import greedy, greedy_at_a_rate, one_a_turn

some = st.lists(st.floats(0.1, 9), min_size=1, max_size=12)


def test_equal_durations_give_the_floor():
    assert greedy([2.0] * 12, 4) == pytest.approx(12 * 2 / 4)
    assert greedy([2.0] * 12, 4, latency=0.5) == pytest.approx(12 * 2.5 / 4)


def test_each_export_goes_to_the_place_that_is_free_first():
    # 3 and 5 begin at 0; 1 follows the 3 and ends at 4; the last 4 follows it and ends at 8.
    assert greedy([3, 5, 1, 4], 2) == 8


@given(some, st.integers(1, 4))
def test_no_schedule_is_shorter_than_its_work_or_its_longest_export(durations, places):
    least = max(sum(durations) / places, *durations)
    assert least - 1e-9 <= greedy(durations, places) <= least + max(durations) + 1e-9


def test_a_strict_rate_spends_a_post_and_a_get_for_each_export():
    # Tokens at 0, 0, 1, 2, 3, …: two POSTs at once; the first ends at 0.5 and a third POST takes the token of 1 s; then
    # both that ended are noticed, at 2 and 3, and the last one, which ended at 1.5, at 4.
    assert greedy_at_a_rate([0.5, 0.5, 0.5], places=2, per_second=1, burst=2) == pytest.approx(4)


def test_a_post_waits_for_room_at_the_service_not_for_the_get():
    # One place, tokens in plenty: 1 + 1 + 1.
    assert greedy_at_a_rate([1, 1, 1], places=1, per_second=1000, burst=10) == pytest.approx(3)


@given(some, st.integers(1, 4))
def test_a_rate_that_never_binds_changes_nothing(durations, places):
    free = greedy_at_a_rate(durations, places, per_second=1e6, burst=2 * len(durations))
    assert free == pytest.approx(greedy(durations, places), abs=1e-3)


@given(some, st.integers(1, 4), st.floats(0.5, 20), st.integers(1, 5))
def test_the_rate_itself_is_kept(durations, places, per_second, burst):
    """All tokens that are ever there are those of the start and those that came since."""
    end = greedy_at_a_rate(durations, places, per_second, burst)
    assert 2 * len(durations) <= burst + end * per_second + 1e-6
    assert end >= greedy(durations, places) - 1e-9


def test_of_all_orders_of_posts_and_gets_none_ends_sooner():
    """Brute force over which kind of request takes each token, for two places and a token a second."""
    for durations in itertools.product((0.3, 1.4, 2.7), repeat=3):
        best = min(filter(math.isfinite, (_played(durations, order) for order in set(_orders(3)))))
        assert greedy_at_a_rate(durations, places=2, per_second=1, burst=1) == pytest.approx(best)


def _orders(n):
    return itertools.permutations("P" * n + "G" * n)


def _played(durations, order):
    """When the last of these requests is sent, each as soon as it can be once the one before it was."""
    now, ends, noticed, posted = -1.0, [], set(), 0
    for kind in order:
        now += 1.0  # a token a second, of which none can be kept
        if kind == "P":
            running = sorted(end for end in ends if end > now)
            if len(running) >= 2:
                now = running[len(running) - 2]
            ends.append(now + durations[posted])
            posted += 1
            continue
        open_ = [n for n in range(posted) if n not in noticed]
        if not open_:
            return math.inf
        first = min(open_, key=lambda n: ends[n])
        now = max(now, ends[first])
        noticed.add(first)
    return now


def test_who_knows_only_the_distribution_asks_for_the_likeliest_one_in_each_turn():
    after_two = lambda age: 1.0 if age < 2 else 0.0  # noqa: E731  all take two seconds
    assert one_a_turn([2.0], places=1, per_second=1, unfinished=after_two) == pytest.approx(2)
    # POST, POST, GET, GET: in each turn one of them is finished.
    assert one_a_turn([2.0, 2.0], places=2, per_second=1, unfinished=after_two) == pytest.approx(3)
    # It is asked about in the first turn after it, and in vain before.
    assert one_a_turn([2.5], places=1, per_second=1, unfinished=after_two) == pytest.approx(3)


def test_nobody_is_quicker_than_who_knows_every_duration():
    durations = [0.4 + 0.37 * n % 2.0 for n in range(60)]
    known = greedy_at_a_rate(durations, 4, per_second=5, burst=1)
    assert known < one_a_turn(durations, 4, 5, lambda age: max(0.0, 1 - age / 2.4)) < 2 * known
