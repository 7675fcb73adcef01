"""What a run journals before it does anything: new exports, changed labels, finished ones that are wanted again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.engine.plan import Action, Item
from orchestrator.engine.states import FINAL, Event, Planned, Record, Revived, State


def relabelled(items: Iterable[Item], records: Mapping[str, Record], now: float) -> list[Event]:
    """For stored exports whose labels have changed although their path has not."""
    return [
        Planned(item.key, now, coordinates=dict(item.coordinates), path=item.path)
        for item in items
        if item.action is Action.SKIP and records[item.key].coordinates != dict(item.coordinates)
    ]


def beginnings(item: Item, record: Record | None, now: float) -> list[Event]:
    """For an export that the run has work with, `record` being what is known of it."""
    events: list[Event] = []
    export = item.export
    coordinates = dict(item.coordinates)
    if export is not None and (record is None or (record.coordinates, record.path) != (coordinates, item.path)):
        events.append(
            Planned(
                item.key,
                now,
                coordinates=coordinates,
                path=item.path,
                impersonate=export.impersonate,
                window=(export.window.start, export.window.end),
                requests=tuple(export.parts),
            )
        )
    if record is not None:
        events.extend(
            Revived(item.key, now, part.index, reason=item.reason) for part in record.parts if part.state in FINAL
        )
    return events


def is_begun(record: Record) -> bool:
    """Something was asked for whose end is still to come: it can be collected."""
    return any(
        part.state not in FINAL and (part.live or part.intended_at is not None or part.state is State.VERIFIED)
        for part in record.parts
    )
