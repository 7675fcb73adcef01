"""Records to manifest entries and back. Pure.

The manifest says what is stored and stands beside the data; the journal says what happened. Where one of them is older
(a cache restored beside newer data, a kill before the manifest was written), the union counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.engine.ports import Manifest
from orchestrator.engine.states import Adopted, Event, File, Moved, Planned, Record, State, Superseded
from orchestrator.errors import StorageError


def rfc3339(at: float) -> str:
    """Seconds since the epoch as `2026-11-23T12:00:00.123Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at: float) -> str:
    """The same for people: `2026-11-23 12:00:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def build(job: str, records: Iterable[Record]) -> Manifest:
    """The manifest of everything that is stored."""
    return Manifest(job, tuple(entry(record) for record in records if record.stored is not None))


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


def adoptions(
    manifest: Manifest, records: Mapping[str, Record], sizes: Mapping[str, int | None]
) -> Iterator[tuple[Event, ...]]:
    """The events by which the journal learns what the manifest knows better, an export at a time.

    `sizes` has the size of the file at every path of the manifest and of the journal's stored files. Raises
    `StorageError` for an entry that can't be understood.
    """
    holders = {file.path: record for record in records.values() for file in record.stored or ()}
    moved: set[str] = set()
    # Files that only have another name first: what they leave may be another export's by now.
    for stored in sorted(manifest.exports, key=lambda entry: not _is_known(entry, records.get(str(entry.get("key"))))):
        try:
            key, path = stored["key"], stored["path"]
            holder = holders.get(path)
            if holder is not None and holder.key in moved:
                holder = None
            for events in _adoption(stored, records.get(key), holder, sizes):
                if isinstance(events[0], Moved):
                    moved.add(key)
                yield events
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StorageError(
                f"manifest.json has an entry that can't be understood ({type(error).__name__} at {error})",
                code="storage.manifest",
                hint="Restore manifest.json from a backup, or move it aside: what the journal knows is written anew.",
            ) from None


def _is_known(stored: Mapping[str, Any], record: Record | None) -> bool:
    """The journal knows this very file, if perhaps under another name."""
    file = record.parts[0].stored if record is not None else None
    return file is not None and file.sha256 == stored.get("sha256")


def _adoption(
    stored: Mapping[str, Any], record: Record | None, holder: Record | None, sizes: Mapping[str, int | None]
) -> Iterator[tuple[Event, ...]]:
    key, path, size = stored["key"], stored["path"], stored["bytes"]
    at = _seconds(stored["stored_at"])
    there = sizes.get(path) == size
    others = holder is not None and holder.key != key
    known = record.parts[0] if record is not None else None
    if known is not None and known.stored is not None and _is_known(stored, record):
        astray = known.stored.path != path and sizes.get(known.stored.path) != size
        if known.state is State.STORED and astray and there and not others:
            yield (Moved(key, at, path=path),)
        return
    if known is not None and not (there and (known.stored_at is None or known.stored_at < at)):
        return
    window = (stored["window"]["start"], stored["window"]["end"])
    file = File(
        report_id=stored["parts"][0]["report_id"],
        bytes=size,
        sha256=stored["sha256"],
        rows=stored["rows"],
        exported_at=_seconds(stored["exported_at"]),
        partial=stored["partial"],
        path=path,
    )
    planned = Planned(
        key,
        at,
        coordinates=stored["coordinates"],
        path=path,
        impersonate=stored["impersonate"],
        window=window,
        requests=tuple(part["request"] for part in stored["parts"]),
    )
    if holder is not None and others:
        if (holder.parts[0].stored_at or 0.0) >= at:
            return  # the journal knows better whose file lies there
        yield (planned, Adopted(key, at, file=file), Superseded(holder.key, at, by=key, path=path))
    else:
        yield (planned, Adopted(key, at, file=file))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
