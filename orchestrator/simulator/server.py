"""The simulator as a whole: the API host and the file host, on a port each.

async with Simulator(scenario) as sim:
    ...  # sim.base_url is where a client goes, sim.stats what it did there
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from orchestrator.simulator.api import Api
from orchestrator.simulator.files import Files
from orchestrator.simulator.ledger import Ledger
from orchestrator.simulator.listener import Door
from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.signing import Signer
from orchestrator.simulator.world import World

On = Literal["api", "files", "both"]


class Simulator:
    """A local Loop API for rehearsals and tests. Port 0 takes any that is free. Everything is kept in memory.

    Entering raises JobError when a port can't be had.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, host: str = "127.0.0.1", port: int = 0, files_port: int = 0
    ) -> None:
        self._initial = scenario or Scenario()
        self._host = host
        self._ports = port, files_port
        self._world: World
        self._doors: dict[str, Door] = {}
        self._outages: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._world = World(self._initial)
        signer = Signer(secrets.token_bytes(16))
        try:
            self._doors["files"] = Door(self._host, self._ports[1], Files(self._world, signer).handle)
            api = Api(self._world, signer, self.files_url, self.swap)
            self._doors["api"] = Door(self._host, self._ports[0], api.handle)
            await self._at_boundary(0)
        except BaseException:
            await self._close()
            raise
        self._outages = asyncio.create_task(self._follow_outages())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def base_url(self) -> str:
        """What a job file has as `api.base_url`."""
        return self._doors["api"].url

    @property
    def files_url(self) -> str:
        """Where signed URLs lead: another host, as far as a client can tell."""
        return self._doors["files"].url

    @property
    def scenario(self) -> Scenario:
        """The one in force."""
        return self._world.scenario

    @property
    def stats(self) -> Ledger:
        """Every request that arrived."""
        return self._world.ledger

    def swap(self, scenario: Scenario) -> None:
        """Go on under another scenario: its rules count from zero and its outages from now.

        Exports that exist keep their fate and their file, and the ledger goes on.
        """
        if self._outages is not None:
            self._outages.cancel()
        self._world.swap(scenario)
        self._outages = asyncio.create_task(self._follow_outages())

    def stop_listening(self, on: On = "both") -> None:
        """Refuse connections from now, and reset those that stand."""
        for name in self._named(on):
            self._doors[name].shut()

    async def listen_again(self, on: On = "both") -> None:
        """End what stop_listening began, on the same ports."""
        for name in self._named(on):
            await self._doors[name].open()

    @staticmethod
    def _named(on: On) -> tuple[Literal["api", "files"], ...]:
        return ("api", "files") if on == "both" else (on,)

    async def _follow_outages(self) -> None:
        refusals = [outage for outage in self.scenario.outages if outage.mode == "refuse"]
        for boundary in sorted({0.0} | {edge for outage in refusals for edge in (outage.at, outage.at + outage.for_)}):
            await asyncio.sleep(boundary - self._world.elapsed())
            await self._at_boundary(boundary)

    async def _at_boundary(self, elapsed: float) -> None:
        # Judged by the boundary, not by the clock, which may be a hair before it.
        for name in self._named("both"):
            if any(outage.mode == "refuse" and outage.covers(name, elapsed) for outage in self.scenario.outages):
                self._doors[name].shut()
            else:
                await self._doors[name].open()

    async def _close(self) -> None:
        if self._outages is not None:
            self._outages.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._outages
        for door in self._doors.values():
            await door.close()


async def serve(
    scenario: Scenario, host: str, port: int, files_port: int, on_ready: Callable[[Simulator], None]
) -> None:
    """Serve until cancelled. `on_ready` is called once, when both ports listen. Raises JobError as Simulator does."""
    async with Simulator(scenario, host=host, port=port, files_port=files_port) as simulator:
        on_ready(simulator)
        await asyncio.Event().wait()
