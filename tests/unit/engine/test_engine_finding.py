"""Limits that find themselves, against a token bucket and a cap that say nothing but 429."""

from __future__ import annotations

import itertools

import pytest

from orchestrator.engine.finding import FIRST_HOLD, LONGEST_HOLD, LOWEST, CapFinder, RateFinder
from orchestrator.engine.rate import LOW, RAMP, Rate

NOW = 1_700_000_000.0


class Bucket:
    """What a service does that allows so many requests a second, and some at once."""

    def __init__(self, per_second, burst):
        self.per_second, self.burst = per_second, burst
        self.tokens, self.at = float(burst), NOW

    def takes(self, now):
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_second)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def talk(finder, bucket, seconds, *, pause=1.0, idle=0.0):
    """A client with always more to ask. When each request was admitted, and when one was refused."""
    rate, now = Rate(finder), NOW
    admitted, refused = [], []
    while now < NOW + seconds:
        now = max(now + idle, rate.next_at())
        rate.reserve(now)
        rate.sent(now)
        if bucket.takes(now):
            admitted.append(now - NOW)
        else:
            refused.append(now - NOW)
            finder.refused(now)
            rate.close(now + pause, now)
    return admitted, refused


@pytest.mark.parametrize(("per_second", "burst"), [(5, 5), (20, 5), (1, 1), (2, 30)])
def test_the_rate_of_a_service_is_found_and_hardly_ever_exceeded(per_second, burst):
    finder = RateFinder(100, 2)
    admitted, refused = talk(finder, Bucket(per_second, burst), 600)
    late = [at for at in admitted if at > 60]
    assert len(late) > 0.8 * per_second * 540
    assert len([at for at in refused if at > 60]) < 0.01 * len(late)
    assert finder.known


def test_a_rate_that_is_never_refused_grows_to_its_ceiling_and_not_beyond():
    finder = RateFinder(50, 2)
    talk(finder, Bucket(1000, 1000), 60)
    assert finder.per_second == 50


def test_a_run_that_asks_little_does_not_find_out_how_much_it_may():
    finder = RateFinder(50, 2)
    talk(finder, Bucket(1000, 1000), 60, idle=2.0)
    assert finder.per_second == 2


def test_what_an_earlier_run_has_found_is_where_the_next_one_starts():
    assert RateFinder(100, 2, known=4.8).per_second == 4.8
    assert RateFinder(3, 2, known=4.8).per_second == 3
    assert CapFinder(256, 4, known=12).most == 12


def test_a_number_is_where_the_rate_starts_and_its_ceiling():
    finder = RateFinder(5)
    assert finder.per_second == 5
    for n in range(100):
        finder.refused(NOW + n)
    assert finder.per_second == LOWEST
    talk(finder, Bucket(1000, 1000), 600)
    assert finder.per_second == 5


def test_answers_that_take_much_longer_than_usual_slow_the_run_down():
    finder, now = RateFinder(20), NOW
    for _ in range(50):
        now += 0.1
        finder.answered(0.05, now)
    assert finder.per_second == 20
    for _ in range(500):
        now += 0.1
        finder.answered(2.0, now)
    assert finder.per_second < 15


@pytest.mark.parametrize(("before", "after"), [(0.05, 0.6), (0.1, 0.6), (0.05, 1.0), (0.3, 1.0)])
def test_a_service_that_stays_slow_for_other_reasons_is_soon_asked_as_often_as_before(before, after):
    finder = RateFinder(5.0, known=5.0)
    rate, now, under_way = Rate(finder), NOW, []
    while now < NOW + 600:
        now = max(now, rate.next_at())
        rate.reserve(now)
        rate.sent(now)
        took = before if now < NOW + 60 else after
        under_way.append((now + took, took))
        while under_way[0][0] <= now:
            at, took = under_way.pop(0)
            finder.answered(took, at)
        if NOW + 60 < now < NOW + 80:
            assert finder.per_second > 1
    assert finder.per_second == 5.0


def test_no_refusal_brings_a_rate_above_its_ceiling():
    finder = RateFinder(0.05)
    finder.refused(NOW)
    assert finder.per_second == 0.05


def test_a_job_of_low_limits_does_not_make_later_runs_forget_what_was_found():
    finder, cap = RateFinder(1.0, known=20.0), CapFinder(2, known=16)
    assert (finder.per_second, finder.found, cap.most, cap.found) == (1.0, 20.0, 2, 16)
    finder.refused(NOW)
    cap.refused(NOW, NOW, 1)
    assert (finder.found, cap.found) == (finder.per_second, 1)
    assert finder.found < 1.0
    assert (RateFinder(1.0).found, CapFinder(2).found) == (None, None)


def test_a_cap_grows_by_one_with_each_export_that_finishes_while_others_wait():
    cap = CapFinder(8, 4)
    cap.finished(NOW, pressed=False)
    assert cap.most == 4
    for n in range(10):
        cap.accepted(cap.most - 1)
        cap.finished(NOW + n, pressed=True)
    assert cap.most == 8


