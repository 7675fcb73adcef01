"""The shapes of a report's pictures: the grid of windows, the stages of each export, requests over time. Pure.

Shapes only: paths and places in pixels of a picture `WIDTH` wide. Words and colours are the page's. Everything of one kind
is one path, because some thousand elements would make a page heavy, and adjoining thin bars of several paths would let
the background through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from orchestrator.progress.words import label, span
from orchestrator.report.record import Export, grid, standing, stretches

WIDTH = 1000
GUTTER = 150
"""For the labels to the left."""
CELLS = (9.0, 28.0)
"""Sides of a cell, at least and at most."""
ACROSS = int((WIDTH - GUTTER) / CELLS[0])
"""Windows side by side in a grid; more of them go below each other, by years or by months."""
TALLEST = 640.0
"""Height that no picture exceeds for the sake of looks."""
BAR = 18.0
"""Height of an export's bar where there is room; with its label it needs `LABELLED`."""
LABELLED = 12.0
SHARES = 14.0
"""Height of the bar of shares."""
BARS = 2500
"""Exports in the picture of stages, at most."""
POINTS = 240
"""Moments in the picture of stages over time."""
LETTER = 6.2
"""Width of a letter of the smallest type."""
CHART = 150.0
"""Height of the picture of requests."""
MARKS = 14.0
"""Of it, for the marks above."""
STAGES = {
    "queued": "queued: for a place at Loop, or for its turn",
    "service": "at Loop",
    "notice": "at Loop, or finished and not noticed yet",
    "ready": "finished, waiting for a download to end",
    "transfer": "download, check, store",
}
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of cells: its paths by standing, and the number of the export in each cell (None where there is none)."""

    label: str
    y: float
    paths: Mapping[str, str]
    exports: Sequence[int | None]


@dataclass(slots=True)
class GridPicture:
    side: float
    height: float = 0.0
    years: list[tuple[float, Tick]] = field(default_factory=list)
    """Of each column that begins a year: its height, place and label. `columns` has the rest of the labels."""
    columns: list[tuple[float, Tick]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def draw_grid(exports: Sequence[Export]) -> GridPicture:
    """Windows across, the other axes down; in several bands below each other where there are many windows."""
    numbers = {export["key"]: n for n, export in enumerate(exports)}
    cells = grid(exports)
    bands = _packed(stretches(cells.windows, ACROSS))
    widest, lines = max(map(len, bands), default=1), max(1, len(bands) * len(cells.rows))
    side = max(CELLS[0], min(CELLS[1], (WIDTH - GUTTER) // widest, TALLEST // lines))
    picture = GridPicture(side)
    y = 0.0
    alone = len(cells.rows) == 1 and len(bands) > 1
    for n, band in enumerate(bands):
        if not alone:
            y += 8.0 if n else 0.0
            _head(picture, band, y)
            y += 30.0
        for name, row in cells.rows.items():
            found = [row.get(window) for window in band]
            exports_of_row = [numbers[export["key"]] if export is not None else None for export in found]
            paths: dict[str, str] = {}
            for column, export in enumerate(found):
                if export is not None:
                    kind = standing(export).name
                    x = GUTTER + column * side
                    paths[kind] = paths.get(kind, "") + _mark(kind, x, y, side - 2)
                    if kind == "failed":
                        paths["cross"] = paths.get("cross", "") + _cross(x, y, side - 2)
            title = f"{name} {band[0]}".strip() if alone else name
            picture.rows.append(Row(title, y, paths, exports_of_row))
            y += side
    picture.height = y
    return picture


def _packed(bands: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    """As many of them side by side as there is room for."""
    packed: list[list[str]] = []
    for band in bands:
        if packed and len(packed[-1]) + len(band) <= ACROSS:
            packed[-1].extend(band)
        else:
            packed.append(list(band))
    return list(packed)


def _head(picture: GridPicture, windows: Sequence[str], y: float) -> None:
    """Years above, what follows the year below, as far as it finds room."""
    year, free = "", 0.0
    for n, window in enumerate(windows):
        x = GUTTER + n * picture.side
        if window[:4] != year:
            year = window[:4]
            picture.years.append((y + 10, Tick(x, year)))
        rest = window[5:]
        if rest and x >= free:
            picture.columns.append((y + 24, Tick(x, rest)))
            free = x + LETTER * len(rest) + 4


def _mark(kind: str, x: float, y: float, side: float) -> str:
    """Each standing has a form of its own, so that colour is not needed to tell them apart (the cross comes on top)."""
    third, rim = side / 3, max(1.5, side / 8)
    match kind:
        case "pending":
            return _square(x, y, side) + _hole(x + rim, y + rim, side - 2 * rim)
        case "kept":
            return _square(x, y, side) + _hole(x + third, y + third, third)
        case "waiting":
            return _square(x + side / 4, y + side / 4, side / 2)
        case "renamed":
            return f"M{_n(x)} {_n(y)}v{_n(side)}h{_n(side)}z"
        case _:
            return _square(x, y, side)


def _square(x: float, y: float, side: float) -> str:
    return _bar(x, y, side, side)


def _hole(x: float, y: float, side: float) -> str:
    return f"M{_n(x)} {_n(y)}v{_n(side)}h{_n(side)}v{_n(-side)}z"


def _cross(x: float, y: float, side: float) -> str:
    inset = side / 4
    arm = side - 2 * inset
    return f"M{_n(x + inset)} {_n(y + inset)}l{_n(arm)} {_n(arm)}m0 {_n(-arm)}l{_n(-arm)} {_n(arm)}"


def _bar(x: float, y: float, width: float, height: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


# ------------------------------------------------------------------------------------------------------------- stages


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the picture of stages: the number of its export, and its label if there is room."""

    number: int
    label: str
    y: float


