"""From the bytes on the wire to the bytes of the file: identity, or gzip with its trailer checked.

aiohttp and most clients accept a gzip body that was cut. Here a member counts only once its trailer, with checksum
and length, was reached; nothing but further members may stand behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator

from orchestrator.content.sniff import AGAIN_HINT
from orchestrator.errors import ContentError

PIECE = 1024 * 1024
"""The most that is decoded at once: however much a body swells, so much of it is in memory."""
MAX_RATIO = 1000
"""Decoded bytes a byte received. Deflate reaches 1032, real rows never come near."""

_FREE = 8 * 1024 * 1024
"""Below this many decoded bytes no ratio is looked at: short bodies of one kind are nobody's bomb."""
_SLICE = 16 * 1024
"""zlib copies what it leaves over, so a body of thousands of tiny members must come in small slices."""
_MAGIC = b"\x1f\x8b"


class Decoder:
    """Undoes the transport's encoding. After an error it is not to be used again.

    `encoding` is the `Content-Encoding` (`identity`, `gzip`, `x-gzip` or None). With `guess`, a body that begins like gzip
    although nobody said so is decoded too: object stores keep files that were compressed before they came.
    """

    def __init__(self, encoding: str | None, *, guess: bool) -> None:
        names = {name.strip() for name in (encoding or "").lower().split(",")} - {"", "identity"}
        if names - {"gzip", "x-gzip"} or (encoding or "").lower().count("gzip") > 1:
            raise ContentError(
                f"the file host sent the file with the encoding {encoding!a}; identity and gzip can be read",
                hint="Only identity was asked for: something between here and the host compresses. Look at `network.proxy`.",
                code="content.encoding",
            )
        self._gunzip = _Gunzip() if names else None
        self._held: bytes | None = b"" if guess and not names else None

    @property
    def identity(self) -> bool:
        """What goes in comes out, byte for byte and at once."""
        return self._gunzip is None and not self._held

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """The decoded pieces, at most `PIECE` long when anything was compressed. Raises `ContentError`."""
        if self._held is not None:
            raw = self._held + raw
            self._held = raw if len(raw) < len(_MAGIC) and _MAGIC.startswith(raw) else None
            if self._held is not None:
                return
            if raw.startswith(_MAGIC):
                self._gunzip = _Gunzip()
        if self._gunzip:
            yield from self._gunzip.feed(raw)
        elif raw:
            yield raw

    def finish(self) -> bytes:
        """What was held back. Raises `ContentError` (`content.truncated`) if the trailer never came."""
        if self._gunzip:
            self._gunzip.finish()
        return self._held or b""


class _Gunzip:
    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._taken = 0
        self._given = 0

    def feed(self, raw: bytes) -> Iterator[bytes]:
        for start in range(0, len(raw), _SLICE):
            rest = raw[start : start + _SLICE]
            self._taken += len(rest)
            while rest:
                if self._member is None:
                    if self._members and not rest.startswith(_MAGIC[: len(rest)]):
                        raise ContentError(
                            f"behind the end of the gzip body, near byte {self._taken:,}, stands more data",
                            hint=AGAIN_HINT,
                            code="content.trailing",
                        )
                    self._member = zlib.decompressobj(wbits=31)  # 31: a gzip header and trailer, both checked by zlib
                    self._members += 1
                rest = yield from self._decode(self._member, rest)
                if self._member.eof:
                    self._member = None

    def finish(self) -> None:
        if self._member is not None:
            raise ContentError(
                f"the gzip body breaks off after {self._taken:,} bytes: its trailer is missing",
                hint="The transfer was cut, or the host keeps half a file. Run again to fetch it anew.",
                code="content.truncated",
            )

    def _decode(self, member: zlib._Decompress, rest: bytes) -> Generator[bytes, None, bytes]:
        """Gives what the slice holds of this member, and returns what stands behind the member."""
        while True:
            try:
                piece = member.decompress(rest, PIECE)
            except zlib.error:
                raise ContentError(
                    f"the gzip body is damaged near byte {self._taken:,}", hint=AGAIN_HINT, code="content.encoding"
                ) from None
            self._given += len(piece)
            if self._given > _FREE and self._given > MAX_RATIO * self._taken:
                raise ContentError(
                    f"the gzip body swells more than {MAX_RATIO}-fold: {self._taken:,} bytes gave {self._given:,}",
                    hint="No export looks like that. It was not stored; report it to the service.",
                    code="content.bomb",
                )
            if piece:
                yield piece
            if member.eof:
                return member.unused_data
            rest = member.unconsumed_tail
            if not rest and len(piece) < PIECE:
                return b""
