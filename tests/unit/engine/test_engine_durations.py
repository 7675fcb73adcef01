"""How long exports take, from intervals, and when to ask for that: the estimate and the best schedule."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.durations import EDGES, GRAIN, MIDDLES, Estimate, cell, size_of
from orchestrator.engine.schedule import solve

LONGEST = 60.0


def learned(lessons, running=(), first=10.0):
    estimate = Estimate(first)
    for _ in range(3):
        estimate.learn([(low, high, 1.0) for low, high in lessons], running)
    return estimate


def asked(schedule, duration):
    """The ages at which an export of this duration is asked about."""
    ages = [schedule.after(0.0)]
    while ages[-1] < duration:
        ages.append(schedule.after(ages[-1]))
    return ages


def outcome(schedule, durations):
    """Mean questions, and mean seconds from the end to its being noticed."""
    asks = [asked(schedule, duration) for duration in durations]
    late = sum(ages[-1] - duration for ages, duration in zip(asks, durations, strict=True))
    return sum(map(len, asks)) / len(asks), late / len(asks)


def log_normal(n, median, sigma, seed=1):
    chance = random.Random(seed)
    return [math.exp(math.log(median) + sigma * chance.gauss(0, 1)) for _ in range(n)]


def test_intervals_that_overlap_agree_on_what_they_share():
    estimate = learned([(0.0, 4.0), (2.0, 8.0), (3.0, 60.0), (0.0, 3.5)] * 5)
    assert 3.0 < estimate.mean < 4.2


def test_asking_late_teaches_nothing_wrong():
    # All were found finished at the first question, at one minute. Some were asked at ten seconds, and half of those were.
    lessons = [(0.0, 60.0)] * 40 + [(0.0, 10.0)] * 10 + [(10.0, 60.0)] * 10
    mass = learned(lessons).mass
    below = sum(mass[: cell(10.0) + 1]) / sum(mass)
    assert 0.35 < below < 0.65


def test_those_that_still_run_count_as_long():
    lessons = [(2.0, 3.0)] * 5
    assert learned(lessons, running=[9.0] * 15).mean > 2 * learned(lessons).mean


def test_a_wave_that_finishes_together_is_asked_about_once_thereafter():
    schedule = solve(learned([(0.9, 1.0)] * 20).mass, 0.05, LONGEST)
    polls, late = outcome(schedule, [0.97] * 20)
    assert polls == 1
    assert late < 0.15


def test_one_that_outlives_all_others_is_expected_to_take_a_few_times_as_long_and_not_for_ever():
    estimate = Estimate(10.0)
    for lessons in ([(0, 1.35, 1.0)], [(0, 1.35, 1.0), (0.65, 2.49, 1.0)]):
        estimate.learn(lessons, [0.86, 1.08])
    estimate.learn([*lessons, (1.08, 2.5, 1.0)], [2.59])
    assert 1.5 < estimate.mean < 5


def test_estimating_again_does_not_widen_what_is_believed():
    estimate = learned([(1.4, 1.6)] * 10)
    before = estimate.mean
    for _ in range(50):
        estimate.learn([(1.4, 1.6, 1.0)] * 10, [])
    assert estimate.mean == pytest.approx(before, rel=0.05)


def test_learned_times_come_close_to_the_best_that_could_be_known():
    truth, price = log_normal(4000, 30, 0.8), 1.0
    known = [1e-9] * len(EDGES)
    for duration in truth:
        known[cell(duration)] += 1
    best = solve(known, price, LONGEST)
    schedule = solve(Estimate(10.0).mass, price, LONGEST)
    lessons, estimate = [], Estimate(10.0)
    for duration in log_normal(100, 30, 0.8, seed=2):
        ages = asked(schedule, duration)
        lessons.append(((0.0, *ages)[-2], ages[-1], 1.0))
        estimate.learn(lessons, [])
        schedule = solve(estimate.mass, price, LONGEST)
    polls, late = outcome(schedule, truth[:1000])
    best_polls, best_late = outcome(best, truth[:1000])
    assert late + price * polls < 1.1 * (best_late + price * best_polls)


def test_the_dearer_a_question_the_fewer_are_asked():
    mass = Estimate(30.0).mass
    prices = [0.1, 0.5, 2.0, 10.0, 50.0]
    found = [solve(mass, price, LONGEST) for price in prices]
    assert [s.polls for s in found] == sorted((s.polls for s in found), reverse=True)
    assert [s.delay for s in found] == sorted(s.delay for s in found)


def test_the_figures_of_a_schedule_are_those_of_those_who_follow_it():
    truth = log_normal(4000, 5, 0.5)
    known = [1e-9] * len(EDGES)
    for duration in truth:
        known[cell(duration)] += 1
    schedule = solve(known, 0.3, LONGEST)
    polls, late = outcome(schedule, truth)
    assert schedule.polls == pytest.approx(polls, rel=0.02)
    assert schedule.delay == pytest.approx(late, rel=0.1)
    assert schedule.mean == pytest.approx(sum(truth) / len(truth), rel=0.02)


def test_no_question_follows_another_at_once():
    for latency, apart in ((0.01, 0.01), (0.1, 0.01), (1.0, 0.1)):
        schedule = solve(Estimate(1.0).mass, 1e-5, LONGEST, latency)
        ages = asked(schedule, 20.0)
        assert len(ages) > 10
        assert all(later - age >= apart / GRAIN for age, later in itertools.pairwise(ages))


def test_questions_go_until_one_has_been_answered_and_what_goes_in_vain_has_its_price():
    latency = 0.1
    estimate = learned([(0.35, 0.45)] * 100)
    schedule = solve(estimate.mass, 0.002, LONGEST, latency)
    chance = random.Random(8)
    durations = chance.choices(MIDDLES, estimate.mass, k=5000)
    sent = []
    for duration in durations:
        ages = asked(schedule, duration)
        found = ages[-1]
        while (later := schedule.after(ages[-1])) < found + latency:
            ages.append(later)
        sent.append(len(ages))
    assert schedule.polls == pytest.approx(sum(sent) / len(sent), rel=0.02)
    slower = solve(estimate.mass, 0.002, LONGEST, 10 * latency)
    assert slower.polls < 0.7 * schedule.polls


@given(
    st.floats(0.05, 5000),
    st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 20_000)), max_size=20),
    st.floats(0.001, 1000),
    st.floats(0.5, 300),
    st.floats(0, 30_000),
)
def test_every_schedule_asks_again_and_never_later_than_the_longest_silence(first, lessons, price, longest, age):
    schedule = solve(learned([(min(pair), max(pair)) for pair in lessons], first=first).mass, price, longest)
    later = schedule.after(age)
    assert age < later <= age + longest or later == pytest.approx(age + longest)


@pytest.mark.parametrize(("days", "same"), [((28, 31), True), ((1, 31), False), ((365, 366), True), ((7, 31), False)])
def test_windows_of_about_one_length_are_one_class(days, same):
    first, second = (size_of((0, n * 86_400)) for n in days)
    assert (first == second) is same
