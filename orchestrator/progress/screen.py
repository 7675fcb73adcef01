"""A block of lines at the foot of a terminal, drawn over itself; what else is printed appears above it.

A frame is one write, over the lines of the one before it and within a synchronised update (DEC mode 2026, which terminals that
don't know it ignore): nothing is ever seen half drawn or blank. The cursor rests at the beginning of the block's last
line, so that the `^C` which a terminal adds lands there and is drawn over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rich.color import ColorSystem
from rich.console import Console
from rich.text import Text

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_TO_LINE_END, _TO_SCREEN_END = "\x1b[K", "\x1b[J"


class Screen:
    """`console` must write to a terminal, and nothing else may write there between the first `draw` and `close`."""

    def __init__(self, console: Console, environ: Mapping[str, str] = os.environ) -> None:
        self._console = console
        self._shown: list[str] = []
        self._cells: list[int] = []
        self._hidden = False
        # Most terminals wrap a long line anew when they get narrower; these two cut it off.
        self._rewraps = "XTERM_VERSION" not in environ and environ.get("TERM") != "linux"

    def draw(self, lines: Sequence[Text]) -> None:
        """Shows `lines` in the place of those before. None of them may be wider than the terminal."""
        fresh = [self._styled(line) for line in lines]
        cells = [line.cell_len for line in lines]
        if fresh != self._shown:
            hide = "" if self._hidden else _HIDE
            self._hidden = True
            self._send(_BEGIN + hide + self._home() + _block(fresh) + _END)
            self._shown, self._cells = fresh, cells

    def above(self, text: str) -> None:
        """Prints whole lines above the block, as they are: the terminal wraps them."""
        if not self._shown:
            self._send(f"{text}\n")
        else:
            self._send(f"{_BEGIN}{self._home()}{_TO_SCREEN_END}{text}\n{_block(self._shown)}{_END}")

    def close(self) -> None:
        """Takes the block away and gives the cursor back."""
        if self._hidden:
            self._hidden = False
            self._send(_BEGIN + self._home() + _TO_SCREEN_END + _SHOW + _END)
            self._shown, self._cells = [], []

    def _home(self) -> str:
        """To the beginning of the block, wherever a terminal that has become narrower may have put that."""
        width, height = self._console.size
        above = self._cells[:-1]
        rows = sum(max(1, -(-cells // width)) for cells in above) if self._rewraps else len(above)
        up = min(rows, height - 1)
        return f"\r\x1b[{up}A" if up > 0 else "\r"

    def _send(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _styled(self, line: Text) -> str:
        console = self._console
        system = ColorSystem.STANDARD if console.color_system is not None else None
        pieces = []
        for segment in line.render(console):
            style = segment.style
            if style is not None and console.no_color:
                style = style.without_color
            pieces.append(style.render(segment.text, color_system=system) if style is not None else segment.text)
        return "".join(pieces)


def _block(lines: Sequence[str]) -> str:
    """The lines from where the cursor is, and the cursor at the beginning of the last of them."""
    if not lines:
        return _TO_SCREEN_END
    return "\n".join(f"\r{line}{_TO_LINE_END}" for line in lines) + f"{_TO_SCREEN_END}\r"
