r"""The exact check of a JSON array of rows, as RFC 8259 has it, in pieces of any size and in flat memory.

It is a pushdown automaton: what is open (`[` and `{`), and what is expected next. Everything that needs no memory, the
runs of scalars and of small objects, is left to regular expressions, which take them at a stroke; single tokens are
taken one by one only around deeper values and at the edges of the pieces. Nothing of a row is kept: a string or a
number may be longer than the memory.

The grammar decides, not what some library can hold: lone surrogate escapes (`"\ud83d"`, half an emoji that somebody's
truncation left), numbers beyond a double and integers of any length are valid. Three things are refused although RFC 8259
has them, and all by name: rows that are no objects (the service's format is "an array of row objects"), nesting deeper
than `MAX_DEPTH`, and text that is not UTF-8 (section 8.1).

The groups of the patterns are greedy, never possessive: Python before 3.11.5 mismatches possessive groups that
backtrack (python/cpython#106052). Possessive runs of single characters keep them linear.
"""

from __future__ import annotations

import codecs
import functools
import re
from typing import NamedTuple

from orchestrator.content.sniff import AGAIN_HINT, PROXY_HINT
from orchestrator.errors import ContentError

MAX_DEPTH = 1024
"""Levels of nesting, the array of rows among them: what orjson takes. RFC 8259 (section 9) leaves it to the reader."""

_S = rb"[ \t\n\r]*+"
_STRING_REST = rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*'
_STRING = rb'"' + _STRING_REST + rb'"'
# A number or a literal is whole only when something stands behind it: the next piece may go on with it.
_PLAIN = rb"(?:-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?+[0-9]++)?|true|false|null)(?=[ \t\n\r,\]}])"
_SCALAR = rb"(?:" + _STRING + rb"|" + _PLAIN + rb")"


def _members(value: bytes) -> bytes:
    return rb"(?:" + _S + _STRING + _S + rb":" + _S + value + _S + rb'(?:,(?=[ \t\n\r]*+")|(?=\})))*'


def _items(value: bytes) -> bytes:
    return rb"(?:" + _S + value + _S + rb"(?:,(?![ \t\n\r]*+\])|(?=\])))*"


def _value(levels: int) -> bytes:
    # There must be one way only to match a value: with two, a mismatch costs two to the power of the levels.
    if not levels:
        return _SCALAR
    inner = _value(levels - 1)
    return rb"(?:" + _SCALAR + rb"|\{" + _members(inner) + _S + rb"\}|\[" + _items(inner) + _S + rb"\])"


_LEVELS = 4
"""So many levels of nesting are taken at a stroke. A level more doubles the patterns and the time to compile them."""


class _Runs(NamedTuple):
    row_and_comma: re.Pattern[bytes]
    items: re.Pattern[bytes]
    members: re.Pattern[bytes]


@functools.cache
def _runs() -> _Runs:
    """Compiled once they are needed, which most runs of the program never do: it takes longer than all its imports."""
    small = _value(_LEVELS)
    return _Runs(
        re.compile(rb"\{" + _members(small) + _S + rb"\}" + _S + rb","),
        re.compile(_items(small)),
        re.compile(_members(small)),
    )


_SPACE = re.compile(_S)
_KEY_AND_COLON = re.compile(_STRING + _S + rb":")
_TO_THE_QUOTE = re.compile(_STRING_REST)
_WHOLE_PLAIN = re.compile(_PLAIN)

# Beginnings that the next piece may complete.
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_CUT_NUMBER = re.compile(rb"-?+(?:(?:0|[1-9][0-9]*+)(?:\.(?:[0-9]++(?:[eE][+-]?+[0-9]*+)?)?|[eE][+-]?+[0-9]*+)?)?\Z")
_CUT_LITERAL = re.compile(rb"(?:t|tr|tru|true|f|fa|fal|fals|false|n|nu|nul|null)\Z")
_LONG_DIGITS = re.compile(rb"([0-9]{2})[0-9]+")

