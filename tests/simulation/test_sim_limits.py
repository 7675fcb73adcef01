"""Limits that nobody has told are found: the real engine, in virtual time, against services that say nothing but 429."""

from __future__ import annotations

import statistics

import pytest
from strict import AUTOMATIC, Limited, durations, play

from orchestrator.engine.policy import Limits

STRICT = Limited(per_second=5, burst=5, unfinished=4)
TOLD = Limits(unfinished=4, requests_per_second=5.0)


def drawn(*distribution, seeds=3):
    return [durations(*distribution, seed) for seed in range(seeds)]


def played(limited, draws, limits=AUTOMATIC):
    return [play(limited, taken, limits, seed) for seed, taken in enumerate(draws)]


def test_a_strict_service_is_used_nearly_as_well_as_by_somebody_who_was_told():
    draws = drawn(100, 1.0, 0.5)
    found, told = played(STRICT, draws), played(STRICT, draws, TOLD)
    assert all(tale.refused() == 0 for tale in told)
    assert all(tale.refused() < 0.04 for tale in found)
    assert statistics.median(tale.ratio for tale in told) < 1.25
    assert statistics.median(a.makespan / b.makespan for a, b in zip(found, told, strict=True)) < 1.06


def test_after_the_first_minute_hardly_anything_is_refused():
    (tale,) = played(STRICT, drawn(300, 1.0, 0.5, seeds=1))
    assert tale.refused(since=60) < 0.01
    assert tale.ratio < 1.22


@pytest.mark.parametrize(
    ("limited", "count", "median", "sigma", "ratio"),
    [
        pytest.param(Limited(5, 5, 10), 80, 60.0, 0.5, 1.35, id="the cap binds, and exports are long"),
        pytest.param(Limited(1000, 1000, 6), 150, 2.0, 0.5, 1.3, id="the cap alone"),
        pytest.param(Limited(10, 10, 3), 100, 1.0, 0.01, 1.3, id="a cap below where it starts"),
        pytest.param(Limited(20, 20), 200, 3.0, 0.5, 2.5, id="the rate alone"),
        pytest.param(Limited(2, 2, 8), 60, 10.0, 0.3, 1.6, id="a slow rate, and a cap above where it starts"),
        pytest.param(Limited(1, 1, 4), 40, 5.0, 0.5, 1.7, id="a slow rate without bursts"),
        pytest.param(Limited(5, 1, 4), 100, 1.0, 0.5, 1.8, id="no bursts"),
        pytest.param(Limited(5, 50, 2), 60, 2.0, 0.5, 1.4, id="long bursts"),
    ],
)
def test_whatever_the_limits_are_neither_is_taken_for_the_other(limited, count, median, sigma, ratio):
    tales = played(limited, drawn(count, median, sigma))
    assert statistics.median(tale.ratio for tale in tales) < ratio
    assert statistics.median(tale.refused() for tale in tales) < 0.1
