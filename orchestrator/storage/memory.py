"""The storage in memory, with the promises of the real one: for tests and for simulation."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

from orchestrator.engine.ports import Manifest
from orchestrator.storage.manifest import NAME, decode, encode
from orchestrator.storage.names import segments, temp_name
from orchestrator.storage.refusals import exists, in_the_way, missing

T = TypeVar("T")


class _Blob:
    """A file's bytes, and those of them that are durable: None while not even its name is."""

    __slots__ = ("data", "durable")

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable: bytes | None = None


class MemoryStorage:
    """Implements `Storage`. What lives in it survives `crash` as far as it was made durable."""

    def __init__(self) -> None:
        self._files: dict[str, _Blob] = {}
        self._temps: dict[str, _Blob] = {}
        self._folders: set[str] = set()
        self._created = 0

    @property
    def files(self) -> dict[str, bytes]:
        """Everything at a final name, the manifest included."""
        return {path: bytes(blob.data) for path, blob in self._files.items()}

    @property
    def temps(self) -> dict[str, bytes]:
        return {temp: bytes(blob.data) for temp, blob in self._temps.items()}

    def put(self, path: str, data: bytes) -> None:
        """A file that is there, whoever stored it."""
        self._make_folders(path)
        blob = self._files[path] = _Blob()
        blob.data[:] = blob.durable = data

    def remove(self, path: str) -> None:
        """A file that somebody else took away."""
        del self._files[path]

    def crash(self) -> None:
        """The power is cut: what was not made durable is gone."""
        for blobs in (self._files, self._temps):
            for name, blob in list(blobs.items()):
                if blob.durable is None:
                    del blobs[name]
                else:
                    blob.data[:] = blob.durable

    async def create(self) -> MemoryWriter:
        await asyncio.sleep(0)
        self._created += 1
        temp = f"{self._created:016x}.part"
        blob = self._temps[temp] = _Blob()
        return MemoryWriter(temp, blob)

    async def place(self, temp: str, path: str) -> None:
        await asyncio.sleep(0)
        self._make_folders(path)
        blob = self._temps.pop(temp_name(temp), None)
        if blob is None:
            raise missing(f"{path}: its temporary file {temp}")
        self._files[path] = blob

    async def secure(self, path: str) -> None:
        await asyncio.sleep(0)
        if path not in self._files:
            raise missing(path)

    async def move(self, source: str, target: str, *, replace: bool = False) -> None:
        await asyncio.sleep(0)
        segments(source)
        if source not in self._files:
            raise missing(source)
        if target in self._files and not replace:
            raise exists(target)
        self._make_folders(target)
        self._files[target] = self._files.pop(source)

    async def size(self, path: str) -> int | None:
        return (await self.sizes([path]))[0]

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        await asyncio.sleep(0)
        for path in paths:
            segments(path)
        return [len(self._files[path].data) if path in self._files else None for path in paths]

    async def inspect(self, path: str, look: Callable[[BinaryIO], T]) -> T | None:
        await asyncio.sleep(0)
        segments(path)
        return look(io.BytesIO(self._files[path].data)) if path in self._files else None

    async def inspect_temp(self, temp: str, look: Callable[[BinaryIO], T]) -> T | None:
        await asyncio.sleep(0)
        return look(io.BytesIO(self._temps[temp].data)) if temp_name(temp) in self._temps else None

    async def discard(self, temp: str) -> None:
        await asyncio.sleep(0)
        self._temps.pop(temp_name(temp), None)

    async def sweep(self, keep: frozenset[str]) -> None:
        await asyncio.sleep(0)
        self._temps = {temp: blob for temp, blob in self._temps.items() if temp in keep}

    async def read_manifest(self) -> Manifest | None:
        await asyncio.sleep(0)
        return decode(bytes(self._files[NAME].data)) if NAME in self._files else None

    async def write_manifest(self, manifest: Manifest) -> None:
        await asyncio.sleep(0)
        self.put(NAME, b"".join(encode(manifest)))

    def _make_folders(self, path: str) -> None:
        """Here too, a file can't be where a folder is, nor below another file."""
        names = segments(path)
        above = ["/".join(names[:n]) for n in range(1, len(names))]
        for folder in above:
            if folder in self._files:
                raise in_the_way(folder, "a file")
        if path in self._folders:
            raise in_the_way(path, "a folder")
        self._folders.update(above)


class MemoryWriter:
    """Implements `Writer`."""

    def __init__(self, temp: str, blob: _Blob) -> None:
        self._temp = temp
        self._blob = blob
        self._complete = False

    @property
    def temp(self) -> str:
        return self._temp

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self._still_open()
        self._blob.data += data

    async def restart(self) -> None:
        await asyncio.sleep(0)
        self._still_open()
        self._blob.data.clear()

    async def finish(self) -> str:
        await asyncio.sleep(0)
        self._still_open()
        self._complete = True
        self._blob.durable = bytes(self._blob.data)
        return hashlib.sha256(self._blob.durable).hexdigest()

    async def close(self) -> None:
        await asyncio.sleep(0)

    def _still_open(self) -> None:
        if self._complete:
            raise RuntimeError("the temporary file is closed")
