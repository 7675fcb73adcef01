"""What is known of an account, kept in memory: for a demo and for tests. The durable one lives with the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

REMEMBERED = 300
"""Durations that are kept: enough for a 95 % quantile, few enough to follow a service that changes its pace."""


class MemoryAccount:
    """An `Account` that lives as long as its process."""

    def __init__(self) -> None:
        self._until = 0.0
        self._durations: deque[float] = deque(maxlen=REMEMBERED)

    async def paused_until(self) -> float:
        return self._until

    async def pause(self, until: float) -> None:
        self._until = max(self._until, until)

    async def durations(self) -> tuple[float, ...]:
        return tuple(self._durations)

    async def learn(self, durations: Sequence[float]) -> None:
        self._durations.extend(durations)