# What is expected next, in the words of the error messages.
_FIRST_ITEM = "a value or ']'"
_ITEM = "a value"
_FIRST_KEY = "a key in quotes or '}'"
_KEY = "a key in quotes"
_COLON = "':'"
_VALUE = "a value after ':'"
_AFTER = "',' or a closing bracket"
_IN_KEY = "the rest of a key"
_IN_STRING = "the rest of a string"
_END = "nothing"


class JsonScanner:
    """Takes what stands behind the opening `[`. A scanner that has raised is not to be used again.

    `offset` counts the bytes of the body taken so far, for the messages; `rows` the rows begun.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.rows = 0
        self._open = bytearray(b"[")
        self._expected = _FIRST_ITEM
        self._cut = b""
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    @property
    def between_rows(self) -> bool:
        """The next byte may begin a row: everything before is done with."""
        return len(self._open) == 1 and self._expected in (_ITEM, _FIRST_ITEM)

    def skip(self, size: int, rows: int) -> None:
        """Goes past `size` bytes that somebody else has checked: whole rows, each with a comma behind it."""
        self.offset += size
        self.rows += rows
        self._expected = _ITEM

    def feed(self, data: bytes, *, to_next_row: bool = False) -> int:
        """Checks `data`, and says how many bytes of it were taken: all, or up to the next row if told to stop there.

        Raises `ContentError`: `content.json`, `content.rows` (a row that is no object), `content.trailing`.
        """
        text = self._cut + data
        before = len(self._cut)
        self._cut = b""
        at = self._scan(text, self.offset - before, to_next_row=to_next_row)
        taken = at + len(self._cut) - before
        self._check_utf8(data[:taken])
        self.offset += taken
        if self._expected not in (_IN_STRING, _IN_KEY):
            # A number may be of any length, but digits beyond the second of a run change nothing for the grammar.
            self._cut = _LONG_DIGITS.sub(rb"\1", self._cut)
        return taken

    def finish(self) -> None:
        """The body has ended. Raises `ContentError` (`content.truncated`) unless the array has too."""
        if self._expected != _END:
            where = f"within row {self.rows:,}" if len(self._open) > 1 else f"after row {self.rows:,}"
            raise ContentError(
                f"the JSON array breaks off after {self.offset:,} bytes, {where}: its end is missing",
                hint="The transfer was cut, or the service wrote half a file. Run again to fetch it anew.",
                code="content.truncated",
            )

    def _scan(self, text: bytes, base: int, *, to_next_row: bool) -> int:
        """Up to where the text was taken; what is left of it is the beginning of a token, and kept in `_cut`."""
        at, end = 0, len(text)
        while True:
            expected = self._expected
            if expected in (_IN_STRING, _IN_KEY):
                at = _past(_TO_THE_QUOTE, text, at)
                if at == end:
                    return at
                if text[at] != 0x22:
                    return self._cut_or_refuse(_CUT_ESCAPE, text, at, base)
                at += 1
                self._expected = _AFTER if expected == _IN_STRING else _COLON
                continue
            at = _past(_SPACE, text, at)
            if at == end:
                return at
            start = at
            if len(self._open) <= MAX_DEPTH - _LEVELS:
                at = self._run(text, at)
            if at == start:
                at = self._token(text, at, base)
                if self._cut:
                    return at
            if to_next_row and self._expected == _ITEM and len(self._open) == 1:
                return at

    def _run(self, text: bytes, at: int) -> int:
        """Takes as much as can be taken at a stroke: a whole row, or the members or items that are not deep."""
        if self._expected in (_ITEM, _FIRST_ITEM):
            if len(self._open) > 1:
                past = _past(_runs().items, text, at)
            elif text[at] == 0x7B:
                past = _past(_runs().row_and_comma, text, at)
                self.rows += past > at
            else:
                return at
            following = _ITEM
        elif self._expected in (_KEY, _FIRST_KEY):
            past = _past(_runs().members, text, at)
            following = _KEY
            if past == at:
                past = _past(_KEY_AND_COLON, text, at)
                following = _VALUE
        else:
            return at
        if past > at:
            # A run ends behind a comma or a colon, or before the bracket that closes.
            self._expected = following if text[past - 1] in b",:" else _AFTER
        return past

    def _token(self, text: bytes, at: int, base: int) -> int:
        """Takes one token, or the beginning of one into `_cut`. Gives the place behind what was taken."""
        expected, found = self._expected, text[at : at + 1]
        if expected == _AFTER and found == b",":
            self._expected = _ITEM if self._open[-1:] == b"[" else _KEY
        elif (expected in (_AFTER, _FIRST_ITEM) and found + self._open[-1:] == b"][") or (
            expected in (_AFTER, _FIRST_KEY) and found + self._open[-1:] == b"}{"
        ):
            self._open.pop()
            self._expected = _AFTER if self._open else _END
        elif expected == _COLON and found == b":":
            self._expected = _VALUE
        elif expected in (_KEY, _FIRST_KEY) and found == b'"':
            self._expected = _IN_KEY
        elif expected in (_VALUE, _ITEM, _FIRST_ITEM):
            return self._value(found, text, at, base)
        else:
            raise self._refused(text, at, base)
        return at + 1

    def _value(self, found: bytes, text: bytes, at: int, base: int) -> int:
        if len(self._open) == 1:
            if found != b"{":
                raise self._no_object(found, text, at, base)
            self.rows += 1
        if found in (b"{", b"["):
            if len(self._open) >= MAX_DEPTH:
                raise _invalid(f"row {self.rows:,} is nested deeper than {MAX_DEPTH} levels", base + at)
            self._open += found
            self._expected = _FIRST_KEY if found == b"{" else _FIRST_ITEM
            return at + 1
        if found == b'"':
            self._expected = _IN_STRING
            return at + 1
        past = _past(_WHOLE_PLAIN, text, at)
        if past == at:
            return self._cut_or_refuse(_CUT_LITERAL if found in b"tfn" else _CUT_NUMBER, text, at, base)
        self._expected = _AFTER
        return past

    def _cut_or_refuse(self, beginning: re.Pattern[bytes], text: bytes, at: int, base: int) -> int:
        if not beginning.match(text, at):
            raise self._refused(text, at, base)
        self._cut = text[at:]
        return at

    def _check_utf8(self, data: bytes) -> None:
        kept = len(self._utf8.getstate()[0])
        try:
            self._utf8.decode(data)
        except UnicodeDecodeError as error:
            raise _invalid("its text is not UTF-8", self.offset - kept + error.start) from None

    def _no_object(self, found: bytes, text: bytes, at: int, base: int) -> ContentError:
        kinds = {b'"': "a string", b"[": "an array", b"t": "true", b"f": "false", b"n": "null"}
        if found not in kinds and found not in b"-0123456789":
            return self._refused(text, at, base)
        return ContentError(
            f"row {self.rows + 1:,} is {kinds.get(found, 'a number')}, not an object (at byte {base + at:,})",
            hint="The service documents an array of row objects. Its format may have changed: look for a newer version "
            "of this program, or report it.",
            code="content.rows",
        )

    def _refused(self, text: bytes, at: int, base: int) -> ContentError:
        byte = text[at]
        found = f"'{chr(byte)}'" if 0x20 < byte < 0x7F else f"the byte 0x{byte:02x}"
        place = base + at
        if self._expected == _END:
            glued = {
                0x3C: "an HTML or XML page",
                0: "zero bytes",
                0x5B: "a second JSON text",
                0x7B: "a second JSON text",
            }
            return ContentError(
                f"behind the end of the JSON array, at byte {place:,}, stands {glued.get(byte, 'more data')}",
                hint=PROXY_HINT if byte == 0x3C else AGAIN_HINT,
                code="content.trailing",
            )
        if self._expected in (_IN_STRING, _IN_KEY):
            what = "an escape that JSON does not know" if byte == 0x5C else f"a bare control character (0x{byte:02x})"
            return _invalid(f"a string of row {self.rows:,} holds {what}", place)
        expected = "a row" if len(self._open) == 1 and self._expected in (_ITEM, _FIRST_ITEM) else self._expected
        return _invalid(f"near row {self.rows:,} stands {found} where {expected} should be", place)


def _past(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _invalid(what: str, place: int) -> ContentError:
    return ContentError(f"the body is not valid JSON: {what} (at byte {place:,})", hint=AGAIN_HINT, code="content.json")
