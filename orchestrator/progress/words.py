"""How figures, times and foreign text are put for people. Pure; every printer speaks through it.

Sizes are decimal (1 kB = 1,000 bytes), as file managers and CI dashboards show them.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Terminal sequences as ECMA-48 writes them. A string (OSC, DCS, PM, APC) that is never ended is taken to the end of its line.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # strings: titles, hyperlinks
    r"|\x1b[ -/]*[0-~]"  # the two-character ones
)
# What runners of pipelines obey in a log: GitHub's `::command …::` at the beginning of a line, where wrapping may bring it, and
# `##[command]` anywhere in one; Azure's and TeamCity's forms of the latter.
_COMMANDS = re.compile(
    r"(?:^|(?<=\s)):(?=:[a-z-]+(?:\s[^\n]*?)?::)|#(?=#(?:\[|[a-z]+\[))", re.IGNORECASE | re.MULTILINE
)
GLUE = "\0"
"""Stands for a blank while text is wrapped."""
_COMMAND = re.compile(r"`[^`\n]+`")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They would turn the order of what follows around: a message could then read as something else.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, *, lines: bool = False) -> str:
    """`text` without anything that a terminal or a pipeline's runner would obey: escape sequences, control and bidi
    characters, workflow commands.

    What came from a service or a file may try to move the cursor, hide text, forge a line or mask what comes after it. A run of
    control characters becomes one blank; with `lines`, line feeds and tabs stay. A command is broken by a blank in its mark.
    """
    if text.isascii() and text.isprintable():
        return _COMMANDS.sub(_broken, text)
    text = _ESCAPES.sub("", text)
    kept: list[str] = []
    for char in text:
        if char in _BIDI:
            continue
        if unicodedata.category(char) not in _UNPRINTABLE or (lines and char in "\n\t"):
            kept.append(char)
        elif kept and kept[-1] != " ":
            kept.append(" ")
    return _COMMANDS.sub(_broken, "".join(kept))


def _broken(mark: re.Match[str]) -> str:
    return f"{mark[0]} "


def glued(text: str) -> str:
    """`text` whose commands, which stand in backticks, have no blank at which a line may break: they are there to be copied."""
    return _COMMAND.sub(lambda command: command[0].replace(" ", GLUE), text)


def label(coordinates: Mapping[str, str]) -> str:
    """An export's name for people, from its coordinates: `support 2024-05`."""
    return printable(" ".join(coordinates.values())) or "the only export"


def count(n: int, noun: str) -> str:
    """`1 export`, `1,200 exports`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def size(n: float) -> str:
    """Bytes with three figures at most: `812 B`, `3.2 MB`, `48 GB`."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:,.0f} {unit}"


def a_minute(pace: float) -> str:
    """Exports a second, in a unit that makes a figure of it: `18 exports/min`, `42 exports/h`."""
    if pace >= 1 / 12:
        return f"{pace * 60:,.0f} exports/min"
    return f"{pace * 3600:,.0f} exports/h"


def span(seconds: float) -> str:
    """A stretch of time as a clock counts it: `0:42`, `5:12`, `1:05:12`."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def spelled(seconds: float) -> str:
    """A stretch of time in words: `42 s`, `5 min 12 s`, `1 h 05 min`, `2 days 3 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{count(days, 'day')} {hours} h"


def took(seconds: float) -> str:
    """The same, to a tenth of a second while it is short: `0.4 s`, `42 s`, `5 min 12 s`."""
    return f"{max(0.1, seconds):.1f} s" if 0 < seconds < 9.95 else spelled(seconds)


def about(seconds: float) -> str:
    """An estimate, told no finer than it is known: `less than a minute`, `about 12 min`, `about 1 h 20 min`."""
    minutes = seconds / 60
    if minutes < 0.95:
        return "less than a minute"
    if minutes < 20:
        return f"about {round(minutes)} min"
    if minutes < 57.5:
        return f"about {5 * round(minutes / 5)} min"
    tens = 10 * round(minutes / 10)
    if tens < 10 * 60:
        return f"about {tens // 60} h {tens % 60} min" if tens % 60 else f"about {tens // 60} h"
    hours = round(minutes / 60)
    return f"about {hours} h" if hours < 48 else f"about {count(round(hours / 24), 'day')}"


def clock(at: float, now: float | None = None) -> str:
    """A moment (seconds since the epoch) in local time: `14:03:20`; with its date if that is not `now`'s."""
    local = time.localtime(at)
    if now is None or local[:3] == time.localtime(now)[:3]:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%Y-%m-%d %H:%M:%S", local)


def clock_in_zone(at: float, now: float) -> str:
    """The same with the zone's name, for whoever reads it elsewhere or beside logs in UTC: `14:03:20 CET`."""
    return f"{clock(at, now)} {time.strftime('%Z', time.localtime(at))}"


def moment(at: float) -> str:
    """A moment that may be long ago, in local time with date and zone: `2026-11-26 14:03:20 CET`."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))


def utc_of(text: str) -> str:
    """A moment in RFC 3339 as reasons name moments: `2026-11-26 13:03:20 UTC`. Raises ValueError or OverflowError for what is none."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no zone")
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment_of(text: Any) -> str:
    """The same of a moment in RFC 3339. What is none is shown as it is: an older journal may hold anything."""
    try:
        return moment(datetime.fromisoformat(text).timestamp())
    except (TypeError, ValueError, OverflowError, OSError):
        return str(text)
