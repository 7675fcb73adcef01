"""Renames of stored files whose labels have changed: before anything else of a run, and in an order in which none
overwrites another that is still to move.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from orchestrator.engine.memory import aside
from orchestrator.engine.plan import Item
from orchestrator.engine.ports import Clock, Storage
from orchestrator.engine.states import Event, Moved, Moving, Planned, Record, Superseded


def in_order(moves: Sequence[Item]) -> Iterator[tuple[Item, str, str]]:
    """Each move as `(item, source, target)`; a ring is opened by moving one file out of the way first."""
    pending = {item.source: item for item in moves if item.source is not None}
    sources = {item.key: source for source, item in pending.items()}
    takers = {item.path: item for item in moves}
    ready = [item for item in pending.values() if item.path not in pending]
    while pending:
        if ready:
            item = ready.pop()
            source, target = sources[item.key], item.path
        else:
            source, item = next(iter(pending.items()))
            target = sources[item.key] = aside(item.path, item.key)
            pending[target] = item
        del pending[source]
        yield item, source, target
        taker = takers.get(source)  # whose place has just become free
        if taker is not None and sources[taker.key] in pending:
            ready.append(taker)


class Mover:
    """Carries the moves of one run out. `records` are the run's own, which `write` changes; `ends` tells whether to stop.

    That the files are about to be moved is durable before the first rename, and each rename is journalled: whenever it
    stops, `memory.settle` of the next run knows at which names each file may lie.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        records: Mapping[str, Record],
        write: Callable[[Sequence[Event]], Awaitable[None]],
        ends: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._records = records
        self._write = write
        self._ends = ends

    async def move(self, items: Sequence[Item]) -> None:
        """Renames the files of `items`, each of which has a source. Raises `StorageError`."""
        if not items or self._ends():
            return
        now = self._clock.now()
        await self._write([Moving(item.key, now, path=item.path) for item in items])
        held = {file.path for record in self._records.values() for file in record.stored or ()}
        for item, source, target in in_order(items):
            if self._ends():
                return
            # What lies there and is nobody's is an orphan of a crash: it would be in the way of every later run.
            replaces = target not in held or (target == item.path and item.supersedes is not None)
            await self._storage.move(source, target, replace=replaces)
            await self._moved(item, target)
            held.discard(source)
            held.add(target)

    async def _moved(self, item: Item, target: str) -> None:
        now = self._clock.now()
        events: list[Event] = [Moved(item.key, now, path=target)]
        if target == item.path:
            events.append(Planned(item.key, now, coordinates=dict(item.coordinates), path=target))
            if item.supersedes is not None:
                events.append(Superseded(item.supersedes, now, by=item.key, path=target))
        else:
            events.append(Moving(item.key, now, path=item.path))
        await self._write(events)
