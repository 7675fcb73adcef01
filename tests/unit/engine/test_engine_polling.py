"""When a report is asked about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.policy import Polling
from orchestrator.engine.polling import wait

figures = st.floats(min_value=0.01, max_value=1e6)
pollings = st.builds(
    Polling,
    policy=st.sampled_from(["backoff", "steady"]),
    first=figures,
    every=figures,
    max=figures,
    jitter=st.floats(min_value=0, max_value=1),
)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("policy", "waits"),
    [("backoff", [5, 10, 15, 22.5, 33.75, 50.625, 60, 60]), ("steady", [10] * 8)],
)
def test_without_chance(policy, waits):
    polling = Polling(policy=policy, first=5, every=10, max=60, jitter=0)
    assert [wait(polling, asked, 0.9) for asked in range(8)] == waits


def test_jitter_only_lengthens():
    polling = Polling(first=10, jitter=0.2)
    assert wait(polling, 0, 0.0) == 10
    assert wait(polling, 0, 0.5) == pytest.approx(11)


@given(pollings, st.integers(0, 10**9), chances)
def test_never_longer_than_the_longest_silence(polling, asked, chance):
    assert 0 < wait(polling, asked, chance) <= polling.max


@given(pollings, st.integers(1, 200), chances)
def test_never_sooner_than_before(polling, asked, chance):
    assert wait(polling, asked + 1, chance) >= wait(polling, asked, chance)
