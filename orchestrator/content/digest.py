"""What a whole, checked file holds. On its own, so that whoever only passes digests on imports no parser."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the stored (decoded) file. `rows` is None for a workbook that was not counted."""

    bytes: int
    sha256: str
    rows: int | None
