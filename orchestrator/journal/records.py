"""Events and records as the journal's rows, and how a caller's events change what is known."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.engine.states import Event, Record, apply, event_to_json, record_from_json, record_to_json


def fold(events: Sequence[Event], known: Callable[[str], Record | None]) -> dict[str, Record]:
    """The records that `events` change, as they are afterwards; `known` gives them by their key as they are. Raises `IllegalMove`."""
    changed: dict[str, Record] = {}
    for event in events:
        changed[event.key] = apply(changed.get(event.key) or known(event.key), event)
    return changed


def event_row(event: Event) -> tuple[str, int, str, float, str]:
    """The columns key, part, kind, at and data."""
    return event.key, event.part, event.kind, float(event.at), to_text(event_to_json(event))


def record_text(record: Record) -> str:
    return to_text(record_to_json(record))


def record_from_text(text: str) -> Record:
    return record_from_json(json.loads(text))


def report_head(report: Mapping[str, Any]) -> str:
    return to_text({name: value for name, value in report.items() if name not in ("history", "exports")})


def report_row(report: Mapping[str, Any]) -> tuple[str, bytes]:
    """A run's head, without its history and exports, and its whole report, deflated.

    The list of exports may make them one by one, so neither they nor their text are ever held together.
    """
    head = report_head(report)
    deflate = zlib.compressobj(level=1)
    pieces = [deflate.compress(f'{head[:-1]},"history":{to_text(report.get("history", []))},"exports":['.encode())]
    for n, export in enumerate(report.get("exports", ())):
        pieces.append(deflate.compress(f"{',' if n else ''}{to_text(export)}".encode()))
    pieces += (deflate.compress(b"]}"), deflate.flush())
    return head, b"".join(pieces)


def found_nothing_to_do(report: Mapping[str, Any]) -> bool:
    """Whether the run asked for nothing, moved nothing and left nothing undone: such a report tells nobody anything."""
    counts, api = report.get("counts", {}), report.get("api", {})
    if report.get("outcome") != "succeeded" or any(counts.get(name) for name in ("stored", "failed", "pending")):
        return False
    asked = any(api.get(name) for name in ("posts", "polls"))
    return not asked and not any(export["action"] == "move" for export in report.get("exports", ()))


def report_text(deflated: bytes) -> str:
    """The whole report as JSON. Raises ValueError for what is none."""
    try:
        return zlib.decompress(deflated).decode()
    except zlib.error as error:
        raise ValueError(f"the report of the last run can't be read: {error}") from None


_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_text(value: Any) -> str:
    """Compact JSON in ASCII: labels may hold what no UTF-8 encoder takes (lone surrogates from a file's name)."""
    return _encode(value)
