"""Whether a folder would take what a run brings: tried, with a small file, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.storage import folders
from orchestrator.storage.refusals import Place, refusing

SIZE = 64 * 1024
"""Bytes that are written: more than a file system keeps beside a file's name."""


@dataclass(frozen=True, slots=True)
class Trial:
    there: Path
    """The folder that was tried: the one asked about, or the nearest one above it that there is."""
    made: Path
    """A folder in it, for more trials; gone when the trial ends."""
    free: int
    """Bytes that this user may still write there."""


@contextlib.contextmanager
def trial(folder: Path, kind: Literal["output", "state"]) -> Iterator[Trial]:
    """Writes a file, makes it durable and renames it, below `folder`. Raises `StorageError` as a run would.

    A run makes folders that are missing; this makes none of them, and tries the nearest one above.
    """
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    place = Place(str(there), kind)
    made = there / f".orchestrator-trial-{secrets.token_hex(8)}"
    with refusing("", place):
        os.close(os.open(there, folders.FOLDER))
        made.mkdir(mode=0o700)
    try:
        with refusing("", place):
            _write(made)
            found = os.statvfs(there)
        yield Trial(there, made, found.f_bavail * found.f_frsize)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(made: Path) -> None:
    first, second = made / "first", made / "second"
    with first.open("xb") as file:
        file.write(bytes(SIZE))
        file.flush()
        folders.sync_file(file.fileno())
    first.rename(second)
    fd = os.open(made, folders.FOLDER)
    try:
        folders.sync_folder(fd)
    finally:
        os.close(fd)