@dataclass(slots=True)
class StagesPicture:
    height: float
    row: float
    """Height of a line."""
    aligned: bool
    """Lines begin with their creation, the longest first; else all begin with the run, in the order of their creation."""
    bars: list[Bar]
    left_out: int
    """Exports that are not drawn: the shortest."""
    cut: int
    """Lines that are longer than the picture is wide."""
    paths: Mapping[str, str]
    """By stage; `cross` where one failed."""
    ticks: list[Tick]
    means: Mapping[str, float]
    """Seconds that an export spent in each stage on average."""
    shares: Mapping[str, str]
    """Of the time since its creation, as paths beside each other over the whole width."""


def spans(export: Export, seconds: float) -> Iterator[tuple[str, float, float]]:
    """The stages of an export in a run of so many `seconds`: name, begin and end in seconds since the run began."""
    for (name, begin), (_, end) in pairwise([*(export.get("stages") or ()), ("end", seconds)]):
        if name in STAGES and min(end, seconds) > begin:
            yield name, begin, min(end, seconds)


@dataclass(frozen=True, slots=True)
class _Way:
    """What became of an export over the run."""

    number: int
    export: Export
    spans: Sequence[tuple[str, float, float]]

    @property
    def created(self) -> float:
        return next((begin for name, begin, _ in self.spans if name != "queued"), self.spans[-1][2])

    @property
    def ended(self) -> float:
        return self.spans[-1][2]


