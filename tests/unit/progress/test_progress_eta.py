import pytest

from orchestrator.progress.eta import BELIEVED, Rest, remaining

USUAL = {
    "waiting": 100,
    "ages": (),
    "coming": 0,
    "places": 10,
    "per_second": 5.0,
    "downloads": 4,
    "seconds": 20.0,
    "longest": 20.0,
    "requests": 4.0,
    "fetching": 0.0,
}


def rest(**changes):
    return remaining(Rest(**(USUAL | changes)))


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 100 / (10 / 20) + 20),
        ({"places": 100}, 100 / (5 / 4) + 20),
        ({"fetching": 40.0}, 100 * 40 / 4 + 40),
        ({"fetching": 1.0}, 220 + 1),
        ({"longest": 60.0}, 200 + 20 + 40 * 3.321928 / 4),
    ],
    ids=["places", "requests", "downloads", "quick downloads", "the last of many is a slow one"],
)
def test_the_narrowest_station_sets_the_pace(changes, seconds):
    assert rest(**changes) == pytest.approx(seconds)


def test_in_the_end_it_is_the_youngest_that_counts():
    assert rest(waiting=0, ages=(15.0, 5.0)) == pytest.approx(15)
    assert rest(waiting=0, ages=(300.0,)) == pytest.approx(5), (
        "one that takes longer than it should still takes its time"
    )
    assert rest(waiting=0, coming=3, fetching=8.0) == pytest.approx(3 * 8 / 4)


def test_the_run_s_own_pace_is_believed_the_more_the_more_has_finished():
    own = {"pace": 0.1}
    found = [rest(finished=n, **own) for n in (1, BELIEVED // 2, BELIEVED, 10 * BELIEVED)]
    assert 220 < found[0] < found[1] < found[2] == found[3] == pytest.approx(100 / 0.1 + 20)
