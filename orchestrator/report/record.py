"""The run record (`orchestrator.run/1`) as reports look at it: read and checked, its exports told apart and grouped. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.progress.ending import next_step, verdict, why
from orchestrator.progress.words import label

SCHEMA = "orchestrator.run/1"
WINDOW = "window"
"""The axis that every job has, and that time runs along."""

Export = Mapping[str, Any]


class Standing(NamedTuple):
    """Where an export stands in the end, finer than the record's four states: a name, its words, its mark in a grid."""

    name: str
    words: str
    mark: str


STANDINGS = {
    standing.name: standing
    for standing in (
        Standing("failed", "failed", "❌"),
        Standing("pending", "not done yet", "⏳"),
        Standing("stored", "stored", "✅"),
        Standing("renamed", "renamed", "🔀"),
        Standing("kept", "stored before", "☑️"),
        Standing("waiting", "window still open", "🕒"),
    )
}
"""In the order in which they matter."""


def standing(export: Export) -> Standing:
    """`skipped` is told apart: stored before, renamed, or not asked for because its window has not ended."""
    state = export["state"]
    if state != "skipped":
        return STANDINGS[state]
    return STANDINGS[{"wait": "waiting", "move": "renamed"}.get(export.get("action", ""), "kept")]


@dataclass(frozen=True, slots=True)
class Failure:
    """Exports that failed for one and the same reason."""

    code: str
    cause: str
    hint: str | None
    exports: list[Export] = field(default_factory=list)


def failures(exports: Iterable[Export]) -> list[Failure]:
    """Those that failed, by reason; what most failed of comes first."""
    groups: dict[tuple[str, str, str | None], Failure] = {}
    for export in exports:
        if export["state"] == "failed":
            error = export["error"] or {"code": "error", "message": "no reason was kept", "hint": None}
            reason = (error["code"], error["message"], error["hint"])
            groups.setdefault(reason, Failure(*reason)).exports.append(export)
    return sorted(groups.values(), key=lambda group: -len(group.exports))


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows across, all other axes together down; a cell that the job does not have is missing."""

    windows: Sequence[str]
    rows: Mapping[str, Mapping[str, Export]]


def grid(exports: Iterable[Export]) -> Grid:
    rows: dict[str, dict[str, Export]] = {}
    windows: set[str] = set()
    for export in exports:
        coordinates = export["coordinates"]
        window = coordinates.get(WINDOW, "")
        name = (
            label({axis: value for axis, value in coordinates.items() if axis != WINDOW})
            if len(coordinates) > 1
            else ""
        )
        windows.add(window)
        rows.setdefault(name, {})[window] = export
    # Labels of one kind of window sort by time; an included one may have come last.
    return Grid(sorted(windows), rows)


@dataclass(frozen=True, slots=True)
class Story:
    """What a report says of a run before it comes to the exports."""

    headline: str
    why: str | None
    """What ended the run early."""
    next_step: str | None
    counts: Mapping[str, int]
    """By standing, in the order in which they matter; no zeros."""


def story(record: Mapping[str, Any]) -> Story:
    exports = record["exports"]
    counts = Counter(standing(export).name for export in exports)
    invalid = all(group.code == "request.invalid" for group in failures(exports))
    return Story(
        f"{record['job'] or 'run'}: {verdict(record['outcome'], counts)}",
        why(record),
        next_step(record, all_invalid=invalid),
        {name: counts[name] for name in STANDINGS if counts[name]},
    )


def seconds_taken(record: Mapping[str, Any]) -> float:
    """How long the run was."""
    began, ended = (datetime.fromisoformat(record[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()
