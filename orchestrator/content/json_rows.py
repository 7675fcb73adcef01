"""The check of a JSON body while it streams by: one complete array of row objects, its rows counted.

`JsonScanner` alone would do. But a glance (`json_glance`) takes a tenth of its time, so whole rows are cut from the stream in
pieces of 64 KiB and glanced at as arrays of their own; the scanner goes past what was found good. A cut is only a guess (the
last thing that looks like the seam of two rows), and a wrong guess is harmless: a prefix that ends within a string or
a nested value is no valid JSON once `]` is put behind it, so it is not counted and the cut moves to the left. What was
not counted after some tries is not judged by that: the scanner reads on from the same byte. So the verdict and its
words are always the scanner's.
"""

from __future__ import annotations

import re

from orchestrator.content.json_glance import rows_of
from orchestrator.content.json_scanner import JsonScanner
from orchestrator.content.sniff import HEAD, mistaken

PIECE = 64 * 1024
"""Larger pieces gain nothing, and fill the processor's caches."""

_TRIES = 4
_LONGEST_DETOUR = 16 * PIECE
_LEAD = re.compile(rb"[ \t\n\r]*+")
_BOM = b"\xef\xbb\xbf"
_ROW_HEAD = re.compile(rb'[ \t\n\r]*+\{[ \t\n\r]*+"[^"\\]{1,200}"')


class JsonRows:
    """Feed it the body, then ask `finish` for the number of rows. After an error it is not to be used again.

    A UTF-8 byte order mark is tolerated (RFC 8259, section 8.1, allows that). Of strictness and limits: see
    `json_scanner`.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._skipped = 0
        self._scanner: JsonScanner | None = None
        self._detour = 0
        self._next_detour = PIECE

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Raises `ContentError` as soon as the body can't be right any more."""
        with memoryview(data) as view:
            # In pieces, so that `_pending` stays small: to make it grow costs more than to look at it.
            for at in range(0, len(data), PIECE):
                self._pending += view[at : at + PIECE]
                scanner = self._scanner or self._begin(last=False)
                if scanner:
                    self._advance(scanner)

    def finish(self) -> int:
        """The number of rows. Raises `ContentError` unless the body was whole."""
        scanner = self._scanner or self._begin(last=True)
        assert scanner is not None
        if scanner.between_rows and (rows := rows_of(b"[" + self._pending)):
            return scanner.rows + rows
        scanner.feed(bytes(self._pending))
        scanner.finish()
        return scanner.rows

    def _begin(self, *, last: bool) -> JsonScanner | None:
        """Finds the opening `[`; None while too little is there to say what the body is."""
        pending = self._pending
        lead = len(_BOM) if not self._skipped and pending.startswith(_BOM) else 0
        lead = _past_space(pending, lead)
        if pending[lead : lead + 1] == b"[":
            self._scanner = JsonScanner(self._skipped + lead + 1)
            del pending[: lead + 1]
        elif last or len(pending) - lead >= HEAD:
            raise mistaken(bytes(pending[lead : lead + HEAD]), "a JSON array of rows")
        else:
            del pending[:lead]
            self._skipped += lead
        return self._scanner

    def _advance(self, scanner: JsonScanner) -> None:
        at = 0
        with memoryview(self._pending) as pending:  # a view, for each copy of a body shows in the time it takes
            while len(pending) - at >= PIECE:
                if self._detour <= 0 and scanner.between_rows:
                    if taken := self._cut_piece(scanner, pending, at):
                        at += taken
                        self._next_detour = PIECE
                        continue
                    # Most likely the rows that follow are of the same kind, so each failure makes the next try rarer.
                    self._detour = self._next_detour
                    self._next_detour = min(2 * self._next_detour, _LONGEST_DETOUR)
                taken = scanner.feed(bytes(pending[at : at + PIECE]), to_next_row=self._detour <= 0)
                at += taken
                self._detour -= taken
        del self._pending[:at]

    def _cut_piece(self, scanner: JsonScanner, view: memoryview, at: int) -> int:
        """Has as many rows glanced at as can be cut from one piece. Gives the bytes that are done with, 0 if there are none."""
        pending = self._pending
        seams = [b"},"]
        if head := _ROW_HEAD.match(pending, at):
            # Rows mostly begin alike and nested objects otherwise: the row at hand shows what the next seam looks like.
            seams.insert(0, b"}," + head[0])
        for seam in seams:
            end = at + PIECE
            for _ in range(_TRIES):
                cut = pending.rfind(seam, at, end) + 1
                if not cut:
                    break
                if rows := rows_of(b"".join((b"[", view[at:cut], b"]"))):
                    taken = cut + 1 - at
                    scanner.skip(taken, rows)
                    return taken
                end = cut + len(seam) - 2
        return 0


def _past_space(data: bytearray, at: int) -> int:
    found = _LEAD.match(data, at)
    return found.end() if found else at
