"""Paths as the storage's callers give them: relative, with `/`. The last wall before the disk, whatever came before."""

from __future__ import annotations

from orchestrator.errors import StorageError


def segments(path: str) -> list[str]:
    """The folders and the file of a path. Raises `StorageError` for what could lead out of the output folder."""
    names = path.split("/")
    if any(name in ("", ".", "..") or "\0" in name for name in names):
        raise StorageError(
            f"{path!r} is no path inside the output folder",
            code="storage.name",
            hint="Paths are relative, without `.`, `..` and empty segments: see `output.path`.",
        )
    return names


def temp_name(temp: str) -> str:
    """The name of a temporary file, which has no folders. Raises `StorageError`."""
    if len(segments(temp)) != 1:
        raise StorageError(f"{temp!r} is no temporary file's name", code="storage.name")
    return temp
