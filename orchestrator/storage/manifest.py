"""The manifest's file: JSON with one export a line, so that it is read quickly and its differences are readable."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError

NAME = "manifest.json"
FORMAT = "orchestrator.manifest/"
VERSION = 1
_ENTRY = {"key": str, "path": str, "bytes": int, "sha256": str, "coordinates": dict, "request": dict}
"""What every reader of an entry relies on."""


def encode(manifest: Manifest) -> bytes:
    lines = ",\n".join(json.dumps(export, ensure_ascii=False) for export in manifest.exports)
    head = f'{{"schema": "{FORMAT}{VERSION}",\n"job": {json.dumps(manifest.job, ensure_ascii=False)},\n"exports": ['
    # Lone surrogates (a label from a file's odd name) have no UTF-8 form, but an escape in JSON.
    return f"{head}\n{lines}\n]}}\n".encode("utf-8", "backslashreplace")


def decode(data: bytes) -> Manifest:
    """Raises `StorageError` for a manifest of a newer version, and for what is none."""
    try:
        value: Any = json.loads(data.decode("utf-8"))
        schema = value["schema"]
        if not schema.startswith(FORMAT):
            raise ValueError(f"its schema is {schema!r}, not {FORMAT}{VERSION}")
        if int(schema.removeprefix(FORMAT)) > VERSION:
            raise StorageError(
                f"{NAME} was written by a newer version of orchestrator: {schema}; this one knows {FORMAT}{VERSION}",
                code="storage.manifest-newer",
                hint="Use that version of orchestrator or a newer one.",
            )
        job, exports = value["job"], value["exports"]
        if not isinstance(job, str) or not isinstance(exports, list) or not all(isinstance(e, dict) for e in exports):
            raise TypeError("`job` must be a text and `exports` a list of objects")
        for n, export in enumerate(exports):
            for key, kind in _ENTRY.items():
                if not isinstance(export.get(key), kind):
                    raise TypeError(f"`exports[{n}].{key}` is missing or of another type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise StorageError(
            f"{NAME} can't be understood: {why}",
            code="storage.manifest",
            hint="Bring it back from a copy, or move it away: then only what the journal knows counts as stored.",
        ) from None
    return Manifest(job, tuple(exports))