def test_a_cap_that_was_refused_is_tried_again_after_waits_that_double():
    cap, now = CapFinder(256, 4), NOW
    tries = []
    for _ in range(2000):
        now += 1.0
        cap.accepted(min(3, cap.most - 1))
        cap.finished(now, pressed=True)
        if cap.most > 4:
            tries.append(now)
            cap.refused(now, now, 4)
            assert cap.most == 4
    waits = [later - at for at, later in itertools.pairwise(tries)]
    assert waits[0] >= FIRST_HOLD
    assert all(later > 1.8 * wait or later >= LONGEST_HOLD for wait, later in itertools.pairwise(waits))


def test_one_export_may_always_be_under_way():
    cap = CapFinder(16)
    cap.refused(NOW, NOW, 0)
    assert cap.most == 1


def test_after_a_pause_the_pace_climbs_back():
    rate = Rate(RateFinder(10))
    rate.close(NOW + 60, NOW)
    sent, now = [], NOW
    while now < NOW + 60 + 2 * RAMP:
        now = max(now, rate.next_at())
        rate.reserve(now)
        rate.sent(now)
        sent.append(now - NOW - 60)
    assert sent[0] == 0
    first, last = (len([at for at in sent if low <= at < low + 2]) for low in (0.0, RAMP + 2))
    assert last >= 19
    assert LOW * 20 <= first < 0.6 * last


def test_refusals_of_creations_that_were_under_way_together_are_one_lesson():
    cap = CapFinder(8)
    cap.refused(NOW, NOW - 0.1, 6)
    for n in range(5):
        cap.refused(NOW + 0.01 * n, NOW - 0.05, 3)
    assert cap.most == 6


def test_a_second_refusal_tells_what_the_service_refills():
    finder = RateFinder(100, 4)
    _, refused = talk(finder, Bucket(5, 5), 60)
    assert len(refused) >= 2
    finder = RateFinder(100, 4)
    talk(finder, Bucket(5, 5), refused[1] + 0.01)
    assert finder.per_second == pytest.approx(5, rel=0.08)


def test_what_was_cut_in_doubt_is_given_back():
    finder = RateFinder(100, 4)
    talk(finder, Bucket(1000, 1000), 3)
    before = finder.per_second
    finder.refused(NOW + 3, in_doubt=True)
    assert finder.per_second < before
    finder.pardon()
    assert finder.per_second == before
    rate = Rate(finder)
    for n in range(100):
        rate.reserve(NOW + 4 + n / 100)
        rate.sent(NOW + 4 + n / 100)
    assert finder.per_second > 1.2 * before, "it doubles on"


def test_a_cap_that_may_not_have_been_at_fault_is_tried_again_sooner():
    waits = []
    for in_doubt in (False, True):
        cap, now = CapFinder(256, 4), NOW
        cap.accepted(3)
        cap.refused(now, now, 4, in_doubt=in_doubt)
        while cap.most == 4:
            now += 1.0
            cap.finished(now, pressed=True)
        waits.append(now - NOW)
    assert waits[0] >= FIRST_HOLD > 2 * waits[1]


def test_a_rate_is_filled_by_turns_and_idle_without():
    finder, now = RateFinder(10), NOW
    assert finder.presses
    assert not finder.idles
    for idle, presses, idles in ((0.4, False, True), (0.0, True, False)):
        for _ in range(60):
            now += 0.1 + idle
            finder.asked(now, idle)
        assert (finder.presses, finder.idles) == (presses, idles)


def test_the_pace_climbs_evenly_after_a_pause_as_long_as_half_of_it():
    rate = Rate(RateFinder(100))
    rate.close(NOW + 8, NOW)
    sent, now = [], NOW
    while now < NOW + 14:
        now = max(now, rate.next_at())
        rate.reserve(now)
        rate.sent(now)
        sent.append(now - NOW - 8)
    within = [len([at for at in sent if second <= at < second + 1]) for second in range(6)]
    heights = [100 * (LOW + (1 - LOW) * (second + 0.5) / 4) for second in range(4)]
    assert within == pytest.approx([*heights, 100, 100], abs=3), "but for what the first turn catches up"


def test_what_was_admitted_before_and_after_a_refusal_that_was_another_limit_s_counts():
    found = []
    for pardons in (0, 3):
        finder, now = RateFinder(5), NOW
        rate = Rate(finder)
        finder.refused(now)
        for n in range(160):
            now = max(now, rate.next_at())
            rate.reserve(now)
            rate.sent(now)
            if n % 40 == 39 and n // 40 < pardons:
                finder.refused(now, in_doubt=True)
                finder.pardon()
        finder.refused(now)
        found.append(finder.per_second)
    assert found[1] == pytest.approx(found[0], rel=0.02)
