"""When the adaptive policy asks: the ladder of the first ones, what all of them teach, and what may be spent."""

from __future__ import annotations

import heapq
import random

from orchestrator.engine.asking import Asking, Load
from orchestrator.engine.policy import Polling

NOW = 1_700_000_000.0
FREE = Load(per_second=1000.0, places=20, waiting=100)
SIZE = 21


def play(asking, durations, *, together=20, per_second=1000.0, waiting=100):
    """Exports of these durations, so many at a time. Ages at which each was asked about, and how late each was noticed."""
    load = Load(per_second, together, waiting)
    todo = list(enumerate(durations))[::-1]
    begun, ages, late, now, paced = {}, {}, [], NOW, NOW
    while todo or begun:
        while todo and len(begun) < together:
            n, duration = todo.pop()
            begun[str(n)] = now, duration
            ages[str(n)] = []
            asking.began(str(n), SIZE, now)
        asking.replan(load)
        due, report = min((asking.due(report).at, report) for report in begun)
        now = max(now, due, paced)
        paced = now + 1 / per_second
        asking.asks(report, now)
        created, duration = begun[report]
        ages[report].append(now - created)
        if now - created >= duration:
            asking.finished(report, now)
            late.append(now - created - duration)
            del begun[report]
        else:
            asking.unfinished(report, now)
    return ages, late


def polls(ages):
    return sum(map(len, ages.values())) / len(ages)


def mean(values):
    return sum(values) / len(values)


def test_the_first_wave_finds_out_soon_whatever_the_guess():
    for duration in (0.4, 3.0, 25.0):
        ages, late = play(Asking(Polling(first=10.0)), [duration] * 20)
        assert max(late) < 0.6 * duration
        assert polls(ages) <= 4


def test_durations_that_never_vary_cost_about_one_question_each():
    ages, late = play(Asking(Polling()), [1.5] * 400)
    assert polls(ages) < 2
    assert mean(late) < 0.05 * 1.5


def test_a_single_export_is_not_pestered():
    ages, _ = play(Asking(Polling()), [60.0], together=1, waiting=0)
    assert len(ages["0"]) <= 14


def test_a_silence_is_never_longer_than_max():
    ages, _ = play(Asking(Polling(max=60.0)), [5.0] * 30 + [3000.0])
    longest = ages["30"]
    assert max(later - age for age, later in zip([0.0, *longest], longest, strict=False)) <= 60.0 + 1e-6


def test_what_was_learned_helps_the_next_run():
    chance = random.Random(1)
    durations = [30 * 2.0 ** chance.gauss(0, 1) for _ in range(100)]
    asking = Asking(Polling())
    play(asking, durations)
    lessons = list(asking._classes[SIZE].lessons)
    again = Asking(Polling())
    again.recall(lessons)
    cold, late_cold = play(Asking(Polling()), durations[:20])
    warm, late_warm = play(again, durations[:20])
    price = 1.0
    assert price * polls(warm) + mean(late_warm) < price * polls(cold) + mean(late_cold)


def test_where_requests_are_scarce_fewer_of_them_are_questions():
    chance = random.Random(1)
    durations = [1.5 * 2.0 ** chance.gauss(0, 1) for _ in range(200)]
    free, _ = play(Asking(Polling()), durations)
    scarce, _ = play(Asking(Polling()), durations, per_second=15.0)
    assert polls(scarce) < 0.7 * polls(free)


def test_windows_of_another_length_are_learned_apart():
    asking = Asking(Polling())
    play(asking, [1.0] * 50)
    asking.began("long", SIZE + 5, NOW)
    asking.replan(FREE)
    due = asking.due("long").at
    assert due is not None
    asking.began("short", SIZE, NOW)
    assert asking.due("short").at < NOW + 1.2


def test_reports_that_are_not_known_have_no_time():
    asking = Asking(Polling())
    assert asking.due("r") is None
    asking.asks("r", NOW)
    asking.forget("r")


def test_a_question_on_the_ladder_changes_when_one_other_report_is_due_and_no_more():
    asking = Asking(Polling(first=3600.0))
    for n in range(50):
        asking.began(str(n), SIZE, NOW)
    asking.replan(FREE)
    dues = {str(n): asking.due(str(n)).at for n in range(50)}
    first = min(dues, key=dues.get)
    asking.asks(first, dues[first])
    assert not asking.replan(FREE)
    (second,) = asking.turned()
    assert {name for name, due in dues.items() if asking.due(name).at != due} == {first, second}
    asking.forget(second)
    (third,) = asking.turned()
    assert asking.due(third).at < dues[third]
    assert asking.turned() == []


def test_the_ladder_is_climbed_by_turns():
    asking = Asking(Polling(first=10.0))
    for n in range(8):
        asking.began(str(n), SIZE, NOW)
    dues = []
    for _ in range(8):
        asking.replan(FREE)
        queue = [(asking.due(str(n)).at, str(n)) for n in range(8)]
        heapq.heapify(queue)
        due, report = heapq.heappop(queue)
        dues.append((due - NOW, report))
        asking.asks(report, due)
        asking.unfinished(report, due)
    assert len({report for _, report in dues}) == 8
    assert [age for age, _ in dues] == sorted(age for age, _ in dues)
    assert dues[0][0] < 0.3
