"""A glance at whole rows: how many they are, if nothing at all is wrong with them.

orjson would tell, but it makes objects of all that it reads, only to throw them away. msgspec goes past a value that is asked
for as `Raw` and checks its grammar on the way, in a quarter of the time. Three things it takes that are refused here, and they
are looked at besides: text that is not UTF-8, rows that are no objects, and nesting as deep as the interpreter's stack
bears (from Python 3.12 on that is far beyond `MAX_DEPTH`). What it refuses without need, half an emoji, is left to
the scanner like everything else that is not certain.
"""

from __future__ import annotations

import codecs

import msgspec
import orjson

from orchestrator.content.json_scanner import MAX_DEPTH

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
_BRACE = 0x7B
_SLICE = 16 * 1024
_SHALLOW = 2 * (MAX_DEPTH - 1)
"""Bytes. Each level of nesting takes two of them, so a row that is not longer is not too deep."""


def rows_of(array: bytes) -> int:
    """The number of rows of a JSON array. 0 if it has none, or if it is not certain that all is well."""
    try:
        rows = _decode(array)
        _check_utf8(array)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    for row in rows:
        if memoryview(row)[0] != _BRACE or (len(row) > _SHALLOW and not _is_shallow(row)):
            return 0
    return len(rows)


def _check_utf8(text: bytes) -> None:
    """Raises `UnicodeDecodeError`. In slices, for text with an emoji is four times as long as a `str`: what is larger than
    128 KiB the C library fetches from the kernel each time, and all its pages with it.
    """
    at = 0
    with memoryview(text) as view:
        while at < len(text):
            at += codecs.utf_8_decode(view[at : at + _SLICE], "strict", at + _SLICE >= len(text))[1]


def _is_shallow(row: msgspec.Raw) -> bool:
    text = bytes(row)
    if text.count(b"{") + text.count(b"[") < MAX_DEPTH:
        return True
    try:
        orjson.loads(b"[" + text + b"]")  # it counts the levels, and allows as many as the scanner
    except orjson.JSONDecodeError:
        return False
    return True
