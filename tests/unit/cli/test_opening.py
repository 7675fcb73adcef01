"""What a run says before it begins."""

import pytest

from orchestrator.cli.opening import deadline, limits
from orchestrator.engine.policy import Limits
from orchestrator.engine.ports import Found

T = 1_763_900_000.0
AUTO = Limits(256, 100.0, 16, 4, 2.0, 4)


@pytest.mark.parametrize(
    ("given", "found", "command", "told"),
    [
        (
            AUTO,
            Found(),
            "run",
            "Limits find themselves, beginning at 4 exports at Loop, 2 requests a second, 4 downloads at once.",
        ),
        (
            AUTO,
            Found(4.833, 12),
            "submit",
            (
                "Limits find themselves, beginning at 12 exports at Loop (found by earlier runs), "
                "4.83 requests a second (found by earlier runs)."
            ),
        ),
        (Limits(), Found(), "run", "Limits: at most 16 exports at Loop, 5 requests a second, 4 downloads at once."),
        (
            Limits(1000),
            Found(9.0, 12),
            "run",
            "Limits: at most 1,000 exports at Loop (12 found by earlier runs), 5 requests a second, 4 downloads at once.",
        ),
        (
            Limits(requests_per_second=100.0, requests_start=2.0),
            Found(),
            "collect",
            "Limits: at most 4 downloads at once; 2 requests a second to begin with, as these find themselves.",
        ),
    ],
)
def test_limits_are_told_where_they_begin(given, found, command, told):
    assert limits(given, found, command) == told


def test_a_deadline_says_until_when_it_works_and_when_it_has_ended():
    told = deadline(T + 2994, T + 3000, T, "run")
    assert told.startswith("Deadline: it works until 13:03:14 and has ended by 13:03:20 UTC.")
    assert "not created" in told
    assert deadline(T + 2994, T + 3000, T, "collect") == told.partition(" What")[0]
