"""When something that failed is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.backoff import probe_wait, wait
from orchestrator.engine.policy import Retry

figures = st.floats(min_value=0.001, max_value=1e6)
retries = st.builds(Retry, base=figures, max=figures, outage=figures)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_the_ceiling_doubles_up_to_the_longest():
    retry = Retry(base=1, max=60)
    assert [wait(retry, n, 1.0) for n in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert {wait(retry, n, 0.0) for n in range(1, 8)} == {1}


@given(retries, st.integers(0, 10**9), chances)
def test_between_base_and_longest(retry, failures, chance):
    waited = wait(retry, failures, chance)
    assert min(retry.base, retry.max) * 0.999 <= waited <= retry.max * 1.001


@given(retries)
def test_a_host_that_is_down_is_probed_several_times_before_the_run_gives_up(retry):
    assert 0 < probe_wait(retry) <= min(10, retry.outage / 10)
