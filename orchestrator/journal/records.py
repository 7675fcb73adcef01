"""Events and records as the journal's rows, and how a caller's events change what is known."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.engine.states import Event, Record, apply, event_to_json, record_from_json, record_to_json


def fold(events: Sequence[Event], known: Mapping[str, Record]) -> dict[str, Record]:
    """The records that `events` change, as they are afterwards. Raises `IllegalMove`; `known` is left as it is."""
    changed: dict[str, Record] = {}
    for event in events:
        changed[event.key] = apply(changed.get(event.key) or known.get(event.key), event)
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


def report_texts(report: Mapping[str, Any]) -> tuple[str, str]:
    """A run's head, without its history and exports, and its whole report. The exports' list may make them one by one, so none is held."""
    head = report_head(report)
    whole = io.StringIO()
    whole.write(f'{head[:-1]},"history":{to_text(report.get("history", []))},"exports":[')
    for n, export in enumerate(report.get("exports", ())):
        whole.write("," if n else "")
        whole.write(to_text(export))
    whole.write("]}")
    return head, whole.getvalue()


_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_text(value: Any) -> str:
    """Compact JSON in ASCII: labels may hold what no UTF-8 encoder takes (lone surrogates from a file's name)."""
    return _encode(value)
