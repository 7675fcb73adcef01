"""How much passes in a second, over the last stretch of time. Pure: `at` of what it is told is the only clock."""

from __future__ import annotations

import math
from collections import deque


class Meter:
    def __init__(self, window: float) -> None:
        """`window` is in seconds, over which the rate is taken."""
        self._window = window
        self._seconds: deque[tuple[int, int]] = deque()
        self.total = 0

    def add(self, at: float, n: int) -> None:
        self.total += n
        second = int(at)
        if self._seconds and self._seconds[-1][0] >= second:
            last, before = self._seconds.pop()
            self._seconds.append((last, before + n))
        else:
            self._seconds.append((second, n))
        self._forget_before(at)

    def lately(self, now: float, since: float = -math.inf) -> int:
        """How much has come within the window, and since that moment."""
        self._forget_before(now)
        return sum(n for second, n in self._seconds if second > since)

    def rate(self, now: float, since: float | None = None) -> float:
        """A second's share of it, counted from `since` or else from the first that came; 0 if nothing came."""
        if since is not None:
            begin = max(since, now - self._window)
            return self.lately(now, begin - 1) / max(1.0, now - begin)
        lately = self.lately(now)
        return lately / max(1.0, now - self._seconds[0][0]) if lately else 0.0

    def _forget_before(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - self._window:
            self._seconds.popleft()
