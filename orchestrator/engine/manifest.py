"""Records to manifest entries, which say what is stored. Pure. The way back is in `memory.py`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from orchestrator.engine.lazy import Lazy
from orchestrator.engine.ports import Manifest
from orchestrator.engine.states import Record


def rfc3339(at: float) -> str:
    """Seconds since the epoch as `2026-11-23T12:00:00.123Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at: float) -> str:
    """The same for people: `2026-11-23 12:00:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def build(job: str, records: Iterable[Record]) -> Manifest:
    """The manifest of everything that is stored. It is put into words as it is read, which may be on another thread."""
    return Manifest(job, Lazy([record for record in records if record.stored is not None], entry))


def entry(record: Record) -> dict[str, Any]:
    """A stored export as the manifest tells it; `request` is the body exactly as it was POSTed."""
    files = record.stored
    assert files is not None, "only stored exports are in the manifest"
    rows = [file.rows for file in files]
    return {
        "key": record.key,
        "coordinates": dict(record.coordinates),
        "path": files[0].path,
        "bytes": sum(file.bytes for file in files),
        "sha256": files[0].sha256,
        "rows": None if None in rows else sum(row for row in rows if row is not None),
        "report_ids": [file.report_id for file in files],
        "request": dict(record.parts[0].request),
        "impersonate": record.impersonate,
        "window": {"start": record.window[0], "end": record.window[1]},
        "exported_at": rfc3339(min(file.exported_at for file in files)),
        "stored_at": rfc3339(
            max(part.stored_at or file.exported_at for part, file in zip(record.parts, files, strict=True))
        ),
        "partial": any(file.partial for file in files),
        "parts": [
            {
                "request": dict(part.request),
                "report_id": file.report_id,
                "path": file.path,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "rows": file.rows,
                "exported_at": rfc3339(file.exported_at),
            }
            for part, file in zip(record.parts, files, strict=True)
        ],
    }
