"""One body from the wire to a verified file: decoded, checked and counted while it passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from orchestrator.content.decoding import Decoder
from orchestrator.content.digest import Digest
from orchestrator.content.json_rows import JsonRows
from orchestrator.content.sniff import HEAD, mistaken, page
from orchestrator.content.workbook import MAGIC, WANTED, check_workbook

_BLOCK = 1024 * 1024
_HTML = ("text/html", "application/xhtml+xml")


class Checker:
    """Checks one body while it passes through. After an error it is not to be used again.

    `format` is `json` or `xlsx`; `encoding` and `content_type` are the answer's headers, None where it had none. Odd
    types (`application/octet-stream`) are fine, for the bytes decide; an answer that calls itself HTML is not.
    Raises `ContentError` (`content.encoding`) for an encoding that nobody here can undo.

    `inspect` is what must still be looked at in the finished file: it gives the rows, or raises `ContentError`.
    """

    def __init__(
        self,
        format: str,  # noqa: A002  the job file's word
        encoding: str | None,
        content_type: str | None,
    ) -> None:
        self._rows = JsonRows() if format == "json" else None
        self._wanted = "a JSON array of rows" if format == "json" else WANTED
        self._html = (content_type or "").partition(";")[0].strip().lower() in _HTML
        self._decoder = Decoder(encoding, guess=format == "json")
        self._head = b""
        self._bytes = 0
        self.inspect: Callable[[BinaryIO], int | None] | None = None if format == "json" else check_workbook

    @property
    def resumable(self) -> bool:
        """After a cut, feeding may go on at the byte where it stopped: nothing was encoded, so that the bytes received
        are the bytes given.
        """
        return self._decoder.identity

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """Takes bytes as received, gives the decoded pieces to store. Must be read to its end: the check is in it.

        Raises `ContentError` as soon as the body can't be right any more.
        """
        for piece in self._decoder.feed(raw):
            self._look(piece)
            yield piece

    def finish(self) -> tuple[int, int | None]:
        """The body is whole: the decoded bytes, and the rows in them. Raises `ContentError` if its content is not."""
        self._look(self._decoder.finish())
        self._judge_head()
        rows = self._rows.finish() if self._rows else None
        return self._bytes, rows

    def _look(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if len(self._head) < HEAD:
            self._head += piece[: HEAD - len(self._head)]
            if len(self._head) == HEAD:
                self._judge_head()
        if self._rows and not self._html:
            self._rows.feed(piece)

    def _judge_head(self) -> None:
        if self._html:
            raise page(self._head, self._wanted)
        if not self._rows and not self._head.startswith(MAGIC):
            raise mistaken(self._head, self._wanted)


def digest_file(file: BinaryIO, format: str) -> Digest:  # noqa: A002  the job file's word
    """Reads a stored file from its beginning with the checks that `Checker` made. Raises `ContentError`."""
    rows = JsonRows() if format == "json" else None
    size, sha256 = _read_through(file, rows.feed if rows else None)
    return Digest(size, sha256, rows.finish() if rows else check_workbook(file))


def _read_through(file: BinaryIO, look: Callable[[bytes], None] | None) -> tuple[int, str]:
    size, sha256 = 0, hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        sha256.update(block)
        size += len(block)
        if look:
            look(block)
    return size, sha256.hexdigest()
