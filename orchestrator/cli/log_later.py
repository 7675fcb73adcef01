"""Logs that are set up with the first line that somebody has to say.

Most runs log nothing: progress and summary say it all. But what a library warns of must be redacted like all else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable


def set_up_with_the_first_line(configure: Callable[[], None]) -> None:
    """`configure` (of `logs.py`: structlog takes a tenth of a second and some megabytes) waits for a first warning."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Later)]:
        root.removeHandler(old)
    root.addHandler(_Later(configure))


class _Later(logging.Handler):
    def __init__(self, configure: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._configure = configure

    def emit(self, record: logging.LogRecord) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        self._configure()
        root.handle(record)
