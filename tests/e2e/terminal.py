"""A terminal for the program: what it writes there, and how it stands on the screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios

ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78])")


class Terminal:
    """A terminal whose other end is read until the program lets go of it."""

    def __init__(self, columns):
        self.ours, self.theirs = pty.openpty()
        self.resize(columns, 24)
        self.seen = bytearray()
        self.over = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.ours, self._read)

    def _read(self):
        try:
            data = os.read(self.ours, 65536)
        except OSError:  # Linux says so when nobody holds the other end any more
            data = b""
        self.seen += data
        if not data:
            asyncio.get_running_loop().remove_reader(self.ours)
            os.close(self.ours)
            self.over.set()

    def resize(self, columns, rows):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def started(self):
        os.close(self.theirs)

    def lines(self):
        """The lines as they stand on the screen, without what moves the cursor."""
        return [ESCAPE.sub(b"", part).decode() for part in re.split(rb"\r\n|\r|\n", bytes(self.seen))]


async def on_terminal(it, *arguments, columns=80, env=None):
    terminal = Terminal(columns)
    running = await it.start(*arguments, stderr=terminal.theirs, env={"TERM": "xterm-256color"} | (env or {}))
    terminal.started()
    ended = await running.ended()
    await terminal.over.wait()
    return ended, terminal
