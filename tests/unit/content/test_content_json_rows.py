"""The check of JSON bodies against an oracle: `json.loads`, made to keep to RFC 8259 and to rows that are objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_bodies import bodies, mutated, nested

from orchestrator.content import json_rows
from orchestrator.content.json_rows import JsonRows
from orchestrator.content.json_scanner import MAX_DEPTH, JsonScanner
from orchestrator.errors import ContentError

MODES = ("normal", "tiny pieces", "scanner only")


@contextmanager
def mode(name: str) -> Iterator[None]:
    """Normal pieces are longer than the test data: tiny ones bring cutting into play. With `scanner only` nothing is glanced at."""
    if name == "normal":
        yield
        return
    with patch.object(json_rows, "PIECE", 24), patch.object(json_rows, "_LONGEST_DETOUR", 48):
        if name == "tiny pieces":
            yield
            return
        with patch.object(json_rows, "rows_of", lambda _: 0):
            yield


def count(data: bytes, *sizes: int) -> int:
    """The rows, when the data comes in fragments of these sizes (in turn), or whole if there are none."""
    rows = JsonRows()
    at, turn = 0, 0
    while sizes and at < len(data):
        size = sizes[turn % len(sizes)]
        rows.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    if not sizes:
        rows.feed(data)
    return rows.finish()


def refusal(data: bytes, *sizes: int) -> ContentError:
    with pytest.raises(ContentError) as caught:
        count(data, *sizes)
    assert caught.value.hint
    return caught.value


def oracle(data: bytes) -> int | None:
    """The rows as `json.loads` sees them, None if it refuses."""

    def refuse(constant):
        raise ValueError(constant)

    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
        rows = json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return len(rows) if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def verdict(data: bytes, *sizes: int) -> int | None:
    try:
        return count(data, *sizes)
    except ContentError:
        return None


fragments = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@pytest.mark.parametrize("name", MODES)
@given(body=bodies(), sizes=fragments)
def test_every_array_of_objects_is_taken_and_counted_however_it_is_cut(name, body, sizes):
    data, rows = body
    assert oracle(data) == rows
    with mode(name):
        assert count(data, *sizes) == rows
        assert count(data) == rows


@pytest.mark.parametrize("name", MODES)
@given(body=bodies(), seed=st.randoms(use_true_random=False), sizes=fragments)
def test_a_mutated_body_is_judged_as_json_loads_judges_it(name, body, seed, sizes):
    data = mutated(body[0], seed)
    with mode(name):
        assert verdict(data, *sizes) == oracle(data)
        assert verdict(data) == oracle(data)


SAMPLE = (
    ' [{"id":1,"t":"a\\n\\u0012 é","n":[1,-0.5e+3,{"x":[[]]}],"m":{}},\n{},{"id":2,"t":"},{","n":null,"b":[true,false]} ,'
    '{"id":3,"x":[{"id":4},{"id":5}]}]\n'
).encode()


@pytest.mark.parametrize("name", MODES)
def test_cut_at_every_byte_it_is_truncated_and_never_anything_else(name):
    whole = len(SAMPLE.rstrip())
    with mode(name):
        for size in (1, 7, 1000):
            for end in range(len(SAMPLE)):
                if end >= whole:
                    assert count(SAMPLE[:end], size) == 4
                else:
                    assert refusal(SAMPLE[:end], size).code == ("content.truncated" if end > 1 else "content.empty")


@pytest.mark.parametrize("name", MODES)
def test_every_change_of_a_single_byte_is_judged_as_json_loads_judges_it(name):
    with mode(name):
        for at in range(len(SAMPLE)):
            for byte in b'\0\n ",:[]{}\\0-e\xc3\xff':
                data = SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 :]
                assert verdict(data, 11) == oracle(data), data


ODD = [
    (b'[{"a":1},]', "content.json", "where a row should be"),
    (b"[{}{}]", "content.json", "stands '{' where ','"),
    (b"[,{}]", "content.json", "where a row should be"),
    (b'[{"a":NaN}]', "content.json", "stands 'N'"),
    (b'[{"a":-Infinity}]', "content.json", "(at byte 6)"),
    (b'[{"a":01}]', "content.json", "stands '0'"),
    (b'[{"a":1.}]', "content.json", ""),
    (b'[{"a":.5}]', "content.json", ""),
    (b'[{"a":+1}]', "content.json", ""),
    (b"[{'a':1}]", "content.json", "a key in quotes or '}'"),
    (b'[{"a":1,}]', "content.json", "a key in quotes should"),
    (b'[{"a" 1}]', "content.json", "':'"),
    (b"[{1:2}]", "content.json", ""),
    (b'[{"a":[1,]}]', "content.json", ""),
    (b'[{"a":[1}]', "content.json", ""),
    (b'[{"a":1]', "content.json", ""),
    (b'[{"a":"\n"}]', "content.json", "bare control character (0x0a)"),
    (b'[{"a":"\\x"}]', "content.json", "escape"),
    (b'[{"a":"\\u12g4"}]', "content.json", "escape"),
    (b'[{"a":"\xff"}]', "content.json", "not UTF-8 (at byte 7)"),
    (b'[{"a":"\xed\xa0\x80"}]', "content.json", "not UTF-8"),
    (b'[{"a":"\xc0\x80"}]', "content.json", "not UTF-8"),
    (b'[{"a":"\xe2\x80"}]', "content.json", "not UTF-8 (at byte 7)"),
    (b"[{}\x0b]", "content.json", "0x0b"),
    (b"[{}\x00]", "content.json", "0x00"),
    (b"[/* rows */{}]", "content.json", ""),
    (b"[{}]\x00\x00", "content.trailing", "byte 4, stands zero bytes"),
    (b"[{}]<html>oops", "content.trailing", "HTML"),
    (b"[{}]\n[{}]", "content.trailing", "a second JSON text"),
    (b"[{}]]", "content.trailing", "more data"),
    (b"[{}],", "content.trailing", ""),
    (b"[1,2]", "content.rows", "row 1 is a number"),
    (b'[{},"oops"]', "content.rows", "row 2 is a string, not an object"),
    (b"[[1]]", "content.rows", "an array"),
    (b"[{}, null]", "content.rows", "null"),
    (b"[", "content.truncated", "breaks off after 1 bytes"),
    (b'[{"a":12', "content.truncated", "within row 1"),
    (b'[{"a":"\\', "content.truncated", ""),
    (b'[{"a":"\xe2\x82', "content.truncated", ""),
    (b"[{},", "content.truncated", "after row 1"),
    (b"", "content.empty", "empty"),
    (b" \r\n\t", "content.empty", "empty"),
    (b"\xef\xbb\xbf", "content.empty", "empty"),
    (b"\xef\xbb\xbf\xef\xbb\xbf[]", "content.other", ""),
    (b'{"message":"secret"}', "content.other", "a JSON object"),
    (b"null", "content.other", "a single JSON value"),
    (b"]", "content.other", ""),
    ("[{}]".encode("utf-16"), "content.other", "UTF-16"),
    ("[{}]".encode("utf-16-le"), "content.json", "0x00"),
    ("[{}]".encode("utf-16-be"), "content.other", "UTF-16"),
    (b"\0" * 2000, "content.other", "zero bytes"),
    (b"<!DOCTYPE html><html><head><title>Sign in</title>", "content.page", "an HTML page (its title is «Sign in»)"),
    (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "content.page",
        "an XML document (it says «AccessDenied»)",
    ),
    (b"upstream connect error", "content.other", "text (it begins with «upstream connect error»)"),
    (b"PK\x03\x04rest", "content.other", "workbook"),
    (b"\x1f\x8b\x08", "content.other", "gzip"),
]


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize(("data", "code", "words"), ODD, ids=lambda v: repr(v)[:30])
def test_what_is_wrong_is_told_and_the_same_however_it_is_cut(name, data, code, words):
    with mode(name):
        error = refusal(data)
        assert error.code == code
        assert words in error.message
        for size in (1, 2, 5):
            cut = refusal(data, size)
            assert (cut.code, cut.message) == (error.code, error.message)


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"[]", 0),
        (b" [ \n ] \r\n", 0),
        (b"[{}]", 1),
        (b"\xef\xbb\xbf [{}]", 1),
        (b" " * 5000 + b"[{}]" + b"\n" * 5000, 1),
        (b'[{"a":"\\ud83d"}]', 1),  # half an emoji: valid by the grammar, and what truncated subjects look like
        (b'[{"a":"\\udc00"}]', 1),
        (b'[{"a":1e999999999999}]', 1),
        (b'[{"a":-0.0E-0}]', 1),
        (b'[{"a":1,"a":2}]', 1),
        (b'[{"a":' + b"9" * 200_000 + b"}]", 1),
        (b'[{"a":0.' + b"1" * 200_000 + b"e-" + b"1" * 100_000 + b"}]", 1),
        (b'[{"a":"' + b"\\n\xc3\xa9x" * 50_000 + b'"}]', 1),
        (b'[{"' + b"k" * 100_000 + b'":1}]', 1),
    ],
    ids=lambda v: repr(v)[:25],
)
def test_what_is_valid_is_taken(name, data, rows):
    with mode(name):
        for size in (1, 3, 65536, len(data)) if len(data) < 20_000 else (1021, 65536, len(data)):
            assert count(data, size) == rows


@pytest.mark.parametrize("name", MODES)
def test_the_depth_is_capped_at_one_place_in_every_mode(name):
    with mode(name):
        for filler in (b"", b"{}," * 40_000):
            good = b"[" + filler + nested(MAX_DEPTH)[1:]
            bad = b"[" + filler + nested(MAX_DEPTH + 1)[1:]
            assert count(good, 9999) == 1 + filler.count(b"{}")
            assert "deeper than 1024 levels" in refusal(bad, 9999).message
            flat = b"[" * 1017 + b'{"a":{"b":[1,[2],[[3]]]}}' + b"]" * 1017  # the runs must not see beyond the cap
            assert count(b"[" + filler + b'{"a":' + flat + b"}]", 9999) == 1 + filler.count(b"{}")
            assert refusal(b"[" + filler + b'{"a":[' + flat + b"]}]", 9999).code == "content.json"


def test_a_bomb_of_brackets_ends_early():
    rows = JsonRows()
    rows.feed(b'[{"a":')
    with pytest.raises(ContentError, match="nested deeper"):
        rows.feed(b"[" * 70_000)


def realistic(rows: int, **extra: object) -> bytes:
    made = [
        {
            "id": f"r{i}",
            "subject": 'Größe, {[}], "x"',
            "n": i / 7,
            "tags": ["a", "b"],
            "msgs": [{"id": 1}, {"id": 2}],
            **extra,
        }
        for i in range(rows)
    ]
    return json.dumps(made, ensure_ascii=False).encode()


def test_whole_rows_are_only_glanced_at():
    data = realistic(5000)
    with patch.object(JsonScanner, "feed", autospec=True, side_effect=JsonScanner.feed) as exact:
        assert count(data, 50_000) == 5000
    assert sum(len(call.args[1]) for call in exact.call_args_list) < len(data) / 5


def test_after_an_odd_row_glances_suffice_again():
    rows = json.loads(realistic(5000))
    rows[100]["subject"] = "\ud83d"
    data = json.dumps(rows).encode()
    with patch.object(JsonScanner, "skip", autospec=True, side_effect=JsonScanner.skip) as skipped:
        assert count(data, 50_000) == 5000
    assert sum(call.args[1] for call in skipped.call_args_list) > len(data) / 2


@pytest.mark.parametrize("extra", [{"x": "\\ud83d"}, {"x": [[[[[[{"id": [1, {"id": 1}]}]]]]]]}], ids=["odd", "deep"])
def test_a_fault_deep_in_a_large_body_is_found_at_its_byte(extra):
    data = realistic(5000, **extra).replace(b"\\\\ud83d", b"\\ud83d")
    at = data.index(b'"r4321"')
    torn = data[:at] + b"\x01" + data[at + 1 :]
    assert count(data, 65536) == 5000
    error = refusal(torn, 65536)
    assert f"at byte {at:,}" in error.message
    assert "row 4,322" in error.message
    assert "Größe" not in error.message


def test_objects_between_arrays_are_found_in_whole_pieces():
    data = b"[" + b"{}," * 30_000 + b"[]," + b"{}," * 30_000 + b"{}]"
    assert "row 30,001 is an array" in refusal(data).message
