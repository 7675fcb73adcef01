"""The best trade-off between polls and delay."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frontier import Frontier, LogNormal, Point, best, cost

WIDE = LogNormal(median=30, sigma=0.8)


class Few:
    """A handful of durations, equally likely."""

    def __init__(self, durations):
        self.durations = durations

    def below(self, age):
        return sum(duration <= age for duration in self.durations) / len(self.durations)

    def mean_below(self, age):
        return sum(duration for duration in self.durations if duration <= age) / len(self.durations)


def asked(durations, ages):
    """What it costs, one export after the other."""
    first = [next(n for n, age in enumerate(ages) if age >= duration) for duration in durations]
    return Point(
        sum(n + 1 for n in first) / len(durations),
        sum(ages[n] - duration for n, duration in zip(first, durations, strict=True)) / len(durations),
    )


some = st.lists(st.floats(0.5, 10), min_size=1, max_size=6)


@given(some, st.lists(st.integers(1, 9), unique=True, max_size=6))
def test_the_cost_is_that_of_asking_one_after_the_other(durations, ages):
    ages = [*sorted(ages), 10]
    found, true = cost(ages, Few(durations)), asked(durations, ages)
    assert (found.polls, found.delay) == pytest.approx((true.polls, true.delay), abs=1e-9)


@given(some, st.floats(0, 6))
def test_no_choice_of_ages_is_better(durations, price):
    grid = [float(age) for age in range(1, 11)]
    chosen = asked(durations, best(grid, Few(durations), price))
    every = (
        asked(durations, [*ages, 10.0]) for size in range(len(grid)) for ages in itertools.combinations(grid[:-1], size)
    )
    least = min(point.delay + price * point.polls for point in every)
    assert chosen.delay + price * chosen.polls == pytest.approx(least, abs=1e-9)


def test_a_log_normal_is_what_its_draws_are():
    chance = random.Random(4)
    draws = [WIDE.quantile(chance.random()) for _ in range(100_000)]
    for age in (10, 30, 100):
        below = [draw for draw in draws if draw <= age]
        assert WIDE.below(age) == pytest.approx(len(below) / len(draws), abs=0.005)
        assert WIDE.mean_below(age) == pytest.approx(sum(below) / len(draws), rel=0.02)
    assert WIDE.below(0) == WIDE.mean_below(0) == 0


def test_the_frontier_falls_ever_more_slowly_and_no_other_policy_is_below_it():
    frontier = Frontier(WIDE, [0.5, 1, 2, 4, 8, 16], grain=1.03)
    polls = [point.polls for point in frontier.points]
    assert polls == sorted(polls)
    assert frontier.is_convex()
    for pause in (7, 10, 20):
        steady = cost([pause * n for n in range(1, 400)], WIDE)
        assert 1 <= steady.delay / frontier.delay_at(steady.polls) < 1.2
    with pytest.raises(ValueError, match="outside"):
        frontier.delay_at(100)
