"""The manifest's file: JSON with one export a line, so that it is read quickly and its differences are readable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError

NAME = "manifest.json"
FORMAT = "orchestrator.manifest/"
VERSION = 1
LATEST = 1e11
"""Seconds since the epoch, and so the last moment that is taken for one."""


_any_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _moment(value: Any) -> bool:
    return isinstance(value, str) and 0 <= datetime.fromisoformat(value).timestamp() <= LATEST


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_ENTRY: Mapping[str, Callable[[Any], bool]] = {
    "key": lambda value: isinstance(value, str),
    "path": lambda value: isinstance(value, str),
    "bytes": _whole,
    "sha256": lambda value: isinstance(value, str),
    "rows": lambda value: value is None or _whole(value),
    "partial": lambda value: isinstance(value, bool),
    "impersonate": lambda value: value is None or isinstance(value, str),
    "coordinates": lambda value: isinstance(value, dict) and all(isinstance(label, str) for label in value.values()),
    "request": lambda value: isinstance(value, dict),
    "window": lambda value: _whole(value["start"]) and _whole(value["end"]),
    "exported_at": _moment,
    "stored_at": _moment,
    "parts": lambda value: (
        bool(value) and all(isinstance(p["request"], dict) and isinstance(p["report_id"], str) for p in value)
    ),
}
"""What every reader of an entry relies on: the journal would not take less for a record of its own."""


def _is_right(export: Mapping[str, Any], name: str) -> bool:
    try:
        return name in export and _ENTRY[name](export[name])
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return False


def encode(manifest: Manifest) -> Iterator[bytes]:
    """The file, line by line: as a whole it would be held several times over."""
    yield b'{"schema": "%s%d",\n"job": %s,\n"exports": [\n' % (FORMAT.encode(), VERSION, _as_json(manifest.job))
    before = b""
    for export in manifest.exports:
        yield before + _as_json(export)
        before = b",\n"
    yield b"\n]}\n"


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Lone surrogates (a label from a file's odd name) have no UTF-8 form, but an escape in JSON.
        return _any_text(value).encode("utf-8", "backslashreplace")


def decode(data: bytes, where: str = NAME) -> Manifest:
    """Raises `StorageError` for a manifest of a newer version, and for what is none; `where` it lies."""
    try:
        value: Any = json.loads(data.decode("utf-8"))
        schema = value["schema"]
        if not schema.startswith(FORMAT):
            raise ValueError(f"its schema is {schema!r}, not {FORMAT}{VERSION}")
        if int(schema.removeprefix(FORMAT)) > VERSION:
            raise StorageError(
                f"{where} was written by a newer version of orchestrator: {schema}; this one knows {FORMAT}{VERSION}",
                code="storage.manifest-newer",
                hint="Use that version of orchestrator or a newer one.",
            )
        job, exports = value["job"], value["exports"]
        if not isinstance(job, str) or not isinstance(exports, list) or not all(isinstance(e, dict) for e in exports):
            raise TypeError("`job` must be a text and `exports` a list of objects")
        for n, export in enumerate(exports):
            for name in _ENTRY:
                if not _is_right(export, name):
                    raise TypeError(f"`exports[{n}].{name}` is missing or not what it should be")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise StorageError(
            f"{where} can't be understood",
            code="storage.manifest",
            cause=why,
            hint="Bring it back from a copy, or move it away: then only what the journal knows counts as stored.",
        ) from None
    return Manifest(job, tuple(exports))