def draw_stages(exports: Sequence[Export], seconds: float) -> StagesPicture | None:
    """A bar an export; None if the record knows no stages."""
    ways = [_Way(n, export, found) for n, export in enumerate(exports) if (found := list(spans(export, seconds)))]
    created = [way for way in ways if way.created < way.ended]
    aligned = len(created) > TALLEST / LABELLED
    shown, length, tallest = sorted(ways, key=lambda way: way.created), seconds, TALLEST
    if aligned:
        shown = sorted(created, key=lambda way: way.created - way.ended)[:BARS]
        # A few that were made anew again and again would press all others against the edge.
        usual = shown[len(shown) // 50]
        length = min(shown[0].ended - shown[0].created, (usual.ended - usual.created) * 1.5)
        tallest = TALLEST * 2 / 3
    if not shown:
        return None
    row = min(BAR, tallest / len(shown))
    gap = row / 6 if row > 4 else 0.0
    scale = (WIDTH - GUTTER) / (length or 1.0)
    paths: dict[str, list[str]] = {name: [] for name in (*STAGES, "cross")}
    for line, way in enumerate(shown):
        y, zero = line * row, way.created if aligned else 0.0
        for name, begin, end in way.spans:
            if zero <= begin < zero + length:
                width = min(end - begin, zero + length - begin)
                paths[name].append(_thin(GUTTER + (begin - zero) * scale, y, width * scale, row - gap))
        if way.export["state"] == "failed" and way.ended - zero <= length:
            paths["cross"].append(_cross(GUTTER + (way.ended - zero) * scale - 2, y + (row - gap) / 2 - 8, 16))
    totals = {name: sum(e - b for way in ways for each, b, e in way.spans if each == name) for name in STAGES}
    return StagesPicture(
        height=len(shown) * row,
        row=row,
        aligned=aligned,
        bars=[
            Bar(way.number, "" if aligned else label(way.export["coordinates"]), line * row)
            for line, way in enumerate(shown)
        ],
        left_out=len(created) - len(shown) if aligned else 0,
        cut=sum(way.ended - way.created > length for way in shown) if aligned else 0,
        paths={name: "".join(path) for name, path in paths.items() if path},
        ticks=ticks(length),
        means={name: total / len(ways) for name, total in totals.items() if total},
        shares=_shares(totals),
    )


def _shares(totals: Mapping[str, float]) -> Mapping[str, str]:
    made = {name: total for name, total in totals.items() if total and name != "queued"}
    whole, x = sum(made.values()), 0.0
    shares = {}
    for name, total in made.items():
        shares[name] = _bar(x, 0, total / whole * WIDTH, SHARES)
        x += total / whole * WIDTH
    return shares


def _thin(x: float, y: float, width: float, height: float) -> str:
    # Two decimals: lines of a picture of some thousand exports are a third of a pixel high.
    return f"M{x:.1f} {y:.2f}h{max(width, 0.3):.1f}v{height:.2f}h{-max(width, 0.3):.1f}z"


# ---------------------------------------------------------------------------------------------------------- over time


@dataclass(frozen=True, slots=True)
class TimePicture:
    """Something over the run's time, stacked."""

    paths: Mapping[str, str]
    levels: list[Tick]
    """Lines across: their height and what they stand for."""
    most: float


def draw_load(exports: Sequence[Export], seconds: float) -> TimePicture | None:
    """Exports that were in each stage at once, but for those not created yet; None if the record knows no stages."""
    width = (seconds or 1.0) / POINTS
    counts = {name: [0.0] * POINTS for name in STAGES if name != "queued"}
    for export in exports:
        for name, begin, end in spans(export, seconds):
            if name == "queued":
                continue
            for n in range(int(begin / width), min(POINTS, int(end / width) + 1)):
                counts[name][n] += (min(end, (n + 1) * width) - max(begin, n * width)) / width
    most = max(map(sum, zip(*counts.values(), strict=True)))
    if not most:
        return None
    top, levels = _scale(most, CHART)
    paths, below = {}, [0.0] * POINTS
    step = (WIDTH - GUTTER) / POINTS
    for name, values in counts.items():
        above = [low + value for low, value in zip(below, values, strict=True)]
        if any(values):
            there = (f"{_n(CHART - high / top * CHART)}h{_n(step)}" for high in above)
            back = (f"{_n(CHART - low / top * CHART)}h{_n(-step)}" for low in reversed(below))
            paths[name] = f"M{_n(GUTTER)} {'V'.join(there)}V{'V'.join(back)}z"
        below = above
    return TimePicture(paths, levels, most)


def draw_requests(history: Sequence[Mapping[str, Any]], seconds: float) -> TimePicture | None:
    """Creations and polls a second, with a mark above where there were refusals; None if there were no requests."""
    asked = [(bucket["posts"] + bucket["polls"]) / bucket["seconds"] for bucket in history]
    most = max(asked, default=0.0)
    if not most:
        return None
    room = CHART - MARKS
    top, levels = _scale(most, room)
    width = (WIDTH - GUTTER) / (seconds or 1.0)
    paths = dict.fromkeys(("paused", "posts", "polls", "throttled"), "")
    for bucket, total in zip(history, asked, strict=True):
        long = min(bucket["seconds"], max(0.0, seconds - bucket["at"])) * width
        x, gap = GUTTER + bucket["at"] * width, 1.0 if long > 4 else 0.0
        low, high = bucket["posts"] / bucket["seconds"] / top * room, total / top * room
        if bucket["paused"]:
            paths["paused"] += _bar(x, 0, min(long, bucket["paused"] * width), CHART)
        if low:
            paths["posts"] += _bar(x, CHART - low, max(long - gap, 0.5), low)
        if high > low:
            paths["polls"] += _bar(x, CHART - high, max(long - gap, 0.5), high - low)
        if bucket["throttled"]:
            paths["throttled"] += f"M{_n(x + long / 2 - 5)} 1h10l-5 9z"
    return TimePicture({name: path for name, path in paths.items() if path}, levels, most)


def _scale(most: float, height: float) -> tuple[float, list[Tick]]:
    """The value at the top of a picture of that height, and its lines across: round figures, four at the most."""
    size = 10.0 ** math.floor(math.log10(most / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if most / (size * factor) <= 4)
    lines = math.ceil(most / step)
    return step * lines, [Tick(CHART - n / lines * height, f"{n * step:,.10g}") for n in range(lines + 1)]


def ticks(seconds: float) -> list[Tick]:
    """Round moments of a stretch of time, in minutes and seconds since its begin."""
    step = next((step for step in _STEPS if seconds / step <= 8), _STEPS[-1] * math.ceil(seconds / 8 / _STEPS[-1]))
    scale = (WIDTH - GUTTER) / (seconds or 1.0)
    return [Tick(GUTTER + n * step * scale, span(n * step)) for n in range(int(seconds // step) + 1)]
