"""The least of a terminal: what a person sees after all that was written, colours left out.

It wraps long lines, and wraps them anew when it is made narrower or wider, as most terminals do.
"""

import asyncio
import io
import re

TOKEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+")


class MiniTerminal(io.StringIO):
    def __init__(self, width=60):
        super().__init__()
        self.width = width
        self.drawn = asyncio.Event()
        self.writes = []
        self._lines = [""]
        self._row, self._column = 0, 0
        """A logical line, and the cell in it."""

    def isatty(self):
        return True

    def write(self, text):
        self.drawn.set()
        self.writes.append(text)
        for token in TOKEN.findall(text):
            self._obey(token)
        return len(text)

    def _obey(self, token):
        line = self._lines[self._row]
        if token == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._lines):
                self._lines.append("")
        elif token == "\r":
            self._column -= self._column % self.width
        elif token == "\x1b[K":
            self._lines[self._row] = line[: self._column]
        elif token == "\x1b[J":
            self._lines[self._row] = line[: self._column]
            del self._lines[self._row + 1 :]
        elif token.endswith("A"):
            self._up(int(token[2:-1]))
        elif token.startswith("\x1b"):
            assert token.endswith(("m", "l", "h")), token
        else:
            self._lines[self._row] = (
                line[: self._column].ljust(self._column) + token + line[self._column + len(token) :]
            )
            self._column += len(token)

    def _up(self, rows):
        for _ in range(rows):
            if self._column >= self.width:
                self._column -= self.width
            else:
                assert self._row, "above the first line"
                self._row -= 1
                self._column = max(0, (len(self._lines[self._row]) - 1) // self.width) * self.width

    def lines(self):
        """As they stand on the screen, long ones in pieces."""
        pieces = []
        for line in self._lines:
            pieces += [line[n : n + self.width] for n in range(0, len(line) or 1, self.width)]
        return [piece.rstrip() for piece in pieces]
