"""Worlds whose service answers slowly, and makes exports hardly more slowly than it answers: polls of a report overlap there.

Whatever else may go wrong in a world does so in these as well. Answers overtake each other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evidence import Made
from service import Service
from world import World


class FarService(Service):
    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world, chance)
        self._far = chance.uniform(0.2, 2.0)
        """Seconds that half of the way takes, on average."""
        self._quick = chance.uniform(0.3, 4.0)
        """Seconds that an export takes, on average."""

    def latency(self) -> float:
        delayed = self.chance.uniform(2.0, 8.0) if self.chance.random() < 0.05 else 1.0
        return delayed * self._far * self.chance.uniform(0.7, 1.3)

    def _make(self, key: str, request: Mapping[str, Any]) -> Made:
        made = super()._make(key, request)
        took = made.done_at - made.starts_at
        if took < math.inf and took < self.world.policy.retry.stuck_after:
            kept = made.gone_at - made.done_at
            made.done_at = made.starts_at + self._quick * self.chance.lognormvariate(0.0, 0.4)
            made.gone_at = made.done_at + kept
        return made


class FarWorld(World):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        chance = random.Random(f"far {seed}")
        self.policy = self.evidence.policy = replace(
            self.policy,
            limits=replace(self.policy.limits, requests_per_second=chance.choice((5.0, 20.0, 50.0))),
            polling=replace(self.policy.polling, policy="adaptive"),
        )
        self.service = FarService(self, random.Random(f"far service {seed}"))
