"""How much passes in a second, over the last stretch of time. Pure: `at` of what it is told is the only clock."""

from __future__ import annotations

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

    def lately(self, now: float) -> int:
        """How much has come within the window."""
        self._forget_before(now)
        return sum(n for _, n in self._seconds)

    def rate(self, now: float, since: float | None = None) -> float:
        """A second's share of it, counted from `since` or the first that came, if that lies within the window; 0 if nothing came."""
        lately = self.lately(now)
        if not lately:
            return 0.0
        begin = self._seconds[0][0] if since is None else max(since, now - self._window)
        return lately / max(1.0, now - begin)

    def _forget_before(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - self._window:
            self._seconds.popleft()
