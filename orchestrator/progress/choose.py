"""Which progress a stream gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TextIO

Kind = Literal["live", "plain", "none"]

_NO = frozenset({"", "0", "false", "no", "off"})


def pick(stream: TextIO, environ: Mapping[str, str], *, quiet: bool, no_progress: bool) -> Kind:
    """Live only where a person watches: on a terminal that can move its cursor, and outside CI.

    Decided by `isatty` and `CI` alone: `FORCE_COLOR` asks for colours, never for animation in a pipe.
    """
    if quiet or no_progress:
        return "none"
    watched = stream.isatty() and environ.get("CI", "").strip().lower() in _NO
    return "live" if watched and environ.get("TERM", "") not in ("dumb", "unknown") else "plain"
