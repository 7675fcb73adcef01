"""What has changed between a frozen plan and its job file, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.job.expand import Export
from orchestrator.job.matrix import Coordinates
from orchestrator.journal.account import is_time
from orchestrator.progress.words import count, printable

KEYS = 8
"""Changed keys that are told; more are counted."""
EXPORTS = 3
"""Exports of each kind that are named."""
LONGEST = 40
"""Characters of a value that are shown."""
_UNSHOWN = ("network.proxy", "hooks")
"""Where a password may stand. (A base URL with one is refused, and a token is never written there.)"""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a plan was asked for: with it, the job file as it is now can be expanded as it was then."""

    at: float
    """Seconds since the epoch: windows that have closed since are no difference of the file."""
    selects: Sequence[str]
    first: str | None
    last: str | None
    sets: Sequence[str]
    written: Mapping[str, str]
    """The job file's keys and values, as `Job.written`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "select": list(self.selects),
            "from": self.first,
            "to": self.last,
            "set": list(self.sets),
            "written": dict(self.written),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Asked:
        """Raises KeyError, TypeError, ValueError or AttributeError for what `to_json` can't have made."""
        at = data["at"]
        if not is_time(at):
            raise ValueError("that is no time")
        first, last = (_text(data[name]) if data[name] is not None else None for name in ("from", "to"))
        selects, sets = ([_text(each) for each in _list(data[name])] for name in ("select", "set"))
        written = {key: _text(value) for key, value in data["written"].items()}
        return cls(at, selects, first, last, sets, written)


def difference(
    before: Mapping[str, str], after: Mapping[str, str], frozen: Iterable[Export], fresh: Iterable[Export]
) -> str:
    """What differs between the keys of the job file then and now, and between the exports frozen and those of today."""
    told = list(_keys(before, after))
    exports = list(_exports({each.coordinates: each for each in frozen}, {each.coordinates: each for each in fresh}))
    if not told and not exports:
        return "only comments, blanks or quotes have changed; the exports are the same"
    return "; ".join([*told, *(exports or ["the exports are the same"])])


def _keys(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    for key in changed[:KEYS]:
        name = printable(key)
        if key.startswith(_UNSHOWN):
            yield f"{name} changed"
        elif key not in after:
            yield f"{name} is gone (it was {_short(before[key])})"
        elif key not in before:
            yield f"{name} is new: {_short(after[key])}"
        else:
            yield f"{name}: {_short(before[key])} → {_short(after[key])}"
    if len(changed) > KEYS:
        yield f"{count(len(changed) - KEYS, 'more key')} changed"


def _exports(before: Mapping[Coordinates, Export], after: Mapping[Coordinates, Export]) -> Iterator[str]:
    both = [(old, after[cell]) for cell, old in before.items() if cell in after]
    kinds = (
        ("came", [new for cell, new in after.items() if cell not in before]),
        ("went", [old for cell, old in before.items() if cell not in after]),
        ("asked for otherwise", [new for old, new in both if old.key != new.key]),
        ("stored elsewhere", [new for old, new in both if old.key == new.key and old.path != new.path]),
    )
    for kind, found in kinds:
        if found:
            named = [printable(" ".join(label for _, label in each.coordinates)) for each in found[:EXPORTS]]
            more = ", …" if len(found) > EXPORTS else ""
            yield f"{count(len(found), 'export')} {kind} ({', '.join(named)}{more})"


def _short(text: str) -> str:
    shown = printable(text)
    return (shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…") or "nothing"


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list is due")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is due")
    return value
