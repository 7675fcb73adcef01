"""A file that is hashed on its way to the disk."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable

_AT_ONCE = 1024
"""Pieces that every system takes in one call."""


class HashingFile(io.FileIO):
    """A new file, written from its beginning to its end, that knows the sha256 of what it has taken.

    Who writes on a thread hashes there too. Both let go of the interpreter's lock, so that the loop goes on with what comes next.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "wb")
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of all that was written since the file was made or emptied."""
        return self._sha256.hexdigest()

    def writelines(self, pieces: Iterable[bytes], /) -> None:  # type: ignore[override]  # typeshed's Buffer is not importable before 3.12
        """Writes all of them, in few calls and without a copy."""
        left = [memoryview(piece) for piece in pieces]
        while left:
            batch, left = left[:_AT_ONCE], left[_AT_ONCE:]
            left[:0] = self._taken(batch, os.writev(self.fileno(), batch))

    def _taken(self, batch: list[memoryview], size: int) -> list[memoryview]:
        """Hashes so many bytes of `batch`, and gives what is left of it: near the end of a disk, a write may take only a part."""
        for n, piece in enumerate(batch):
            self._sha256.update(piece[:size])
            if size < len(piece):
                return [piece[size:], *batch[n + 1 :]]
            size -= len(piece)
        return []

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # as above
        self.writelines([data])
        return len(data)

    def empty(self) -> None:
        """Begins anew."""
        self.seek(0)
        self.truncate(0)
        self._sha256 = hashlib.sha256()
