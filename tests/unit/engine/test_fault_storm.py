"""A service that says 429: what goes out while it does, and what goes out at once when it stops."""

from __future__ import annotations

import itertools

import pytest
from fakes import World, make_exports

from orchestrator.engine.events import Paused
from orchestrator.engine.ports import Throttled
from orchestrator.engine.rate import LATENESS

pytestmark = pytest.mark.looptime

LIMIT = 4
EXPORTS = 30
SEEDS = range(20)


def storm(seed, *, lasts, wait):
    """A world of many exports, all of which want something when the service begins to refuse everybody for `lasts` seconds."""
    world = World(make_exports(EXPORTS), unfinished=EXPORTS, requests_per_second=LIMIT)
    world.seed = seed
    began = world.clock.now() + 5
    refuse = lambda *_: Throttled(wait, "slow down") if began <= world.clock.now() < began + lasts else None  # noqa: E731  both hooks
    world.service.before_post = world.service.on_get = refuse
    return world


def most_within_a_second(times):
    return max(sum(at <= t < at + 1 - 1e-6 for t in times) for at in times)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_gate_opens_late_or_in_time_and_then_at_the_usual_pace(seed):
    world = storm(seed, lasts=1, wait=40)
    report = await world.run()
    assert report["counts"]["stored"] == EXPORTS
    paused = world.told.of(Paused)
    # Answers of requests that were under way lengthen the pause; none is shortened, and none much longer than asked for.
    assert all(40 <= one.until - one.at <= 41 for one in paused)
    gate = max(one.until for one in paused)
    after = [at for at in world.service.requests if at > paused[-1].at + world.service.latency]
    assert min(after) >= gate
    assert most_within_a_second(world.service.requests) <= LIMIT
    # Not in step either: what waits for the gate goes out evenly spread from its first moment on.
    first = after[:LIMIT]
    assert all(later - earlier >= 1 / LIMIT - LATENESS - 1e-6 for earlier, later in itertools.pairwise(first))


@pytest.mark.parametrize("wait", [5, None])
async def test_a_storm_is_asked_into_by_a_few_and_costs_nobody_a_try(wait):
    world = storm(0, lasts=120, wait=wait)
    began = world.clock.now() + 5
    report = await world.run()
    assert report["counts"]["stored"] == EXPORTS
    assert report["api"]["possible_duplicates"] == 0
    within = [at for at in world.service.requests if began <= at < began + 120]
    # A gate lets out what the pace sends until its first answer is back: one request, and one that was under way.
    assert len(within) <= 2 * (120 // 5 + 1)


async def test_refusals_of_one_export_while_others_are_answered_cost_it_no_try():
    world = World(make_exports(3), attempts=3)
    world.service.before_post = lambda request, n: (
        Throttled(2, "slow down") if request == world.exports[0].request and n <= 10 else None
    )
    report = await world.run()
    assert (report["outcome"], report["exports"][0]["attempts"]) == ("succeeded", 11)


@pytest.mark.parametrize("parks_after", [0.01, 0.2, 1, 100])
async def test_wherever_the_run_ends_the_next_one_keeps_the_silence_that_this_one_knew_of(parks_after):
    world = storm(0, lasts=1, wait=300)
    ended = await world.run(park_after=5 + parks_after)
    sent = len(world.service.requests)
    known = max((one.until for one in world.told.of(Paused)), default=0.0)
    assert bool(known) == bool(ended["api"]["throttled"])
    report = await world.run()
    assert report["counts"]["stored"] + report["counts"]["skipped"] == EXPORTS
    assert min(world.service.requests[sent:]) >= known
