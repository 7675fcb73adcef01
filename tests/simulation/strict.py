"""A service whose limits bind, and nothing else goes wrong: how well a run finds them, in virtual time."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from evidence import Call
from faults import Weather
from loop import SimLoop
from service import Reply, Service
from story import simulated
from world import Cell, World

from benchmarks.schedule import greedy_at_a_rate
from orchestrator.engine.policy import AUTO, Limits, Policy, Polling, Retry

LATENCY = 0.004
AUTOMATIC = Limits(
    unfinished=AUTO["unfinished"][1],
    unfinished_start=int(AUTO["unfinished"][0]),
    requests_per_second=AUTO["requests_per_second"][1],
    requests_start=AUTO["requests_per_second"][0],
)
"""As `limits: auto` has them."""


@dataclass(frozen=True)
class Limited:
    """What the service allows."""

    per_second: float
    burst: int
    unfinished: int = 10_000


@dataclass
class Tale:
    """One run against it. Times are seconds since the first request."""

    floor: float
    """The makespan of somebody who knows every duration, both limits, and when each export ends."""
    answers: list[tuple[float, str, int]] = field(default_factory=list)
    """When, GET or POST, and the HTTP status."""

    @property
    def makespan(self) -> float:
        return max(at for at, _, _ in self.answers)

    @property
    def ratio(self) -> float:
        return self.makespan / self.floor

    def refused(self, since: float = 0.0) -> float:
        """The share of 429 among all answers."""
        statuses = [status for at, _, status in self.answers if at >= since]
        return statuses.count(429) / len(statuses) if statuses else 0.0


class LimitedService(Service):
    def __init__(self, world: World, limited: Limited, durations: Sequence[float], tale: Tale) -> None:
        super().__init__(world, random.Random(0))
        self._limited = limited
        self._durations = iter(durations)
        self._tale = tale
        self._tokens = float(limited.burst)
        self._filled_at = self._began = world.now
        self._unfinished: list[float] = []

    def post(self, call: Call, request: Mapping[str, Any]) -> Reply:
        now = self.world.now
        while self._unfinished and self._unfinished[0] <= now:
            heapq.heappop(self._unfinished)
        if not self._admits() or len(self._unfinished) >= self._limited.unfinished:
            return self._told("POST", self._refusal())
        made = self._make(str(call.key), request)
        call.made = made.id
        made.starts_at, made.done_at = now, now + next(self._durations)
        heapq.heappush(self._unfinished, made.done_at)
        return self._told("POST", self._reply(201, {"id": made.id, "status": "Processing", "url": None}))

    def get(self, call: Call, report_id: str) -> Reply:
        return self._told("GET", super().get(call, report_id) if self._admits() else self._refusal())

    def latency(self) -> float:
        return LATENCY / 2

    def _admits(self) -> bool:
        now = self.world.now
        self._tokens = min(self._limited.burst, self._tokens + (now - self._filled_at) * self._limited.per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refusal(self) -> Reply:
        return Reply(429, {"Retry-After": "1"}, b"{}", wait=1.0)

    def _told(self, kind: str, reply: Reply) -> Reply:
        if not self._tale.answers:
            self._began = self.world.now
        self._tale.answers.append((self.world.now - self._began, kind, reply.status))
        return reply


def durations(count: int, median: float, sigma: float, seed: int) -> list[float]:
    """Log-normal, in random order, one out of each of as many equally likely ranges: no seed has it harder than another."""
    chance = random.Random(f"durations {seed}")
    normal = NormalDist(math.log(median), sigma)
    draws = [math.exp(normal.inv_cdf((n + chance.random()) / count)) for n in range(count)]
    chance.shuffle(draws)
    return draws


def play(limited: Limited, taken: Sequence[float], limits: Limits, seed: int = 0) -> Tale:
    """One run of as many exports as there are durations, all of which end up stored."""
    world = World(seed)
    world.weather = Weather(frozenset(), 0.0, random.Random(0))
    world.policy = Policy(limits=limits, polling=Polling(), retry=Retry())
    world.cell_poison.clear()
    world.evidence.poisoned.clear()
    world.cells = [Cell(n, path_of=n) for n in range(len(taken))]
    world._register()
    world._io = lambda: 0.001  # type: ignore[method-assign]  # a quick disk
    floor = greedy_at_a_rate(taken, limited.unfinished, limited.per_second, limited.burst)
    tale = Tale(floor)
    world.service = LimitedService(world, limited, taken, tale)
    before, SimLoop.most_steps = SimLoop.most_steps, 10_000_000
    try:
        with simulated():
            process = world.run()
    finally:
        SimLoop.most_steps = before
    assert process.report is not None, process.error
    assert process.report["counts"]["stored"] == len(taken)
    return tale
