from __future__ import annotations

import gzip
import hashlib
import io
import json

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.content.checker import Checker, digest_file
from orchestrator.content.digest import Digest
from orchestrator.errors import ContentError

ROWS = json.dumps([{"id": i, "text": "é" * i} for i in range(30)]).encode()
PAGE = b"<!DOCTYPE html>\n<html><head><title>Please sign in</title></head>"


def workbook() -> bytes:
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    return out.getvalue()


def check(
    raw: bytes,
    format: str = "json",  # noqa: A002  the checker's word
    encoding: str | None = None,
    content_type: str | None = None,
    size: int = 7,
) -> tuple[bytes, tuple[int, int | None]]:
    checker = Checker(format, encoding, content_type)
    out = b"".join(piece for at in range(0, len(raw), size) for piece in checker.feed(raw[at : at + size]))
    return out, checker.finish()


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json; charset=utf-8", "application/octet-stream", "text/plain"]
)
def test_json_is_passed_on_and_counted(content_type):
    assert check(ROWS, content_type=content_type) == (ROWS, (len(ROWS), 30))


@given(size=st.integers(1, 400))
def test_what_is_stored_and_counted_is_the_decoded_file(size):
    raw = gzip.compress(ROWS)
    assert check(raw, encoding="gzip", size=size) == (ROWS, (len(ROWS), 30))
    assert check(raw, size=size) == (ROWS, (len(ROWS), 30))


def test_a_workbook_is_inspected_afterwards():
    data = workbook()
    assert check(data, "xlsx") == (data, (len(data), None))
    inspect = Checker("xlsx", None, None).inspect
    assert inspect is not None
    assert inspect(io.BytesIO(data)) is None
    assert Checker("json", None, None).inspect is None


def test_gzip_that_nobody_named_is_undone_for_json_only():
    with pytest.raises(ContentError, match="gzip data, not an Excel workbook"):
        check(gzip.compress(workbook()), "xlsx")
    assert check(gzip.compress(workbook()), "xlsx", "gzip")[0]


def test_resuming_goes_on_where_the_bytes_stopped_unless_they_are_encoded():
    checker = Checker("json", None, None)
    assert checker.resumable
    list(checker.feed(ROWS[:50]))
    assert checker.resumable
    list(checker.feed(ROWS[50:]))
    assert checker.finish() == (len(ROWS), 30)
    assert not Checker("json", "gzip", None).resumable
    unnamed = Checker("json", None, None)
    list(unnamed.feed(gzip.compress(ROWS)[:20]))
    assert not unnamed.resumable


@pytest.mark.parametrize("format", ["json", "xlsx"])
@pytest.mark.parametrize("filler", [b"", b" " * 3000])
@pytest.mark.parametrize("content_type", [None, "text/html; charset=UTF-8", "Application/XHTML+xml"])
def test_a_page_is_told_by_its_title(format, filler, content_type):  # noqa: A002  the checker's word
    with pytest.raises(ContentError) as caught:
        check(PAGE + filler, format, content_type=content_type)
    assert caught.value.code == "content.page"
    assert "«Please sign in»" in caught.value.message


def test_a_page_is_refused_before_it_has_ended():
    for format in ("json", "xlsx"):  # noqa: A001  the checker's word
        for content_type in (None, "text/html"):
            with pytest.raises(ContentError):
                list(Checker(format, None, content_type).feed(PAGE + b" " * 2000))


def test_what_calls_itself_html_is_refused_even_if_it_looks_right():
    with pytest.raises(ContentError, match="calls itself an HTML page") as caught:
        check(ROWS, content_type="text/html")
    assert "é" not in caught.value.message
    with pytest.raises(ContentError, match="calls itself an HTML page"):
        check(b"", content_type="text/html")


@pytest.mark.parametrize("format", ["json", "xlsx"])
def test_an_empty_body_is_told(format):  # noqa: A002  the checker's word
    with pytest.raises(ContentError, match="the body is empty"):
        check(b"", format)
    with pytest.raises(ContentError, match="the body is empty"):
        check(gzip.compress(b""), format, "gzip")


def test_a_torn_transport_is_told_before_torn_json():
    with pytest.raises(ContentError, match="gzip body breaks off"):
        check(gzip.compress(ROWS)[:-4], encoding="gzip")


def test_an_unknown_encoding_is_refused_at_once():
    with pytest.raises(ContentError) as caught:
        Checker("json", "br", None)
    assert caught.value.code == "content.encoding"


def test_a_lone_byte_is_no_json():
    with pytest.raises(ContentError):
        check(b"\x1f")


@pytest.mark.parametrize(
    ("data", "format", "rows"), [(ROWS, "json", 30), (workbook(), "xlsx", None)], ids=["json", "xlsx"]
)
def test_a_stored_file_is_read_again_with_the_same_checks(tmp_path, data, format, rows):  # noqa: A002  the checker's word
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        file.seek(3)
        assert digest_file(file, format) == Digest(len(data), hashlib.sha256(data).hexdigest(), rows)
    path.write_bytes(data[:-1])
    with path.open("rb") as file, pytest.raises(ContentError) as caught:
        digest_file(file, format)
    assert caught.value.code == "content.truncated"


def test_a_stored_file_is_not_decoded_again():
    with pytest.raises(ContentError, match="gzip data"):
        digest_file(io.BytesIO(gzip.compress(ROWS)), "json")
