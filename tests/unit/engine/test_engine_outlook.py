"""What a run tells of what it has learned: when it knows something new, and no oftener."""

from types import SimpleNamespace

import pytest

from orchestrator.engine.asking import Asking, Load
from orchestrator.engine.events import Learned
from orchestrator.engine.finding import CapFinder, RateFinder
from orchestrator.engine.outlook import Outlook
from orchestrator.engine.policy import Polling
from orchestrator.engine.ports import Lesson

NOW = 1_700_000_000.0
SIZE = 21


@pytest.fixture
def it():
    told = []
    spending = SimpleNamespace(pace=RateFinder(100.0, 2.0), cap=CapFinder(256, 4), places=CapFinder(16, 4))
    asking = Asking(Polling(first=10.0))
    outlook = Outlook(asking, spending, SimpleNamespace(tell=told.append))
    return SimpleNamespace(told=told, spending=spending, asking=asking, look=outlook.look)


def taught(asking, seconds, n=40, size=SIZE):
    asking.recall(Lesson(size, NOW, seconds * 0.98, seconds * 1.02) for _ in range(n))


def test_at_first_it_tells_where_the_limits_start(it):
    it.look(NOW)
    assert it.told == [Learned(NOW, None, None, 2.0, 4, 4, rate_found=False, cap_found=False)]


def test_it_tells_what_has_changed_noticeably_and_once(it):
    it.look(NOW)
    it.spending.pace = RateFinder(100.0, 2.1)
    it.look(NOW + 1)
    assert len(it.told) == 1, "5 % are nothing"
    it.spending.pace = RateFinder(100.0, 2.3)
    it.look(NOW + 2)
    it.look(NOW + 3)
    assert [each.per_second for each in it.told] == [2.0, 2.3]
    it.spending.cap.refused(NOW + 3, NOW + 3, 4)
    it.look(NOW + 4)
    assert it.told[-1].cap_found
    taught(it.asking, 30.0)
    it.look(NOW + 5)
    assert it.told[-1].seconds == pytest.approx(30, rel=0.1)
    assert 30 < it.told[-1].longest < 45
    assert len(it.told) == 4


def test_it_looks_once_a_second_and_at_last(it):
    it.look(NOW)
    it.spending.pace = RateFinder(100.0, 50.0)
    it.look(NOW + 0.9)
    assert len(it.told) == 1
    it.look(NOW + 0.9, at_last=True)
    assert len(it.told) == 2


def test_classes_count_by_what_they_have_running(it):
    taught(it.asking, 10.0, n=60)
    taught(it.asking, 100.0, n=20, size=SIZE + 2)
    mean, longest = it.asking.expected()
    assert mean == pytest.approx(32.5, rel=0.1), "nothing runs: by what was taught"
    assert longest > 100
    it.asking.replan(Load(1000.0, 20, 0))
    it.asking.began("r", SIZE, NOW)
    mean, longest = it.asking.expected()
    assert mean == pytest.approx(10, rel=0.1)
    assert longest < 20


def test_the_others_have_not_to_end_first_for_the_slow_ones_to_count(it):
    """Whoever finishes first is short: a mean of those alone would promise too much."""
    taught(it.asking, 10.0, n=10)
    before, _ = it.asking.expected()
    for n in range(10):
        it.asking.began(f"slow {n}", SIZE, NOW)
        it.asking.unfinished(f"slow {n}", NOW + 60)
    taught(it.asking, 10.0, n=5)
    after, _ = it.asking.expected()
    assert after > 2 * before
