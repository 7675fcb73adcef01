"""The clock of a real process. In simulation another one takes its place."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `ports.Clock`: the wall clock is read once, from then on the monotonic clock carries it."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()  # noqa: TID251  the one place where the wall clock is read

    def now(self) -> float:
        return self._offset + time.monotonic()
