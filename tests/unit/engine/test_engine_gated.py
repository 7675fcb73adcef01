"""The file host's gate, looked at in the last moment before a request and closed in the first after an answer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from fakes import START, Told, World, make_exports, make_policy

from orchestrator.engine.gated import GatedFiles, Held
from orchestrator.engine.ports import FileBroken, SignedUrl
from orchestrator.engine.spending import Spending

URL = SignedUrl("https://files.test/a?Signature=s")


class Host:
    def __init__(self):
        self.asked = 0

    @asynccontextmanager
    async def open(self, url, *, offset=0, validator=None):
        self.asked += 1
        raise FileBroken("503", wait=30.0)
        yield


def gated(host):
    spending = Spending(make_policy(), Told())
    return GatedFiles(host, spending, SimpleNamespace(now=lambda: START)), spending


async def test_who_hears_of_silence_closes_the_gate_before_anything_else():
    files, spending = gated(Host())
    with pytest.raises(FileBroken):
        async with files.open(URL):
            pass
    assert spending.files_closed_until == START + 30.0


async def test_behind_a_closed_gate_nobody_is_asked():
    files, spending = gated(host := Host())
    spending.close("files", START + 1.0, START)
    with pytest.raises(Held):
        async with files.open(URL):
            pass
    assert host.asked == 0


@pytest.mark.looptime
async def test_a_download_that_was_held_is_made_when_the_gate_opens_and_costs_no_try():
    """The gate closes while the second of two downloads makes its temporary file."""
    world = World(make_exports(2), downloads=2, attempts=1)
    create, opened, asked = world.storage.create, world.files.open, []

    async def create_while_the_gate_closes():
        world.storage.create = create
        world.runner._spending.close("files", world.clock.now() + 20.0, world.clock.now())
        return await create()

    def open_and_note(url, **more):
        asked.append((world.clock.now(), world.runner._spending.files_closed_until))
        return opened(url, **more)

    world.storage.create, world.files.open = create_while_the_gate_closes, open_and_note
    assert (await world.run())["outcome"] == "succeeded"
    assert len(asked) == 2
    assert all(at >= closed > 0 for at, closed in asked)
