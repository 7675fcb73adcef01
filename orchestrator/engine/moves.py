"""Renames of stored files whose labels have changed: before anything else of a run, and in an order in which none
overwrites another that is still to move.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.engine.attempts import Attempts
from orchestrator.engine.plan import Item
from orchestrator.engine.ports import Clock, Storage
from orchestrator.engine.states import Event, Moved, Planned, Record, Superseded


def aside(item: Item) -> str:
    """Where one file of a ring (a takes b's name and b takes a's) waits meanwhile: beside the place it is going to."""
    return item.path + ".moving"


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
            target = sources[item.key] = aside(item)
            pending[target] = item
        del pending[source]
        yield item, source, target
        taker = takers.get(source)  # whose place has just become free
        if taker is not None and sources[taker.key] in pending:
            ready.append(taker)


class Mover:
    """Carries the moves of one run out. `records` are the run's own, which `write` changes; `ends` tells whether to stop."""

    def __init__(
        self,
        *,
        storage: Storage,
        attempts: Attempts,
        clock: Clock,
        records: Mapping[str, Record],
        write: Callable[[Sequence[Event]], Awaitable[None]],
        ends: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._attempts = attempts
        self._clock = clock
        self._records = records
        self._write = write
        self._ends = ends

    async def move(self, items: Sequence[Item]) -> list[Item]:
        """Renames the files of `items`, each of which has a source. Each rename is journalled, so it may stop anywhere.

        Gives those whose file turned out to be nowhere: they are to be exported again. Raises `StorageError`.
        """
        todo: list[Item] = []
        lost: list[Item] = []
        tidy = bool(items) and await self._is_tidy()
        for item in items:
            if self._ends():
                return lost
            source = await self._find(item, by_name=tidy)
            if source is None:
                lost.append(item)
            elif source == item.path:
                await self._storage.secure(source)
                await self._moved(item, source)
            else:
                todo.append(replace(item, source=source))
        held = {file.path for record in self._records.values() for file in record.stored or ()}
        for item, source, target in in_order(todo):
            if self._ends():
                return lost
            # What lies there and is nobody's is an orphan of a crash: it would be in the way of every later run.
            replaces = target not in held or (target == item.path and item.supersedes is not None)
            await self._storage.move(source, target, replace=replaces)
            await self._moved(item, target)
            held.discard(source)
            held.add(target)
        return lost

    async def _is_tidy(self) -> bool:
        """Every stored file lies where the journal knows it, as far as names and sizes tell, and no two share a name."""
        files = [file for record in self._records.values() for file in record.stored or ()]
        sizes = await self._storage.sizes([file.path for file in files])
        at_home = all(size == file.bytes for size, file in zip(sizes, files, strict=True))
        return at_home and len({file.path for file in files}) == len(files)

    async def _find(self, item: Item, *, by_name: bool) -> str | None:
        """Where the file is that is to be moved.

        A run that was killed between a rename and its journal entry leaves it at its new name, or aside; and what lies at
        the old one may be another export's by then. So names alone prove something only while all is tidy and the new one is free.
        """
        part = self._records[item.key].parts[0]
        assert item.source is not None, "an item to be moved has a source"
        assert part.stored is not None, "and a file there"
        there, beyond = await self._storage.sizes([item.source, item.path])
        if by_name and there == part.stored.bytes and beyond is None:
            return item.source
        for path in (item.source, item.path, aside(item)):
            if await self._attempts.holds(path, part):
                return path
        return None

    async def _moved(self, item: Item, target: str) -> None:
        now = self._clock.now()
        events: list[Event] = [Moved(item.key, now, path=target)]
        if target == item.path:
            events.append(Planned(item.key, now, coordinates=dict(item.coordinates), path=target))
            if item.supersedes is not None:
                events.append(Superseded(item.supersedes, now, by=item.key, path=target))
        await self._write(events)
