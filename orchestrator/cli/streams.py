"""The standard streams, which a process need not have: a shell's `2>&-` and some services start it without them."""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO


def open_missing(*, as_json: bool) -> None:
    """Puts streams where Python has none: empty ones, but a document (`as_json`) must not get lost without a word.

    To be called before any file is opened to stay. The system gives the lowest number that is free, so these three in this
    order get their own; a journal in their place would take what somebody writes to number 2.
    """
    if sys.stdin is None:
        sys.stdin = _to_nowhere(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _to_nowhere(os.O_RDONLY if as_json else os.O_WRONLY, "w")  # to write where one may only read fails
    if sys.stderr is None:
        sys.stderr = _to_nowhere(os.O_WRONLY, "w")


def _to_nowhere(flags: int, mode: Literal["r", "w"]) -> TextIO:
    return os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8")
