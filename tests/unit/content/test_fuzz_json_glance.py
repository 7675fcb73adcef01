"""What the glance counts, the scanner counts too: whatever it takes on its own is an error that nobody would notice."""

from __future__ import annotations

import contextlib
import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_bodies import STYLES, arrays_of_rows, bodies, mutated, nested

from orchestrator.content.json_glance import rows_of
from orchestrator.content.json_scanner import MAX_DEPTH, JsonScanner
from orchestrator.errors import ContentError

TOKENS = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b'"a":', b'{"a":', b"{},", b"},{", b"[]", b"{}"),
    *(b"true", b"false", b"null", b"tru", b"nul", b"NaN", b"Infinity", b"-Infinity", b"True", b"undefined"),
    *(b"0", b"1", b"00", b"-", b"-0", b"-1", b"+", b".", b"1.5", b"e", b"E", b"1e5", b"1E+5", b"0e-0", b"0x1", b"1_0"),
    *(b"9" * 400, b"1e999999", b"0." + b"3" * 400),
    *(
        b"\\",
        b'\\"',
        b"\\\\",
        b"\\/",
        b"\\b",
        b"\\f",
        b"\\n",
        b"\\r",
        b"\\t",
        b"\\v",
        b"\\0",
        b"\\'",
        b"\\x41",
        b"\\U0041",
    ),
    *(
        b"\\u",
        b"\\u0041",
        b"\\u004",
        b"\\u00g1",
        b"\\uD83D\\uDE00",
        b"\\ud83d",
        b"\\ude00",
        b"\\ud83d\\u0041",
        b"\\u0000",
    ),
    *(b" ", b"\t", b"\n", b"\r", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
    *(
        b"\0",
        b"\x01",
        b"\x1f",
        b"\x7f",
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc3",
        b"\xc3\xa9",
        b"\xe2\x82",
        b"\xe2\x82\xac",
    ),
    *(
        b"\xed\xa0\x80",
        b"\xed\xb0\x80",
        b"\xf0\x9f\x99\x82",
        b"\xf0\x9f\x99",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ),
    *(b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xff", b"\xfe"),
    *(b"//", b"/**/", b"#", b"'a'", b"<", b"a"),
]


def scanned(array: bytes) -> int:
    """The rows of an array as the scanner counts them, 0 if it refuses."""
    scanner = JsonScanner(1)
    try:
        scanner.feed(array[1:])
        scanner.finish()
    except ContentError:
        return 0
    return scanner.rows


def agrees(array: bytes) -> None:
    rows = rows_of(array)
    assert rows in (0, scanned(array))


@contextlib.contextmanager
def deep_stack():
    """Before Python 3.12, msgspec goes as deep as the interpreter's own limit; since then it goes far deeper by itself."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@given(rows=arrays_of_rows, style=st.sampled_from(STYLES), ascii_only=st.booleans())
def test_a_valid_array_is_counted(rows, style, ascii_only):
    text = json.dumps(rows, ensure_ascii=ascii_only, **style)
    array = text.encode("utf-8", "replace")
    half_an_emoji = any("\ud800" <= char <= "\udfff" for char in json.dumps(json.loads(text), ensure_ascii=False))
    assert rows_of(array) == (0 if ascii_only and half_an_emoji else len(rows))
    assert scanned(array) == len(rows)


@given(body=bodies(), seed=st.randoms(use_true_random=False))
def test_of_a_mutated_array_nothing_is_counted_that_the_scanner_refuses(body, seed):
    agrees(b"[" + mutated(body[0].strip()[1:], seed))


@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=8), before=st.sampled_from((b"[", b'[{"a":', b'[{"a":"')))
def test_of_any_tokens_nothing_is_counted_that_the_scanner_refuses(tokens, before):
    for end in (b"]", b"}]", b'"}]', b""):
        agrees(before + b"".join(tokens) + end)


@given(text=st.binary(max_size=12), at=st.sampled_from((b'[{"%b":1}]', b'[{"a":"%b"}]', b'[{"a":%b}]', b"[{}%b{}]")))
def test_of_any_bytes_nothing_is_counted_that_the_scanner_refuses(text, at):
    agrees(at % text)


@pytest.mark.parametrize("place", [b'[{"%b":1}]', b'[{"a":"%b"}]', b'[{"a":["%b"]}]'])
def test_every_byte_and_every_pair_of_bytes_within_a_string(place):
    for first in range(256):
        agrees(place % bytes([first]))
        for second in range(256):
            agrees(place % bytes([first, second]))
            agrees(place % bytes([0x5C, first, second]))


@pytest.mark.parametrize(
    "place", [b"[%b]", b"[{}%b]", b"[{}%b{}]", b'[{%b"a":1}]', b'[{"a"%b:1}]', b'[{"a":%b1}]', b'[{"a":1%b}]']
)
def test_every_byte_and_every_pair_of_bytes_between_tokens(place):
    for first in range(256):
        agrees(place % bytes([first]))
        for second in range(256):
            agrees(place % bytes([first, second]))


@pytest.mark.parametrize(
    "array",
    [
        b'[{"a":"\xff"}]',
        b'[{"a":"\xed\xa0\x80"}]',
        b'[{"\xc0\x80":1}]',
        b'[{"a":"\xe2\x82"}]',
        b"[1]",
        b'[{},"a"]',
        b"[[],{}]",
        b"[null]",
    ],
)
def test_what_msgspec_takes_and_the_scanner_refuses_is_not_counted(array):
    assert msgspec.json.decode(array, type=list[msgspec.Raw])
    assert rows_of(array) == scanned(array) == 0


@pytest.mark.parametrize("edge", range(-3, 4))
@pytest.mark.parametrize(
    ("char", "valid"), [("é", True), ("€", True), ("🙂", True), (b"\xe2\x82\xe2", False), (b"\xc3", False)]
)
def test_text_is_checked_across_the_edges_of_its_slices(edge, char, valid):
    char = char if isinstance(char, bytes) else char.encode()
    for slices in (1, 2):
        array = b'[{"a":"' + b"x" * (slices * 16 * 1024 + edge - 7) + char + b'"}]'
        assert rows_of(array) == scanned(array) == int(valid)


@pytest.mark.parametrize("filler", [b"", b'{"b":"' + b"[{" * 600 + b'"},'], ids=["alone", "behind a row of brackets"])
def test_the_depth_is_capped_where_the_scanner_caps_it(filler):
    with deep_stack():
        assert msgspec.json.decode(nested(2 * MAX_DEPTH), type=list[msgspec.Raw])
        for depth in (MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 2 * MAX_DEPTH):
            array = b"[" + filler + nested(depth)[1:]
            assert rows_of(array) == scanned(array) == (0 if depth > MAX_DEPTH else 1 + bool(filler))


def test_a_long_row_may_have_any_number_of_brackets():
    array = b'[{"a":[' + b'{"b":[]},' * 2000 + b'"' + b"[" * 2000 + b'"]}]'
    assert rows_of(array) == scanned(array) == 1
