"""The grid of a job: axis × window, a mark a cell. Pure: coordinates and marks in, lines of text out.

                 2023         2024
                 JFMAMJJASOND JFMAMJJASOND
        support  ■■■■■■■■■■■■ ■■■■■■✗■~~·○
        sales         ■■■■■■■ ■■■■■■■■■■·○
        … and 212 more, all stored

How to use it:

    grid = Grid([export.coordinates for export in exports])    # once
    lines = grid.lines(marks, width, height)                   # as often as wanted; `marks` in the order of the cells
    lines += legend(Counter(marks), width)                     # ■ 690 stored   ✗ 6 failed   · 24 to run

Rows are all axes but the windows, columns the windows (`columns.py`). Where there is one window only, another axis goes
across; where one axis alone has several labels, they are listed, each with its mark. A mark is understood without its colour,
and has a form for terminals that know ASCII alone. Cost is linear in the cells.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.progress.columns import (
    WIDEST_HEAD,
    Columns,
    as_calendar,
    blocks,
    of_labels,
    of_windows,
)
from orchestrator.progress.words import printable

WIDEST_LABEL = 32
"""Cells of a row's label; on a narrow terminal a third of the width."""
ALIKE = 3
"""Rows that are all alike and are shown where not all rows fit: enough to see what they are."""
LEAST = 6
"""Lines below which no height makes a grid shrink."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """What a cell shows. Compared by identity: make one once, as a constant."""

    word: str
    """As the legend says it: `failed`."""
    sign: str
    ascii: str
    style: str
    rank: int
    """Of several in one place the one with the greatest rank shows."""


FAILED = Mark("failed", "✗", "x", "bold red", 80)
REFUSED = Mark("refused", "!", "!", "red", 70)
IN_FLIGHT = Mark("in flight", "~", "~", "bold", 60)
REPLACE = Mark("to replace", "↻", "r", "bold", 50)
TO_RUN = Mark("to run", "·", ".", "", 40)
RENAME = Mark("to rename", "→", ">", "", 30)
NOT_SETTLED = Mark("not settled", "○", "o", "dim", 20)
"""Its window has not ended."""
STORED = Mark("stored", "■", "#", "green", 10)


class Grid:
    """The cells of a job, laid out once; `lines` paints them.

    `cells` are the coordinates, (axis, label) pairs in the order of the matrix, all with the same axes.
    """

    def __init__(self, cells: Iterable[Iterable[tuple[str, str]]]) -> None:
        coordinates = [dict(cell) for cell in cells]
        labels: dict[str, dict[str, int]] = {}
        for cell in coordinates:
            for axis, label in cell.items():
                known = labels.setdefault(axis, {})
                known.setdefault(label, len(known))
        several = [axis for axis, known in labels.items() if len(known) > 1]
        across = _across(several, labels)
        down = [axis for axis in several if axis != across]
        self._rows: dict[tuple[str, ...], int] = {}
        self._row_of = [
            self._rows.setdefault(tuple([cell.get(axis, "") for axis in down]), len(self._rows)) for cell in coordinates
        ]
        self._labels = [printable(" ".join(filter(None, row))) for row in self._rows]
        if not several and coordinates:
            self._labels = [printable(" ".join(coordinates[0].values()))]
        self._levels: list[tuple[Columns, list[int]]] = []
        """For each way to put windows together: the columns, and each cell's column."""
        if across is not None:
            heads = list(labels[across])
            found = list(of_windows(heads)) if across == "window" else [of_labels(_heads(heads))]
            numbers = [labels[across][cell[across]] for cell in coordinates]
            self._levels = [(columns, [columns.of[n] for n in numbers]) for columns in found]

    def lines(
        self, marks: Sequence[Mark], width: int, height: int | None = None, *, ascii_only: bool = False
    ) -> list[Text]:
        """The grid, no line wider than `width` cells, and at most `height` lines of it (None: as many as it takes).

        `marks` are those of the cells, in their order. To fit a height, rows that are all alike are told by
        their number; then windows are put together, their worst mark showing; then other rows are told by their counts.
        """
        if not self._row_of:
            return []
        height = max(LEAST, height) if height is not None else None
        if not self._levels:
            lines = self._list(marks, width, height, ascii_only=ascii_only)
        else:
            lines = self._table(marks, width, height, ascii_only=ascii_only)
        for line in lines:
            line.no_wrap = True
            line.truncate(width)
        return lines

    def _table(self, marks: Sequence[Mark], width: int, height: int | None, *, ascii_only: bool) -> list[Text]:
        labels, row_of = self._labels, self._row_of
        margin = _margin(labels, width)
        columns, column_of = self._levels[0]
        if len(labels) == 1 and columns.calendar and len(blocks(columns, max(1, width - margin))) > 1:
            heads, columns, rows = as_calendar(columns)
            labels = list(heads)
            row_of = [rows[n] for n in column_of]
            column_of = [columns.of[n] for n in column_of]
            margin = _margin(labels, width)
            laid = blocks(columns, max(1, width - margin))
        else:
            columns, column_of = self._fitting(width - margin, height, marks)
            if ascii_only:
                groups = [replace(column, group=_encoded(column.group, ascii_only=True)) for column in columns.all]
                columns = replace(columns, all=groups)
            laid = blocks(columns, max(1, width - margin))
        table: list[list[Mark | None]] = [[None] * len(columns.all) for _ in labels]
        for row, column, mark in zip(row_of, column_of, marks, strict=True):
            before = table[row][column]
            if before is None or mark.rank > before.rank:
                table[row][column] = mark
        above = sum(bool(block.groups) + bool(block.ticks) for block in laid) + len(laid) - 1
        note = columns.together is not None
        most = None if height is None else max(1, (height - above - note) // len(laid))
        shown, more = _chosen(len(labels), row_of, marks, most=most, width=width)
        labels = [_fitted(label, margin - 2, ascii_only=ascii_only) if margin else "" for label in labels]
        lines: list[Text] = []
        for n, block in enumerate(laid):
            lines += [Text()] if n else []
            lines += [Text(" " * margin + head, "bold") for head in (block.groups, block.ticks) if head]
            for row in shown:
                line = Text(labels[row] + "  " if margin else "")
                _paint(line, [table[row][slot] if slot is not None else None for slot in block.slots], ascii_only)
                lines.append(line)
        lines += [Text(_encoded(told, ascii_only=ascii_only), "dim") for told in more]
        if note:
            lines.append(Text(f"(a mark is the worst of its {columns.together})", "dim"))
        return lines

    def _fitting(self, room: int, height: int | None, marks: Sequence[Mark]) -> tuple[Columns, list[int]]:
        """The finest columns with which all rows fit the height, or all that are not alike; else the finest in one block."""
        if height is None:
            return self._levels[0]
        kinds = _kinds(len(self._rows), self._row_of, marks)
        mixed = sum(len(each) > 1 for each in kinds)
        rows = min(len(kinds), mixed + ALIKE + len({next(iter(each)) for each in kinds if len(each) == 1}))
        counts = [len(blocks(columns, max(1, room))) for columns, _ in self._levels]
        for level, count in zip(self._levels, counts, strict=True):
            if count * (rows + 3) - 1 <= height:
                return level
        return next((level for level, count in zip(self._levels, counts, strict=True) if count == 1), self._levels[-1])

    def _list(self, marks: Sequence[Mark], width: int, height: int | None, *, ascii_only: bool) -> list[Text]:
        """One axis alone: its labels side by side, each with its mark."""
        labels = self._labels
        widest = min(
            max(cell_len(_encoded(label, ascii_only=ascii_only)) for label in labels), WIDEST_LABEL, max(4, width - 2)
        )
        abreast = max(1, (width + 3) // (widest + 5))
        most = None if height is None else max(1, height * abreast)
        shown, more = _chosen(len(labels), self._row_of, marks, most=most, width=width, abreast=abreast)
        mark_of = dict(zip(self._row_of, marks, strict=True))
        lines: list[Text] = []
        for n, row in enumerate(shown):
            if n % abreast == 0:
                lines.append(Text())
            else:
                lines[-1].append("   ")
            _paint(lines[-1], [mark_of[row]], ascii_only)
            lines[-1].append(f" {_fitted(labels[row], widest, ascii_only=ascii_only)}")
        for line in lines:
            line.rstrip()
        return lines + [Text(_encoded(told, ascii_only=ascii_only), "dim") for told in more]


def legend(counts: Mapping[Mark, int], width: int, *, ascii_only: bool = False) -> list[Text]:
    """What the marks mean and how many cells have each: `✗ 6 failed   · 24 to run   ■ 690 stored`."""
    lines: list[Text] = []
    for mark in sorted((mark for mark, n in counts.items() if n), key=lambda mark: -mark.rank):
        piece = Text.assemble((mark.ascii if ascii_only else mark.sign, mark.style), f" {counts[mark]:,} {mark.word}")
        if lines and lines[-1].cell_len + 3 + piece.cell_len <= width:
            lines[-1].append("   ").append_text(piece)
        else:
            lines.append(Text().append_text(piece))
    return lines


def _across(several: Sequence[str], labels: Mapping[str, Mapping[str, int]]) -> str | None:
    """The axis whose labels are columns; None if there is but one axis, and it is not the windows."""
    if "window" in several:
        return "window"
    return min(several, key=lambda axis: len(labels[axis])) if len(several) > 1 else None


def _heads(labels: Iterable[str]) -> list[str]:
    """Labels as heads of columns, told apart by a number where they begin alike."""
    found = [printable(label) for label in labels]
    cut = [set_cell_size(each, WIDEST_HEAD) if cell_len(each) > WIDEST_HEAD else each for each in found]
    seen = Counter(cut)
    return [f"{n + 1}:{head[: WIDEST_HEAD - 4]}" if seen[head] > 1 else head for n, head in enumerate(cut)]


def _encoded(text: str, *, ascii_only: bool) -> str:
    return text.replace("…", "..").encode("ascii", "backslashreplace").decode("ascii") if ascii_only else text


def _fitted(label: str, cells: int, *, ascii_only: bool) -> str:
    """Exactly as wide as that, an ellipsis where something is cut off."""
    label = _encoded(label, ascii_only=ascii_only)
    if cell_len(label) <= cells:
        return set_cell_size(label, cells)
    more = _encoded("…", ascii_only=ascii_only)
    return set_cell_size(label, cells - len(more)) + more


def _margin(labels: Sequence[str], width: int) -> int:
    """The cells that rows' labels take, two blanks included."""
    widest = min(max(map(cell_len, labels)), WIDEST_LABEL, max(4, width // 3))
    return widest + 2 if widest else 0


def _paint(line: Text, marks: Iterable[Mark | None], ascii_only: bool) -> None:
    """Adds the marks, those of one style in one go."""
    run, style = "", ""
    for mark in marks:
        if mark is None:
            run += " "
            continue
        if mark.style != style:
            line.append(run, style)
            run, style = "", mark.style
        run += mark.ascii if ascii_only else mark.sign
    line.append(run.rstrip(), style)


def _chosen(
    rows: int, row_of: Sequence[int], marks: Sequence[Mark], *, most: int | None, width: int, abreast: int = 1
) -> tuple[list[int], list[str]]:
    """The rows that are shown, in their order, and what is told of the others. `most` counts both; a line has `abreast`."""
    if most is None or rows <= most:
        return list(range(rows)), []
    kinds = _kinds(rows, row_of, marks)
    # What differs is what a person looks for, the worst of it first; rows that are all alike can be told in a word.
    order = sorted(range(rows), key=lambda row: (len(kinds[row]) == 1, -max(mark.rank for mark in kinds[row])))
    kept = min(most, sum(len(each) > 1 for each in kinds) + ALIKE * abreast)
    while True:
        more = [line for told in _told(kinds[row] for row in order[kept:]) for line in textwrap.wrap(told, width)]
        fitting = max(0, most - len(more) * abreast)
        if kept <= fitting:
            return sorted(order[:kept]), more
        kept = min(kept - 1, fitting)


def _kinds(rows: int, row_of: Sequence[int], marks: Sequence[Mark]) -> list[Counter[Mark]]:
    """For each row, how many of its cells have which mark."""
    kinds: list[Counter[Mark]] = [Counter() for _ in range(rows)]
    for row, mark in zip(row_of, marks, strict=True):
        kinds[row][mark] += 1
    return kinds


def _told(rows: Iterable[Mapping[Mark, int]]) -> list[str]:
    alike: Counter[Mark] = Counter()
    mixed: Counter[Mark] = Counter()
    n = 0
    for kinds in rows:
        if len(kinds) == 1:
            alike.update(kinds.keys())
        else:
            n += 1
            mixed.update(kinds)
    found = [f"… and {count:,} more, all {mark.word}" for mark, count in _worst_first(alike)]
    if n:
        counts = ", ".join(f"{count:,} {mark.word}" for mark, count in _worst_first(mixed))
        found.insert(0, f"… and {n:,} more: {counts}")
    return found


def _worst_first(counts: Mapping[Mark, int]) -> list[tuple[Mark, int]]:
    return sorted(counts.items(), key=lambda each: -each[0].rank)
