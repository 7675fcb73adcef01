"""Renames of stored files whose labels have changed: in an order in which none overwrites another that is still to move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.engine.plan import Item


def aside(item: Item) -> str:
    """Where one file of a ring (a takes b's name and b takes a's) waits meanwhile: beside the place it is going to."""
    return item.path + ".moving"


def in_order(moves: Sequence[Item]) -> Iterator[tuple[Item, str, str]]:
    """Each move as `(item, source, target)`; a ring is opened by moving one file out of the way first."""
    pending = {item.source: item for item in moves if item.source is not None}
    sources = {item.key: source for source, item in pending.items()}
    while pending:
        free = [item for item in pending.values() if item.path not in pending]
        for item in free:
            del pending[sources[item.key]]
            yield item, sources[item.key], item.path
        if not free:
            source, item = next(iter(pending.items()))
            waiting = aside(item)
            yield item, source, waiting
            del pending[source]
            pending[waiting] = item
            sources[item.key] = waiting
