"""A plain client for tests of the simulator: it does what it is told and hides nothing."""

import asyncio
import contextlib
import json
from typing import Any, NamedTuple

import aiohttp
import pytest
import yarl

from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.server import Simulator

SEPTEMBER = {"start": 1693526400, "end": 1696118400, "timezone": "Europe/Ljubljana", "resultFormat": "Json"}


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes
    reason: str | None


class Client:
    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.session = session
        self.headers = {"Authorization": "Bearer good"}

    async def ask(self, method: str, url: str, **more: Any) -> Answer:
        target = yarl.URL(url, encoded=True)
        async with self.session.request(method, target, allow_redirects=False, **more) as response:
            return Answer(response.status, response.headers, await response.read(), response.reason)

    async def post(self, body: Any = None, **more: Any) -> Answer:
        more.setdefault("headers", self.headers)
        if "data" not in more:
            more["json"] = SEPTEMBER if body is None else body
        return await self.ask("POST", f"{self.sim.base_url}/api/v1/report/export", **more)

    async def get(self, report: str, **more: Any) -> Answer:
        more.setdefault("headers", self.headers)
        return await self.ask("GET", f"{self.sim.base_url}/api/v1/report/exports/{report}", **more)

    async def url(self, body: Any = None) -> str:
        """Create an export and wait for its file."""
        report = json.loads((await self.post(body)).body)["id"]
        while True:
            found = json.loads((await self.get(report)).body)
            if found["status"] == "Completed":
                return found["url"]
            await asyncio.sleep(0.005)

    async def download(self, url: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", url, headers=named)

    async def until(self, condition) -> None:
        while not condition():  # noqa: ASYNC110 - the far side of a socket gives no signal
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def connect(**scenario: Any):
    scenario.setdefault("duration", 0)
    async with Simulator(Scenario(**scenario)) as sim, aiohttp.ClientSession(auto_decompress=False) as session:
        yield Client(sim, session)


@pytest.fixture
def simulated():
    """`async with simulated(**scenario) as client:` with exports that take no time unless told otherwise."""
    return connect


@pytest.fixture
def september():
    """The documented example's question."""
    return dict(SEPTEMBER)
