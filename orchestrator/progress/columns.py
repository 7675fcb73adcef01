"""The columns of a grid: one for each window, or for each label of another axis, under heads that a person can read. Pure.

    2023         2024                 2024-01                         2024-02
    JFMAMJJASOND JFMAMJJASOND         1   5    10   15   20   25   30 1   5    10   15   20   25

A column is one character wide and belongs to a group, whose head stands above it. What does not fit a line goes on in another
block of lines; or windows are put together by month, quarter or year, until they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from rich.cells import cell_len, set_cell_size

from orchestrator.job.periods import span

WIDEST_HEAD = 12
"""Cells of a head that is a label of an axis other than the windows."""
_COARSER = {
    "day": ("month", "quarter", "year"),
    "week": ("month", "quarter", "year"),
    "days": ("month", "quarter", "year"),
    "month": ("quarter", "year"),
    "quarter": ("year",),
    "year": (),
}


@dataclass(frozen=True, slots=True)
class Column:
    group: str
    """The head above it and its neighbours: `2024`, `2024-05`, `sales`."""
    place: int
    """Where it is in its group when nothing is missing: 4 for May."""
    tick: str = ""
    """A head of its own, if it has one: `M`, `15`."""
    told: bool = True
    """The tick is shown wherever there is room; else only where it begins a line."""


@dataclass(frozen=True, slots=True)
class Columns:
    all: Sequence[Column]
    of: Sequence[int]
    """For each label that was given, the number of its column."""
    together: str | None = None
    """`month`, `quarter` or `year` if a column stands for all windows of one; None if each has its own."""
    calendar: bool = False
    """The places of a group mean the same in all groups: the fifth is always May."""


@dataclass(frozen=True, slots=True)
class Block:
    """As many columns as fit side by side. Both heads are at most as wide as the slots."""

    groups: str
    ticks: str
    """Empty if no column has a head of its own."""
    slots: Sequence[int | None]
    """From left to right the numbers of columns; None for a blank."""


def of_labels(labels: Sequence[str]) -> Columns:
    """A column for each label, under a head of its own."""
    return Columns([Column(label, 0) for label in labels], range(len(labels)))


def of_windows(labels: Sequence[str]) -> Iterator[Columns]:
    """The windows of these labels in the calendar's order: first each by itself, then ever more of them together."""
    spans = [span(label) for label in labels]
    firsts = [each.first for each in spans if each is not None]
    if len(firsts) < len(labels):
        yield of_labels(labels)
        return
    kind = _kind(labels[0])
    # A week belongs where most of its days are.
    middles = [first + timedelta(days=3) for first in firsts] if kind == "week" else firsts
    yield _cut(kind, firsts)
    for coarser in _COARSER[kind]:
        yield _cut(coarser, middles, together=coarser)


def blocks(columns: Columns, room: int) -> list[Block]:
    """The columns in their order, in blocks at most `room` wide; a group is broken only if it alone is wider."""
    pieces: list[list[int]] = []
    for n, column in enumerate(columns.all):
        if pieces and columns.all[pieces[-1][0]].group == column.group and len(pieces[-1]) < room:
            pieces[-1].append(n)
        else:
            pieces.append([n])
    lines: list[list[tuple[list[int], int]]] = []
    used = room
    for piece in pieces:
        width = min(room, max(len(piece), cell_len(columns.all[piece[0]].group)))
        if lines and used + 1 + width <= room:
            lines[-1].append((piece, width))
            used += 1 + width
        else:
            lines.append([(piece, width)])
            used = width
    return [_block(columns.all, line) for line in lines]


def as_calendar(columns: Columns) -> tuple[Sequence[str], Columns, Sequence[int]]:
    """For one row that would take several blocks: the groups become rows, and their places the columns.

    Gives the rows' heads, the columns, and for each of the old columns its row.
    """
    groups = list(dict.fromkeys(column.group for column in columns.all))
    row_of = {group: n for n, group in enumerate(groups)}
    by_place = {column.place: replace(column, group="") for column in columns.all}
    places = sorted(by_place)
    at = {place: n for n, place in enumerate(places)}
    across = Columns([by_place[place] for place in places], [at[each.place] for each in columns.all])
    return groups, across, [row_of[column.group] for column in columns.all]


# --------------------------------------------------------------------------------------------------------- windows


def _cut(kind: str, firsts: Sequence[date], together: str | None = None) -> Columns:
    """Columns of one kind for windows that begin, or are put, on these days."""
    keys = [_CUTS[kind](first) for first in firsts]
    order = {key: n for n, key in enumerate(sorted(set(keys)))}
    found: list[Column] = []
    month = ""
    for group, place in order:
        if kind == "days":
            first = date.fromordinal(place)
            initial, month = _initial(first) if (named := f"{first:%Y-%m}") != month else "", named
            found.append(Column(group, place, initial))
        else:
            every = {"day": 5, "week": 10}.get(kind, 1)
            found.append(Column(group, place, _tick(kind, place), place == 0 or (place + 1) % every == 0))
    return Columns(found, [order[key] for key in keys], together, kind not in ("days", "year"))


def _kind(label: str) -> str:
    if ".." in label:
        return "days"
    if "W" in label:
        return "week"
    if "Q" in label:
        return "quarter"
    return {4: "year", 7: "month"}.get(len(label), "day")


_CUTS: dict[str, Callable[[date], tuple[str, int]]] = {
    "day": lambda first: (f"{first:%Y-%m}", first.day - 1),
    "days": lambda first: (f"{first.year:04}", first.toordinal()),
    "week": lambda first: (f"{first.isocalendar().year:04}", first.isocalendar().week - 1),
    "month": lambda first: (f"{first.year:04}", first.month - 1),
    "quarter": lambda first: (f"{first.year:04}", (first.month - 1) // 3),
    "year": lambda first: (f"{first.year:04}", 0),
}
"""Kind of column → the group of a day, and its place there."""


def _tick(kind: str, place: int) -> str:
    match kind:
        case "month":
            return "JFMAMJJASOND"[place]
        case "year":
            return ""
        case _:
            return str(place + 1)


def _initial(day: date) -> str:
    return _tick("month", day.month - 1)


# ---------------------------------------------------------------------------------------------------------- blocks


def _block(columns: Sequence[Column], line: Sequence[tuple[list[int], int]]) -> Block:
    slots: list[int | None] = []
    groups, ticks = [], []
    for piece, width in line:
        if slots:
            slots.append(None)
        slots += [*piece, *[None] * (width - len(piece))]
        groups.append(set_cell_size(columns[piece[0]].group, width))
        ticks.append(_ticks([columns[n] for n in piece]).ljust(width))
    return Block(" ".join(groups).rstrip(), " ".join(ticks).rstrip(), slots)


def _ticks(piece: Sequence[Column]) -> str:
    line = ""
    for n, column in enumerate(piece):
        # One of several characters needs a blank before it, and its room; single ones stand side by side.
        fits = n >= len(line) + (bool(line) and len(column.tick) > 1) and n + len(column.tick) <= len(piece)
        if fits and column.tick and (column.told or n == 0):
            line = line.ljust(n) + column.tick
    return line
