"""The check of a finished workbook (XLSX): a whole zip archive that holds one, every byte of it readable."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from typing import BinaryIO

from orchestrator.content.sniff import AGAIN_HINT, HEAD, mistaken
from orchestrator.errors import ContentError

WANTED = "an Excel workbook"
MAGIC = b"PK\x03\x04"
MAX_RATIO = 200
"""Unpacked bytes a byte of the file. Sheets of equal rows reach about a hundred."""

_FREE = 64 * 1024 * 1024
"""Below this many unpacked bytes no ratio is looked at."""
_BLOCK = 1024 * 1024
_END_RECORD = b"PK\x05\x06"
_END_RECORD_SIZE = 22
_END_REACH = _END_RECORD_SIZE + 0xFFFF  # the record and the longest comment
_ENCRYPTED = 0x1
_CONTENT_TYPES = "[Content_Types].xml"


def check_workbook(file: BinaryIO) -> int | None:
    """Reads the whole file, which must be seekable. Gives the number of rows, which today is always None: unknown.

    A sheet's rows are no rows of the export as long as nobody says how many of them are headings.
    Raises `ContentError`: those of `sniff.mistaken`, `content.truncated`, `content.trailing`, `content.bomb`,
    `content.workbook`.
    """
    file.seek(0)
    head = file.read(HEAD)
    if not head.startswith(MAGIC):
        raise mistaken(head, WANTED)
    _check_end(file)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_parts(archive.infolist(), file.seek(0, 2))
            for member in archive.infolist():
                _read_through(archive, member)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, struct.error, ValueError, OverflowError):
        raise _damaged("its archive can't be read, or a checksum is wrong") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a seek to before the file: the archive's own doing, not the disk's
            raise
        raise _damaged("its archive points outside the file") from None
    return None


def _check_end(file: BinaryIO) -> None:
    # zipfile looks for the end record anywhere in the last 64 KiB, and so overlooks a page glued behind it.
    file.seek(max(0, file.seek(0, 2) - _END_REACH))
    tail = file.read(_END_REACH)
    record = tail.rfind(_END_RECORD)
    end = record + _END_RECORD_SIZE + int.from_bytes(tail[record + 20 : record + 22], "little")
    if record < 0 or end > len(tail):
        raise ContentError(
            "the workbook breaks off: the end of its archive is missing",
            hint="The transfer was cut, or the service wrote half a file. Run again to fetch it anew.",
            code="content.truncated",
        )
    if end < len(tail):
        raise ContentError("behind the end of the workbook stands more data", hint=AGAIN_HINT, code="content.trailing")


def _check_parts(members: list[zipfile.ZipInfo], size: int) -> None:
    names = {member.filename for member in members}
    if _CONTENT_TYPES not in names or not any(name.lower().endswith("workbook.xml") for name in names):
        raise ContentError(
            "the body is a zip archive, but not of an Excel workbook", hint=AGAIN_HINT, code="content.other"
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise _damaged("parts of it are encrypted")
    unpacked = sum(member.file_size for member in members)
    if unpacked > _FREE and unpacked > MAX_RATIO * size:
        raise ContentError(
            f"the workbook swells more than {MAX_RATIO}-fold: {size:,} bytes would give {unpacked:,}",
            hint="No export looks like that. It was not stored; report it to the service.",
            code="content.bomb",
        )


def _read_through(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    # At the end of a member zipfile compares the checksum. It gives no more bytes than the size declared.
    with archive.open(member) as part:
        while part.read(_BLOCK):
            pass


def _damaged(what: str) -> ContentError:
    return ContentError(f"the workbook is damaged: {what}", hint=AGAIN_HINT, code="content.workbook")
