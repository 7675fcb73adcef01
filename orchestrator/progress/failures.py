"""Failed exports as people read them: those that failed for one and the same reason share its telling. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells
from rich.text import Text

from orchestrator.progress.words import GLUE, glued, label, printable

SHOWN = 10


def failures(failed: Sequence[Mapping[str, Any]], width: int, *, more: str) -> Iterator[Text]:
    """Lines about the first of `failed` exports (as reports have them); `more` says where the others are told."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    report_ids: dict[tuple[str, str, str], list[str]] = {}
    for export in failed[:SHOWN]:
        error = export["error"] or {"code": "error", "message": "no reason was kept", "hint": None}
        reason = (printable(error["code"]), printable(error["message"]), printable(error["hint"] or ""))
        groups.setdefault(reason, []).append(label(export["coordinates"]))
        report_ids.setdefault(reason, []).extend(map(printable, export["report_ids"]))
    for reason, names in groups.items():
        code, message, hint = reason
        yield from paragraph(f"FAILED {', '.join(names)}  [{code}]", width, indent=2, style="bold red")
        yield from paragraph(message, width, indent=4)
        if report_ids[reason]:
            yield from paragraph(f"report ids: {', '.join(report_ids[reason])}", width, indent=4)
        if hint:
            yield from paragraph(f"hint: {hint}", width, indent=4)
    if len(failed) > SHOWN:
        yield from paragraph(f"… and {len(failed) - SHOWN:,} more: {more}", width, indent=2)


def paragraph(text: str, width: int, *, indent: int = 0, style: str = "") -> Iterator[Text]:
    """Wrapped between words, every line of it indented. Paths, URLs and commands are there to be copied: they are never broken."""
    room = max(20, width - indent)
    line = ""
    for told in glued(text).split(" "):
        word = told.replace(GLUE, " ")
        # A piece of a word may be what a pipeline's runner obeys at the beginning of a line.
        pieces = [word] if "/" in word or GLUE in told else list(map(printable, chop_cells(word, room)))
        for piece in pieces or [""]:
            if line and cell_len(line) + 1 + cell_len(piece) > room:
                yield Text(" " * indent).append(line.rstrip(), style)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    yield Text(" " * indent).append(line.rstrip(), style)
