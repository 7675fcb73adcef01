"""Exports that never come right, one in twenty: they fail with a cause, and nobody else waits for them."""

from __future__ import annotations

import random

import pytest
from fakes import World, completed, make_exports

from orchestrator.engine.events import ExportChanged
from orchestrator.engine.policy import Retry
from orchestrator.engine.ports import NotFound, Status

pytestmark = pytest.mark.looptime

EXPORTS, POISONED = 100, 5
STATUSES = ("Queued", "", "processing", "COMPLETED", "Läuft", "x" * 500, "None", "Archived", "0", "PendingOrExpired ")


def poisoned_world(seed):
    world = World(make_exports(EXPORTS), unfinished=8, retry=Retry(exports=2, stuck_after=600.0))
    bad = {export.start for export in random.Random(seed).sample(world.exports, POISONED)}
    return world, lambda made: made.request["start"] in bad, bad


def last_good(world, bad):
    """When the last of the others was stored, since the begin."""
    stored = {t.record.key: t.at for t in world.told.of(ExportChanged) if t.event == "stored"}
    begun = world.told.all[0].at
    return max(stored[export.key] - begun for export in world.exports if export.start not in bad)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("Processing", "export.stuck"),
        ("Queued", "export.stuck"),
        ("Completed", "export.stuck"),
        ("PendingOrExpired", "export.expired"),
        ("Failed", "export.failed"),
        ("gone", "export.missing"),
    ],
)
async def test_one_in_twenty_that_never_comes_holds_up_nobody(answer, cause):
    world, is_bad, bad = poisoned_world(2)
    said = NotFound() if answer == "gone" else Status(answer)
    world.service.on_get = lambda made, n: said if is_bad(made) else None
    report = await world.run()
    assert report["outcome"] == "failed"
    failed = {one["key"]: one["error"]["code"] for one in report["exports"] if one["state"] == "failed"}
    assert failed.keys() == {export.key for export in world.exports if export.start in bad}
    assert set(failed.values()) == {cause}
    assert report["counts"]["stored"] == EXPORTS - POISONED
    assert world.good(*(export for export in world.exports if export.start not in bad))
    assert all(len(world.service.made_of(export)) <= 3 for export in world.exports), "re-creations are bounded"
    # Of eight places the poisoned hold five at the worst, until they are given up.
    assert last_good(world, bad) < 900, "without them it takes 300 seconds"
    assert world.service.most_unfinished <= 8 + POISONED


@pytest.mark.parametrize("seed", range(10))
async def test_statuses_that_nobody_knows_never_end_or_finish_an_export(seed):
    """As many odd words as one likes before the right one: each is waited out, and none is taken for an end."""
    chance = random.Random(seed)
    world = World(make_exports(20))
    odd = {export.start: [chance.choice(STATUSES) for _ in range(chance.randrange(6))] for export in world.exports}

    def answer(made, n):
        words = odd[made.request["start"]]
        return Status(words[n - 1]) if n <= len(words) else completed(made)

    world.service.on_get = answer
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 20)
    told = [t for t in world.told.all if getattr(t, "code", None) == "api.status"]
    assert len(told) <= sum(map(len, odd.values()))
    assert bool(told) == any(odd.values())
