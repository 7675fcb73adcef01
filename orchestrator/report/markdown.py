"""A run record as GitHub flavoured Markdown: for a step summary, a comment, a chat. Pure.

Foreign text (labels, messages, paths) can't become markup, a mention or another cell: see `foreign`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.progress.words import count, label, printable, size, took
from orchestrator.report.record import (
    STANDINGS,
    Export,
    Failure,
    Story,
    failures,
    grid,
    seconds_taken,
    standing,
    story,
    stretches,
)

NAMES_SHOWN = 20
"""Exports that are named of those that failed for one reason."""
COLUMNS = 12
"""Windows that have a column each; more of them stand in one cell, year by year."""
MARKS = 31
"""Windows in one cell: years, or months of days."""
LONGEST = 600
"""Characters of one message."""
_HEADLINE = {"succeeded": "✅", "failed": "❌", "parked": "⏸️"}

_MARKUP = re.compile(
    r"[\\`*_\[\]<>|~&$#@!]|:(?=//)"
)  # what means something within a line; foreign text never begins one
_CODE = re.compile(r"`([^`]+)`|(\S*(?:@|#\d)\S*)")


def render(record: Mapping[str, Any], *, limit: int) -> str:
    """The run as Markdown of at most `limit` bytes of UTF-8: outcome and counts, failures with cause and hint, grid, figures.

    Nothing is torn: what does not fit is left out by the entry or the line, and that is told. `exports` of `record` may be
    a list that makes its entries as they are read.
    """
    told = story(record)
    groups = failures(record["exports"])
    head, tail = "\n".join(_head(record, told)), "\n".join(_figures(record, told))
    room = limit - _bytes(head, tail)
    if room < 0:
        return "\n".join(_fitting(head.splitlines(), limit, "(cut to fit)"))
    failed = "\n".join(_fitting(map(_failure, groups), room * 2 // 3, "- … and more failures: the list is cut to fit"))
    failed = f"\n### Failures\n\n{failed}" if failed else ""
    cells = "\n".join(_fitting(_grid(record), room - _bytes(failed), "\n(the grid is cut to fit)"))
    return "\n".join(text for text in (head, failed, cells, tail) if text)


def foreign(text: str, longest: int = LONGEST) -> str:
    """`text` for any place within a line of Markdown, also in a table's cell: read as it is, on one line, cut at `longest`."""
    text = printable(text).strip() or ("(unprintable)" if text else "")
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    pieces, end = [], 0
    for code in _CODE.finditer(text):  # GitHub links mentions and issue numbers wherever they stand but in code
        pieces += [_escaped(text[end : code.start()]), f"<code>{_escaped(code[1] or code[2])}</code>"]
        end = code.end()
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    # Entities for what HTML or a table would take before Markdown's own escapes are looked at.
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}
    return _MARKUP.sub(lambda found: entities.get(found[0]) or f"\\{found[0]}", text)


def _bytes(*lines: str) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _fitting(blocks: Iterable[str], room: int, note: str) -> list[str]:
    """All `blocks` if they fit into `room` bytes; else as many whole ones as do, and `note` to tell it."""
    all_of_them = list(blocks)
    if _bytes(*all_of_them) <= room:
        return all_of_them
    left = room - _bytes(note)
    kept = []
    for block in all_of_them:
        left -= _bytes(block)
        if left < 0:
            break
        kept.append(block)
    return [*kept, note] if _bytes(note) <= room else []


def _head(record: Mapping[str, Any], told: Story) -> Iterator[str]:
    yield f"## {_HEADLINE.get(record['outcome'], '🛑')} {foreign(told.headline)}"
    if told.why:
        yield f"\n**Why:** {foreign(told.why)}"
    if told.next_step:
        yield f"\n**Next:** {foreign(told.next_step)}"
    if told.counts:
        names = [STANDINGS[name] for name in told.counts]
        yield ""
        yield f"| {' | '.join(f'{each.mark} {each.words}' for each in names)} | exports |"
        yield "| ---: " * (len(names) + 1) + "|"
        yield f"| {' | '.join(f'{n:,}' for n in told.counts.values())} | {sum(told.counts.values()):,} |"


def _failure(group: Failure) -> str:
    names = [label(export["coordinates"]) for export in group.exports]
    ids = [report_id for export in group.exports[:NAMES_SHOWN] for report_id in export["report_ids"]]
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    lines = [
        f"- ❌ **{', '.join(foreign(name, 80) for name in names[:NAMES_SHOWN])}{more}** (`{_code(group.code)}`)",
    ]
    told = (("what" if group.cause else "cause", group.message), ("cause", group.cause), ("hint", group.hint))
    lines += [f"  - {name}: {foreign(text)}" for name, text in told if text]
    if ids:
        lines.append(f"  - report ids: {', '.join(foreign(each, 80) for each in ids[:NAMES_SHOWN])}")
    return "\n".join(lines)


def _code(text: str) -> str:
    return re.sub(r"[^\w.-]", "", text)


def _grid(record: Mapping[str, Any]) -> Iterator[str]:
    cells = grid(record["exports"])
    if not cells.rows:
        return
    yield "\n### Grid\n"
    used = {standing(export) for row in cells.rows.values() for export in row.values()}
    yield f"{' · '.join(f'{each.mark} {each.words}' for each in STANDINGS.values() if each in used)}\n"
    if len(cells.windows) <= COLUMNS:
        yield f"| | {' | '.join(foreign(window, 80) for window in cells.windows)} |"
        yield "| --- " + "| :---: " * len(cells.windows) + "|"
        for name, row in cells.rows.items():
            yield f"| {foreign(name, 80)} | {' | '.join(_mark(row, window) for window in cells.windows)} |"
        return
    yield "| | windows | |"
    yield "| --- | --- | --- |"
    for name, row in cells.rows.items():
        for windows in stretches(cells.windows, MARKS):
            span = " to ".join(dict.fromkeys(foreign(window, 80) for window in (windows[0], windows[-1])))
            yield f"| {foreign(name, 80)} | {span} | {''.join(_mark(row, window) or '➖' for window in windows)} |"


def _mark(row: Mapping[str, Export], window: str) -> str:
    export = row.get(window)
    return standing(export).mark if export is not None else ""


def _figures(record: Mapping[str, Any], told: Story) -> Iterator[str]:
    api, counts = record["api"], record["counts"]
    seconds = took(seconds_taken(record))
    yield "\n### Figures\n"
    if counts["stored"]:
        rows = f", {count(record['rows'], 'row')}" if record["rows"] else ""
        yield f"- {size(record['bytes'])}{rows} stored in {seconds}"
    else:
        yield f"- nothing was stored; it took {seconds}"
    yield (
        f"- requests: {count(api['posts'], 'creation')}, {count(api['polls'], 'poll')}, "
        f"{api['throttled']:,} throttled (429), {count(api['errors'], 'error')}"
    )
    if told.limits:
        yield f"- limits found: {told.limits}"
    if api["possible_duplicates"]:
        yield f"- {count(api['possible_duplicates'], 'possible duplicate')} on the service: creations without a readable answer"
    run_id = f"run {foreign(record['run_id'])}, " if record["run_id"] else ""
    began, ended = (foreign(record[name][:19].replace("T", " ")) for name in ("started_at", "finished_at"))
    yield f"\n<sub>{run_id}{began} to {ended} UTC</sub>"
