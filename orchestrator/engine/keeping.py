"""What is kept of a run while it is active: the manifest, and what was learned of how long exports take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio

from orchestrator.engine import manifest
from orchestrator.engine.ports import Clock, Storage
from orchestrator.engine.states import Record
from orchestrator.engine.stop import Stop

EVERY = 5.0
"""Seconds between two writings of the manifest while a run is active, at least; a large one is written less often."""
SHARE = 40
"""The manifest's writing may take one part in so many of the time."""


class Keeping:
    def __init__(self, storage: Storage, clock: Clock, stop: Stop, job: str, records: Mapping[str, Record]) -> None:
        self._storage = storage
        self._clock = clock
        self._stop = stop
        self._job = job
        self._records = records
        self.stale = False
        """The manifest does not tell all that is stored."""

    async def write(self) -> None:
        """Writes the manifest if it is stale and still this run's. Raises StorageError."""
        if self.stale and self._stop.leased:  # whoever has the journal now has the manifest too
            self.stale = False
            await self._storage.write_manifest(manifest.build(self._job, self._records.values()))

    async def go_on(self, besides: Callable[[], Awaitable[None]]) -> None:
        """Writes it, and does what is to be done `besides`, now and then until it is cancelled."""
        pause = EVERY
        while True:
            await anyio.sleep(pause)
            began = self._clock.now()
            with self._stop.taking_blame(), anyio.CancelScope(shield=True):
                await self.write()
                await besides()
            pause = max(EVERY, SHARE * (self._clock.now() - began))
