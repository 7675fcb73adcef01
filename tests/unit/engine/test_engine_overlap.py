"""Questions about one report that do not wait for each other's answers: when they go, and what their answers are worth."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import anyio
import pytest
from fakes import World, make_exports

from orchestrator.engine.attempts import POST_GRACE
from orchestrator.engine.overlap import Overlap
from orchestrator.engine.policy import Polling
from orchestrator.engine.ports import Broken, SignedUrl, Status, Throttled
from orchestrator.engine.schedule import spacing
from orchestrator.engine.states import Part, Report, State
from orchestrator.engine.step import Asked

pytestmark = pytest.mark.looptime

REF = ("k", 0)
DAY = 86_400
URL = SignedUrl("https://files.test/r?Signature=canary")
COMPLETED, PROCESSING, PENDING = Status("Completed", URL), Status("Processing"), Status("PendingOrExpired")


def far(count=60, *, latency=0.5, takes=1.3, policy="adaptive"):
    """A world whose answers take long, compared with its exports."""
    polling = Polling(policy)
    world = World(make_exports(count), unfinished=10, requests_per_second=1000.0, downloads=4, polling=polling)
    world.service.latency = latency
    world.service.takes = lambda request: takes
    return world


def gaps(world):
    """When a question went out, and how many seconds after the one before it about the same report."""
    asked = defaultdict(list)
    for at, report_id in world.service.gets:
        asked[report_id].append(at)
    return [(after, after - before) for times in asked.values() for before, after in pairwise(times)]


# ------------------------------------------------------------------------------------------------------ when they go


async def test_where_answers_take_long_questions_do_not_wait_for_them():
    world = far()
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.good(*world.exports)
    assert report["api"]["posts"] == 60
    assert len([gap for _, gap in gaps(world) if gap < 0.5]) > 20
    assert min(gap for _, gap in gaps(world)) > spacing(0.5) / 1.1
    assert world.service.gets_sent == report["api"]["polls"] <= 4 * 60


async def test_where_answers_come_soon_they_do():
    world = far(latency=0.015, takes=0.4)
    await world.run()
    assert min(gap for _, gap in gaps(world)) > 0.015


@pytest.mark.parametrize("policy", ["steady", "backoff"])
async def test_the_other_policies_wait_for_each_answer(policy):
    world = far(10, latency=20.0, takes=90.0, policy=policy)
    assert (await world.run())["outcome"] == "succeeded"
    assert min(gap for _, gap in gaps(world)) > 20.0


async def test_nothing_goes_beside_a_question_to_a_host_that_has_just_failed():
    world = far()
    world.service.takes = lambda request: 4.0 + request["start"] / DAY % 10 / 10
    began = []

    def on_get(made, n):
        if len(world.service.made) == 60 and world.clock.now() > made.created_at + 3.8:
            began.append(world.clock.now())
        return Broken("reset") if began and world.clock.now() < began[0] + 1.5 else None

    world.service.on_get = on_get
    assert (await world.run())["outcome"] == "succeeded"
    told = began[0] + 0.5
    close = [at for at, gap in gaps(world) if gap < 0.5 and at > began[0]]
    assert [at for at in close if at < told]
    assert not [at for at in close if told + 0.01 < at < began[0] + 1.5]


async def test_an_answer_that_takes_much_longer_than_usual_is_waited_for():
    world = far(40)
    silent = world.exports[35]
    asked, sent = world.service.get, []

    async def get(report_id, identity):
        if report_id in {made.id for made in world.service.made_of(silent)}:
            sent.append(world.clock.now())
            await anyio.sleep(20.0)
        return await asked(report_id, identity)

    world.service.get = get
    assert (await world.run())["outcome"] == "succeeded"
    assert len(sent) > 1
    assert sent[-1] < sent[0] + 1.1


async def test_a_run_that_parks_lets_go_of_all_of_them():
    world = far()
    parked = []

    def on_get(made, n):
        if len(world.service.made) > 30 and not parked and n > 1:
            parked.append(world.clock.now())
            world.service.latency = 60.0
            world.runner.park("enough")

    world.service.on_get = on_get
    assert (await world.run())["outcome"] == "parked"
    assert [gap for at, gap in gaps(world) if at == parked[0] and gap < 0.5]
    assert world.clock.now() < parked[0] + 1
    world.service.latency = 0.5
    assert (await world.run())["outcome"] == "succeeded"
    assert world.good(*world.exports)
    assert len(world.service.posts) == 60


async def test_they_are_let_go_of_before_a_creation_is_waited_for(monkeypatch):
    world = far()
    create, get = world.service.create, world.service.get
    parked, let_go = [], []

    async def parks(request, identity):
        if len(world.service.made) > 30 and not parked:
            parked.append(world.clock.now())
            world.service.latency = 60.0
            world.runner.park("enough")
        return await create(request, identity)

    async def hangs_up(report_id, identity):
        try:
            return await get(report_id, identity)
        except asyncio.CancelledError:
            let_go.append(world.clock.now())
            raise

    monkeypatch.setattr(world.service, "create", parks)
    monkeypatch.setattr(world.service, "get", hangs_up)
    assert (await world.run())["outcome"] == "parked"
    assert let_go
    assert max(let_go) < parked[0] + 0.1
    assert world.clock.now() >= parked[0] + POST_GRACE


# ------------------------------------------------------------------------------------------- what the answers are worth


def part(state=State.GENERATING, **report):
    return replace(Part(0, {}), state=state, reports=(replace(Report("r", created_at=0.0), **report),))


async def test_what_the_part_no_longer_waits_for_is_no_news():
    overlap = Overlap()
    overlap.begins(REF, 10.0)
    late = Asked("r", COMPLETED, sent_at=10.0)
    assert overlap.is_news(REF, late, part())
    for moved_on in (part(State.READY), part(State.VERIFIED), part(State.STORED), part(State.FAILED)):
        assert not overlap.is_news(REF, late, moved_on)
    assert not overlap.is_news(REF, replace(late, report_id="of another creation"), part())


async def test_an_answer_that_a_later_one_has_overtaken_is_no_news():
    overlap = Overlap()
    overlap.begins(REF, 10.0)
    assert overlap.is_news(REF, Asked("r", PROCESSING, sent_at=11.0), part())
    assert not overlap.is_news(REF, Asked("r", PENDING, sent_at=10.0), part(alive=True))
    assert overlap.is_news(REF, Asked("r", COMPLETED, sent_at=11.5), part(alive=True))


@pytest.mark.parametrize("nothing", [Throttled(None, "slow down"), Broken("reset")])
async def test_an_answer_that_tells_nothing_overtakes_nothing(nothing):
    overlap = Overlap()
    overlap.begins(REF, 10.0)
    assert overlap.is_news(REF, Asked("r", nothing, sent_at=11.0), part())
    assert overlap.is_news(REF, Asked("r", COMPLETED, sent_at=10.0), part())


async def test_answers_are_looked_at_one_after_the_other():
    overlap = Overlap()
    scopes = [overlap.begins(REF, 10.0 + n) for n in range(3)]
    inside = most = 0

    async def hear(scope):
        nonlocal inside, most
        async with overlap.turn(REF, scope):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(1)
            inside -= 1
        overlap.ends(REF, scope)

    assert overlap.since(REF) == 10.0
    async with anyio.create_task_group() as tasks:
        for scope in scopes:
            tasks.start_soon(hear, scope)
    assert most == 1
    assert overlap.since(REF) is None
    assert not overlap
