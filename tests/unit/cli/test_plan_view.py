"""A plan's figures in words."""

import pytest

from orchestrator.cli.plan_view import _bytes, _range, _time
from orchestrator.engine.forecast import Range

HOUR = 3600


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (10, 50, "less than a minute"),
        (10, 200, "less than a minute to 3 min"),
        (120, 300, "about 2 to 5 min"),
        (118, 122, "about 2 min"),
        (300, 4000, "about 5 min to 1 h 10 min"),
        (70 * 60, 130 * 60, "about 1 h 10 min to 2 h 10 min"),
        (11 * HOUR, 30 * HOUR, "about 11 to 30 h"),
        (60 * HOUR, 90 * HOUR, "about 2 to 4 days"),
    ],
)
def test_a_stretch_of_time_is_told_once_where_its_ends_are_alike(low, high, words):
    assert _time(Range(low, high)) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(10e6, 20e6, "10 to 20 MB"), (1e6, 2e9, "1.0 MB to 2.0 GB"), (5e6, 5.01e6, "5.0 MB"), (0, 0, "0 B")],
)
def test_sizes(low, high, words):
    assert _bytes(Range(low, high)) == words


@pytest.mark.parametrize(
    ("low", "high", "words"), [(71.6, 134.2, "72 to 130"), (1234, 1239, "1,200"), (0.4, 0.6, "1"), (99_501, 1e6, "100,000 to 1,000,000")]
)  # fmt: skip
def test_counts_are_told_to_two_figures(low, high, words):
    assert _range(Range(low, high)) == words
