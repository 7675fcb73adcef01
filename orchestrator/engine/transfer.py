"""One attempt to bring a file here: received, decoded, checked, hashed and written in one pass.

What a broken attempt has left is kept for the next one within the run, which goes on by `Range` if the host proves
that the file is still the same. It is not kept over the end of a process: a hash can't be taken up again, so the bytes
would have to be read once more, and the service still has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from orchestrator.content.digest import Digest
from orchestrator.engine.choose import Ref
from orchestrator.engine.ports import (
    Checker,
    Contents,
    FileBroken,
    FileRefused,
    Files,
    SignedUrl,
    Storage,
    Writer,
)

Progress = Callable[[int, int | None], None]
"""Hears of bytes as they come: how many so far, and how many there will be (None if the host did not say)."""


@dataclass(slots=True)
class _Partial:
    writer: Writer
    checker: Checker | None = None
    received: int = 0
    validator: str | None = None

    @property
    def can_go_on(self) -> bool:
        return self.checker is not None and self.checker.resumable and self.received > 0 and self.validator is not None


class Transfers:
    """Downloads of one run, and what broken ones have left: of at most `kept` of them, for that only saves work."""

    def __init__(self, files: Files, storage: Storage, contents: Contents, *, kept: int) -> None:
        self._files = files
        self._storage = storage
        self._contents = contents
        self._kept = kept
        _keep_memory()
        self._partials: dict[Ref, _Partial] = {}

    def received(self, ref: Ref) -> int:
        """Bytes that are here of a broken download that can be gone on with."""
        return self._partials[ref].received if ref in self._partials else 0

    async def fetch(self, ref: Ref, url: SignedUrl, kind: str, progress: Progress) -> tuple[Digest, str]:
        """The digest of the whole, checked file and the name of the temporary file that durably holds it.

        `kind` is the file's format, `json` or `xlsx`. Raises `FileRefused` and `FileBroken` (what came is kept for
        the next call), `ContentError` and `StorageError`.
        """
        partial = self._partials.pop(ref, None) or _Partial(await self._storage.create())
        try:
            size, rows = await self._receive(partial, url, kind, progress)
            sha256 = await partial.writer.finish()
            if partial.checker is not None and partial.checker.inspect is not None:
                rows = await self._storage.inspect_temp(partial.writer.temp, partial.checker.inspect)
            await partial.writer.close()
        except (FileBroken, FileRefused):
            if partial.can_go_on:
                await self._keep(ref, partial)
            else:
                await self._discard(partial)
            raise
        except BaseException:
            await self._discard(partial)
            raise
        return Digest(size, sha256, rows), partial.writer.temp

    async def _receive(
        self, partial: _Partial, url: SignedUrl, kind: str, progress: Progress
    ) -> tuple[int, int | None]:
        offset, validator = (partial.received, partial.validator) if partial.can_go_on else (0, None)
        async with self._files.open(url, offset=offset, validator=validator) as body:
            checker = partial.checker
            if checker is None or body.offset != offset or offset == 0:
                if body.offset != 0:
                    raise FileBroken("the file host went on from a place that was not asked for", reached=True)
                await partial.writer.restart()
                checker = partial.checker = self._contents.checker(kind, body.encoding, body.content_type)
                partial.received, partial.validator = 0, body.validator
            total = None if body.length is None else partial.received + body.length
            async for block in body.blocks:
                for piece in checker.feed(block):
                    await partial.writer.write(piece)
                partial.received += len(block)
                progress(partial.received, total)
        return checker.finish()

    async def _keep(self, ref: Ref, partial: _Partial) -> None:
        """Each that is kept holds a file open, so a host that cuts everything must not make them many."""
        self._partials[ref] = partial
        while len(self._partials) > self._kept:
            oldest = next(iter(self._partials))
            await self._discard(self._partials.pop(oldest))

    async def _discard(self, partial: _Partial) -> None:
        with anyio.CancelScope(shield=True):  # a cancelled download must not leave its file behind
            await partial.writer.close()
            await self._storage.discard(partial.writer.temp)

    async def close(self) -> None:
        """Throws away what broken downloads have left."""
        while self._partials:
            _, partial = self._partials.popitem()
            await self._discard(partial)


def _keep_memory() -> None:
    """Has the C library keep what a transfer frees, for the next block, instead of fetching each anew from the system, page by page.

    glibc learns from the largest block that it saw come and go; where memory is managed otherwise this does nothing.
    """
    bytes(8 * 1024 * 1024)
