from __future__ import annotations

import errno
import io
import zipfile
from contextlib import suppress

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.content.workbook import check_workbook
from orchestrator.errors import ContentError


def workbook() -> bytes:
    book = openpyxl.Workbook()
    for i in range(50):
        book.active.append([i, f"row {i}", i / 7])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


WHOLE = workbook()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as target:
        for name, data in members:
            target.writestr(name, data)
    return out.getvalue()


def refusal(data: bytes) -> ContentError:
    with pytest.raises(ContentError) as caught:
        check_workbook(io.BytesIO(data))
    assert caught.value.hint
    return caught.value


def test_a_workbook_is_taken_and_its_rows_are_not_counted():
    assert check_workbook(io.BytesIO(WHOLE)) is None


def test_a_file_on_disk_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(WHOLE)
    with path.open("rb") as file:
        file.seek(100)
        assert check_workbook(file) is None


def test_cut_at_every_tenth_byte_it_is_refused():
    for end in range(4, len(WHOLE), 10):
        assert refusal(WHOLE[:end]).code == "content.truncated"


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "content.empty", "empty"),
        (b"<html><title>Sign in", "content.page", "«Sign in»"),
        (b'[{"a":1}]', "content.other", "a JSON array, not an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 99, "content.other", "password"),
        (archive(), "content.other", "an empty zip archive"),
        (archive(("a.txt", b"x")), "content.other", "not of an Excel workbook"),
        (archive(("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"x")), "content.other", "not of an Excel"),
        (WHOLE + b"<html>", "content.trailing", "stands more data"),
    ],
)
def test_what_is_wrong_is_told(data, code, words):
    error = refusal(data)
    assert error.code == code
    assert words in error.message


def test_a_comment_of_the_archive_is_no_trailing_data():
    out = io.BytesIO(WHOLE)
    with zipfile.ZipFile(out, "a") as target:
        target.comment = b"made by a tool"
    assert check_workbook(out) is None


def test_a_wrong_checksum_is_noticed():
    data = archive(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"some cells"), method=zipfile.ZIP_STORED)
    assert refusal(data.replace(b"some cells", b"some cellz")).code == "content.workbook"


def test_encrypted_parts_are_refused():
    data = bytearray(archive(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    assert "encrypted" in refusal(bytes(data)).message


def test_a_bomb_is_refused_before_it_is_unpacked():
    data = archive(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"\0" * 100_000_000))
    assert refusal(data).code == "content.bomb"


@given(at=st.integers(4, len(WHOLE) - 1), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_whatever_is_damaged_only_a_content_error_comes_out(tmp_path_factory, at, byte, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    path.write_bytes(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 + cut :])
    with path.open("rb") as file, suppress(ContentError):
        check_workbook(file)


def test_an_error_of_the_disk_stays_an_error_of_the_disk():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if 0 < self.tell() < 200:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        check_workbook(Failing(WHOLE))
