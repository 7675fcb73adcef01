"""The run record (`orchestrator.run/1`) as reports look at it: read and checked, its exports told apart and grouped. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from orchestrator.errors import JobError, Problem
from orchestrator.progress.ending import limits_found, next_step, verdict, why
from orchestrator.progress.words import label, printable, utc_of

FORMAT = "orchestrator.run/"
VERSION = 1
LONGEST = 1e9
"""No amount of a record is more, but for bytes and rows."""
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
    return STANDINGS[{"wait": "waiting", "move": "renamed"}.get(export["action"], "kept")]


@dataclass(frozen=True, slots=True)
class Failure:
    """Exports that failed for one and the same reason."""

    code: str
    message: str
    cause: str | None
    """What the system or the service said of it."""
    hint: str | None
    exports: list[Export] = field(default_factory=list)


def failures(exports: Iterable[Export]) -> list[Failure]:
    """Those that failed, by reason; what most failed of comes first."""
    groups: dict[tuple[str, str, str | None, str | None], Failure] = {}
    for export in exports:
        if export["state"] == "failed":
            error = export["error"] or {"code": "error", "message": "no reason was kept", "hint": None}
            reason = (error["code"], error["message"], error.get("cause"), error["hint"])
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
        window = printable(coordinates.get(WINDOW, ""))  # cut into pieces later, and no escape sequence survives that
        name = (
            label({axis: value for axis, value in coordinates.items() if axis != WINDOW})
            if len(coordinates) > 1
            else ""
        )
        windows.add(window)
        rows.setdefault(name, {})[window] = export
    # Labels of one kind of window sort by time; an included one may have come last.
    return Grid(sorted(windows), rows)


def stretches(windows: Sequence[str], most: int) -> Sequence[Sequence[str]]:
    """`windows` cut into stretches of at most `most`: by years, or by months, as labels begin with them."""
    for letters in (4, 7):
        parts = [list(part) for _, part in groupby(windows, key=lambda window: window[:letters])]
        if all(len(part) <= most for part in parts):
            return parts
    return [windows[n : n + most] for n in range(0, len(windows), most)]


@dataclass(frozen=True, slots=True)
class Story:
    """What a report says of a run before it comes to the exports."""

    headline: str
    why: str | None
    """What ended the run early."""
    next_step: str | None
    limits: str | None
    """Those of the service, as refusals have shown them."""
    counts: Mapping[str, int]
    """By standing, in the order in which they matter; no zeros."""


def story(record: Mapping[str, Any]) -> Story:
    exports = record["exports"]
    counts = Counter(standing(export).name for export in exports)
    return Story(
        f"{record['job'] or 'run'}: {verdict(record['outcome'], counts)}",
        why(record),
        next_step(record, {group.code for group in failures(exports)}),
        limits_found(record),
        {name: counts[name] for name in STANDINGS if counts[name]},
    )


def seconds_taken(record: Mapping[str, Any]) -> float:
    """How long the run was."""
    began, ended = (datetime.fromisoformat(record[name]) for name in ("started_at", "finished_at"))
    return max(0.0, (ended - began).total_seconds())


def parse(data: bytes | str, name: str) -> dict[str, Any]:
    """A run record from JSON: what `run --json` printed, or what is kept of the last run.

    Raises `JobError` (`report.unreadable`, `report.newer`) for anything else; `name` says where it comes from.
    """
    try:
        record = json.loads(data)
        schema = record["schema"]
        if not schema.startswith(FORMAT):
            raise ValueError(f"its schema is {printable(schema)!r}, not {FORMAT}{VERSION}")
        if int(schema.removeprefix(FORMAT)) > VERSION:
            raise JobError(
                Problem(
                    f"a newer version of orchestrator wrote this: {schema}; this one knows {FORMAT}{VERSION}",
                    code="report.newer",
                    file=name,
                    hint="Use that version of orchestrator or a newer one.",
                )
            )
        _check(record)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise JobError(
            Problem(
                "this is no report of a run",
                code="report.unreadable",
                file=name,
                cause=why,
                hint="Name a job file, or a file that holds what `orchestrator run JOB --json` printed.",
            )
        ) from None
    return dict(record)


def _check(record: Mapping[str, Any]) -> None:
    """What every rendering relies on. The rest may be missing: earlier versions did not know it."""
    _are(record, _HEAD, "")
    _are(record["api"], dict.fromkeys(("posts", "polls", "throttled", "errors", "possible_duplicates"), int), "api.")
    _are(record["counts"], {"stored": int}, "counts.")
    seconds_taken(record)
    _check_error(record.get("error"))
    _may_be_text(record, "reason", "resume_after")
    if (after := record.get("resume_after")) is not None:
        utc_of(after)
    _amounts(value or 0 for value in (record.get("found") or {}).values())
    for bucket in record.get("history") or ():
        _amounts(bucket[name] for name in ("at", "posts", "polls", "throttled", "paused"))
        if not 0 < bucket["seconds"] < LONGEST:
            raise ValueError("`history` has a stretch without a length")
    for n, export in enumerate(record["exports"]):
        _are(export, _EXPORT, f"exports[{n}].")
        standing(export)
        if not all(isinstance(text, str) for text in (*export["coordinates"].values(), *export["report_ids"])):
            raise TypeError(f"`exports[{n}]` has a label or an id that is no text")
        _check_error(export["error"])
        stages = export.get("stages") or ()
        _amounts(at for _, at in stages)
        if not all(isinstance(name, str) for name, _ in stages):
            raise TypeError(f"`exports[{n}].stages` are not what they should be")


def _are(value: Mapping[str, Any], kinds: Mapping[str, Any], place: str) -> None:
    for name, kind in kinds.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise TypeError(f"`{place}{name}` is not what it should be")


def _may_be_text(value: Mapping[str, Any], *names: str) -> None:
    if not all(isinstance(value.get(name), (str, _NOTHING)) for name in names):
        raise TypeError(f"one of {', '.join(names)} is no text")


def _amounts(values: Iterable[Any]) -> None:
    if not all(
        0 <= value < LONGEST for value in values
    ):  # also what JSON does not know, and Python reads: NaN, Infinity
        raise ValueError("an amount is out of all bounds")


def _check_error(error: Mapping[str, Any] | None) -> None:
    if error is not None:
        _are(error, {"code": str, "message": str, "hint": (str, _NOTHING)}, "error.")
        _may_be_text(error, "cause")


_NOTHING = type(None)
_HEAD: Mapping[str, type | tuple[type, ...]] = {
    "job": (str, _NOTHING),
    "run_id": (str, _NOTHING),
    "outcome": str,
    "started_at": str,
    "finished_at": str,
    "counts": dict,
    "api": dict,
    "bytes": int,
    "rows": int,
    "exports": list,
}
_EXPORT: Mapping[str, type | tuple[type, ...]] = {
    "key": str,
    "coordinates": dict,
    "state": str,
    "action": str,
    "reason": str,
    "path": str,
    "report_ids": list,
    "bytes": (int, _NOTHING),
    "rows": (int, _NOTHING),
    "attempts": int,
    "polls": int,
    "error": (dict, _NOTHING),
}
