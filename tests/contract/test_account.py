"""What is known of an account, on every journal."""

from collections.abc import Callable

import pytest

from orchestrator.engine.ports import Found, Lesson
from orchestrator.journal.account import LESSONS, JournalAccount
from orchestrator.journal.memory import Disk, MemoryJournal
from orchestrator.journal.sqlite import SqliteJournal

NOW = 1_700_000_000.0


def lesson(seconds):
    return Lesson(21, NOW, 0.0, float(seconds))


class SetClock:
    def __init__(self, now=NOW):
        self.at = now

    def now(self):
        return self.at


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path) -> Callable:
    disk = Disk()
    return (lambda: MemoryJournal(disk)) if request.param == "memory" else lambda: SqliteJournal(tmp_path, SetClock())


async def seen_at(make, now):
    """When the pause ends, for another process whose clock says `now`."""
    journal = make()
    await journal.open()
    try:
        return await JournalAccount(journal, SetClock(now)).paused_until()
    finally:
        await journal.close()


async def paused(make, *untils, now=NOW):
    journal = make()
    await journal.open()
    account = JournalAccount(journal, SetClock(now))
    for until in untils:
        await account.pause(until)
    result = await account.paused_until()
    await journal.close()
    return result


async def test_nothing_is_known_at_first(make):
    journal = make()
    await journal.open()
    account = JournalAccount(journal, SetClock())
    assert await account.paused_until() == 0
    assert await account.lessons() == ()
    assert await account.found() == Found()
    await journal.close()


async def test_a_pause_is_never_shortened(make):
    assert await paused(make, NOW + 60, NOW + 30) == NOW + 60
    assert await seen_at(make, NOW + 1) == NOW + 60
    assert await paused(make, NOW + 90) == NOW + 90
    assert await paused(make, NOW + 5) == NOW + 90


async def test_another_process_waits_for_what_is_left(make):
    await paused(make, NOW + 60)
    assert await seen_at(make, NOW + 45) == NOW + 60
    assert await seen_at(make, NOW + 61) == 0
    assert await seen_at(make, NOW + 10_000_000) == 0


@pytest.mark.parametrize("back", [1, 3600, 86_400 * 365])
async def test_a_clock_that_went_back_waits_for_the_whole_length(make, back):
    await paused(make, NOW + 60)
    assert await seen_at(make, NOW - back) == NOW - back + 60


async def test_a_pause_that_is_over_stays_over_when_the_next_one_is_kept(make):
    await paused(make, NOW + 60)
    assert await paused(make, NOW + 1010, now=NOW + 1000) == NOW + 1010


async def test_durations_are_kept_in_their_order_the_latest_ones(make):
    journal = make()
    await journal.open()
    account = JournalAccount(journal, SetClock())
    await account.learn([lesson(1), lesson(2)])
    await account.learn([])
    await account.learn([lesson(3)])
    assert await account.lessons() == (lesson(1), lesson(2), lesson(3))
    await account.learn([lesson(n) for n in range(LESSONS)])
    await account.learn([lesson(0.5)])
    await journal.close()
    again = make()
    await again.open()
    kept = await JournalAccount(again, SetClock()).lessons()
    assert len(kept) == LESSONS
    assert kept[0] == lesson(1)
    assert kept[-1] == lesson(0.5)
    await again.close()


async def test_the_limits_that_were_found_last_are_kept(make):
    journal = make()
    await journal.open()
    account = JournalAccount(journal, SetClock())
    await account.keep(Found(per_second=4.5))
    await account.keep(Found(per_second=4.75, unfinished=4))
    await journal.close()
    again = make()
    await again.open()
    assert await JournalAccount(again, SetClock()).found() == Found(4.75, 4)
    await again.close()
