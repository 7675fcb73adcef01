from __future__ import annotations

from orchestrator.api.account import REMEMBERED, MemoryAccount


async def test_a_pause_is_never_shortened():
    account = MemoryAccount()
    assert await account.paused_until() == 0
    await account.pause(100.0)
    await account.pause(50.0)
    assert await account.paused_until() == 100.0


async def test_the_latest_durations_are_remembered_oldest_first():
    account = MemoryAccount()
    assert await account.durations() == ()
    await account.learn([1.0, 2.0])
    await account.learn([3.0])
    assert await account.durations() == (1.0, 2.0, 3.0)
    await account.learn([float(n) for n in range(REMEMBERED)])
    assert await account.durations() == tuple(float(n) for n in range(REMEMBERED))
