"""Pictures by hand: a frame with axes, and marks in it. Readable on light and on dark ground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 14px; font-weight: 600; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  path.bar { stroke: none; }
  .ink { stroke: #24292f; fill: none; stroke-width: 2; }
  .c0 { fill: #b6bec8; stroke: #b6bec8; } .c1 { fill: #2f6fd6; stroke: #2f6fd6; }
  .c2 { fill: #d9480f; stroke: #d9480f; } .c3 { fill: #2b8a3e; stroke: #2b8a3e; }
  .c4 { fill: #7048a8; stroke: #7048a8; } .c5 { fill: #a8700d; stroke: #a8700d; }
  @media (prefers-color-scheme: dark) {
    text { fill: #d6dde5; } .grid { stroke: #3a424c; } .ink { stroke: #d6dde5; }
    .c0 { fill: #56606c; stroke: #56606c; } .c1 { fill: #6ea8fe; stroke: #6ea8fe; }
    .c2 { fill: #ff8a5c; stroke: #ff8a5c; } .c3 { fill: #5fce78; stroke: #5fce78; }
    .c4 { fill: #bb9af0; stroke: #bb9af0; } .c5 { fill: #e3b04b; stroke: #e3b04b; }
  }
"""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 56, 46


class Chart:
    """A frame from (0, 0) to (`right`, `top`) in the units of its axes, `y` upwards unless `downwards`."""

    def __init__(
        self,
        title: str,
        x: str,
        y: str,
        *,
        right: float,
        top: float,
        size: tuple[int, int] = (860, 420),
        downwards: bool = False,
    ) -> None:
        self._width, self._height = size
        self._right, self._top = right, top
        self._downwards = downwards
        self._marks: list[str] = []
        self._bars: dict[int, list[str]] = {}
        self._labels: list[str] = [
            _text(_LEFT, 20, title, "title"),
            _text(self._width - _RIGHT, self._height - 10, x, anchor="end"),
            _text(_LEFT, _TOP - 8, y, anchor="middle"),
        ]
        for value in ticks(right):
            at = self._x(value)
            self._labels.append(_line(at, _TOP, at, self._height - _BOTTOM, "grid"))
            self._labels.append(_text(at, self._height - _BOTTOM + 18, f"{value:g}", anchor="middle"))
        for value in ticks(top):
            at = self._y(value)
            self._labels.append(_line(_LEFT, at, self._width - _RIGHT, at, "grid"))
            self._labels.append(_text(_LEFT - 8, at + 4, f"{value:g}", anchor="end"))

    def _x(self, value: float) -> float:
        return _LEFT + (self._width - _LEFT - _RIGHT) * value / self._right

    def _y(self, value: float) -> float:
        share = value / self._top
        room = self._height - _TOP - _BOTTOM
        return _TOP + room * (share if self._downwards else 1 - share)

    def bar(self, left: float, right: float, y: float, thickness: float, colour: int) -> None:
        """A horizontal bar from `left` to `right`; `thickness` is in pixels."""
        start, end = self._x(left), self._x(right)
        width = max(end - start, 0.1)
        bar = f"M{start:.1f} {self._y(y) - thickness / 2:.1f}h{width:.1f}v{thickness:.2f}h-{width:.1f}z"
        self._bars.setdefault(colour, []).append(bar)

    def curve(self, points: Iterable[tuple[float, float]], *, dashed: bool = False) -> None:
        """A line through points in order; what lies outside of the frame is left out."""
        inside = [(x, y) for x, y in points if x <= self._right and y <= self._top]
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in inside)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._marks.append(f'<polyline class="ink"{dashes} points="{path}"/>')

    def dots(self, points: Sequence[tuple[float, float, int, str]], column: float) -> None:
        """Dots (x, y, colour, name); the names stand one below the other at `column` of the width, tied to their dots."""
        left = self._width * column
        for n, (x, y, colour, name) in enumerate(sorted(points, key=lambda point: (-point[1], -point[0]))):
            at = _TOP + 20 + 20 * n
            self._marks += [
                _line(self._x(x), self._y(y), left - 6, at - 4, "grid"),
                f'<circle class="c{colour}" cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="5"/>',
                _text(left, at, name),
            ]

    def legend(self, entries: Sequence[tuple[int, str]]) -> None:
        at = _LEFT + 60.0
        for colour, name in entries:
            self._labels.append(f'<rect class="c{colour}" x="{at:.0f}" y="{_TOP - 18}" width="10" height="10"/>')
            self._labels.append(_text(at + 16, _TOP - 8, name))
            at += 34 + 7 * len(name)

    def __str__(self) -> str:
        return "\n".join(
            [
                (
                    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" '
                    f'width="{self._width}" height="{self._height}" role="img">'
                ),
                f"<style>{_STYLE}</style>",
                *self._labels,
                *(f'<path class="c{colour} bar" d="{"".join(bars)}"/>' for colour, bars in sorted(self._bars.items())),
                *self._marks,
                "</svg>\n",
            ]
        )


def ticks(most: float) -> list[float]:
    """Some six round values from 0 up to `most`."""
    rough = most / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * n for n in range(int(most / step + 1e-9) + 1)]


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
