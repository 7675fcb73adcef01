"""Single attempts: what holds between the decision and the wire."""

from __future__ import annotations

import asyncio
import random

import pytest
from fakes import Contents, FileHost, LoopClock, Made, Service, Told, make_export, make_policy

from orchestrator.engine.attempts import Attempts
from orchestrator.engine.ports import Accepted, Throttled
from orchestrator.engine.spending import Spending
from orchestrator.engine.states import Intended, Planned, apply
from orchestrator.engine.step import Asked, Live, NotPosted, Posted
from orchestrator.engine.stop import Stop
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.memory import MemoryJournal
from orchestrator.storage.memory import MemoryStorage

pytestmark = pytest.mark.looptime


class Desk:
    def __init__(self):
        self.clock = LoopClock()
        self.service = Service(self.clock)
        self.journal = MemoryJournal()
        policy, observer = make_policy(), Told()
        self.stop = Stop(self.clock, observer, lambda: None)
        self.spending = Spending(policy, observer)
        self.attempts = Attempts(
            api=self.service,
            files=FileHost(self.service),
            storage=MemoryStorage(),
            contents=Contents(),
            account=JournalAccount(self.journal, self.clock),
            clock=self.clock,
            observer=observer,
            policy=policy,
            spending=self.spending,
            random=random.Random(0),
            stop=self.stop,
            wake=lambda: None,
        )
        export = make_export(0)
        self.ref = (export.key, 0)
        planned = Planned(export.key, 0.0, path=export.path, window=(0, 1), requests=export.parts)
        self.record = apply(apply(None, planned), Intended(export.key, 0.0, n=1))

    async def create(self):
        self.spending.rate.reserve(self.clock.now())
        return await self.attempts.create(self.ref, self.record, Live())

    async def poll(self):
        self.spending.rate.reserve(self.clock.now())
        return await self.attempts.poll("report-0000", self.record, Live())


async def test_a_request_goes_out_and_is_counted():
    desk = Desk()
    assert await desk.create() == Posted(Accepted("report-0000", "Processing"))
    assert isinstance(await desk.poll(), Asked)
    assert (desk.attempts.posts, desk.attempts.polls) == ({desk.ref[0]: 1}, {desk.ref[0]: 1})


async def test_nothing_is_sent_through_a_gate_that_closed_after_the_decision():
    desk = Desk()
    desk.spending.rate.close(desk.clock.now() + 10, desk.clock.now())
    assert isinstance(await desk.create(), NotPosted)
    fact = await desk.poll()
    assert isinstance(fact.answer, Throttled)
    assert desk.service.requests == []
    assert desk.spending.rate._reserved == 0


async def test_a_429_without_a_time_is_a_pause_of_its_own_also_while_the_gate_is_shut():
    desk = Desk()
    await desk.journal.open()
    began = desk.clock.now()
    desk.service.before_post = lambda request, n: Throttled(1, "slow down")
    desk.service.made["report-0000"] = Made("report-0000", {}, began, 60)
    desk.service.on_get = lambda made, n: Throttled(0, "slow down")
    creating = asyncio.create_task(desk.create())
    await asyncio.sleep(0.01)
    desk.service.latency = 0.9
    await desk.poll()
    await creating
    assert desk.spending.rate.closed_until >= began + 0.9 + make_policy().retry.base


async def test_no_post_is_sent_once_the_run_parks():
    desk = Desk()
    desk.stop.park("enough")
    assert isinstance(await desk.create(), NotPosted)
    assert desk.service.posts_sent == 0
