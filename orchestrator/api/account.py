"""What is known of an account, kept in memory: for a demo and for tests. The durable one lives with the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

REMEMBERED = 300
"""Durations that are kept: enough for a 95 % quantile, few enough to follow a service that changes its pace."""


class MemoryAccount:
    """An `Account` that lives as long as its process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._durations: deque[float] = deque(maxlen=REMEMBERED)

    async def paused_until(self, host: str = "api") -> float:
        return self._until.get(host, 0.0)

    async def pause(self, until: float, host: str = "api") -> None:
        self._until[host] = max(self._until.get(host, 0.0), until)

    async def durations(self) -> tuple[float, ...]:
        return tuple(self._durations)

    async def learn(self, durations: Sequence[float]) -> None:
        self._durations.extend(durations)
