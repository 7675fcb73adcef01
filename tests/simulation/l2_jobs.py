"""Level L2, whole jobs: the stories of level L1, told over the wire.

The engine, the journal, the disk, the deaths and the service are those of L1, and so is the oracle. Between the engine and
the service lie the real HTTP client and the wire in memory, which does to the bytes what it does to single calls in `l2.py`.

python tests/simulation/l2_jobs.py SEED             everything that happened in one seed, and the verdict
python tests/simulation/l2_jobs.py FIRST LAST       many seeds, the coverage table, every violation
"""

# ruff: noqa: T201  a program that prints
from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import faults
import l2_oracle
import story
from coverage_table import Coverage
from l2 import API, BLACK_HOLE, CDN, FILES, seeds_asked_for, sessions_of
from l2_job_calls import Exchange, JobApi, JobFiles
from l2_job_hosts import KINDS, ApiHost, FileHosts, began
from l2_wire import Connection, Net, WireLoop, played_on
from oracle import Violation, judge
from service import TOKEN
from world import BASE_URL, Process, World

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import ExportApi, Files

LABELS = ("wire connecting", "wire connected", "wire sent", "wire answered")
"""Where a process can be killed beyond the labels of L1."""


class JobWorld(World):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        chance = random.Random(f"wire {seed}")
        # Here the wire decides whether a connection opens: it does so before anybody knows what is to be sent on it.
        self.weather.on -= {"post refused", "file refused"}
        if chance.random() < 0.5:  # what can't be gone on from can't be gone on from wrongly
            self.weather.on -= {"gzip", "no etag"}
        on = frozenset(kind for kind in KINDS if chance.random() < 0.5) if self.weather.on else frozenset()
        self.wire = faults.Weather(on, chance.choice((0.03, 0.1, 0.25)), chance)
        self.net_chance = random.Random(f"net {seed}")
        files = FileHosts(self, "files")
        self.hosts = {API: ApiHost(self, "api"), FILES: files, CDN: files}
        self.file_addresses = [BLACK_HOLE, FILES] if chance.random() < 0.2 else [FILES]
        self.net = self._new_net()
        self.opened: list[tuple[LoopClient, FileHost]] = []
        """Of the process that lives."""
        self.exchanges: list[Exchange] = []
        self.leaks: list[str] = []
        self.complaints: list[str] = []

    def _new_net(self) -> Net:
        return Net(
            self.net_chance,
            names={"api.test": [API], "files.test": self.file_addresses, "cdn.test": [CDN]},
            hosts=dict(self.hosts),
            black_holes={BLACK_HOLE},
            strayed=self.evidence.strayed,
            lookup_fails=lambda name: self.blows("dns", share=0.3) is not None,
            passing=self._passing,
            dusty=0.1,
            coarse=60,
        )

    def blows(self, *kinds: str, share: float = 1.0) -> str | None:
        """What the wire does now, of these; None if nothing."""
        self.wire.calm = self.weather.calm
        return self.wire.one_of(dict.fromkeys(kinds, ""), share)

    def time(self) -> float:
        return self.now

    # --------------------------------------------------------------------------------------------------- a process

    def run(self, **how: Any) -> Process:
        death = how.get("death")
        if death is not None and self.wire.chance.random() < 0.15:
            how["death"] = replace(death, label=self.wire.chance.choice(LABELS))
        self.net = self._new_net()
        process = super().run(**how)
        self._bury()
        return process

    def _bury(self) -> None:
        """What lived by the wire ends with its process. A session of the dead was never closed: it must not complain about that."""
        for opened in self.opened:
            for session in sessions_of(*opened):
                if not session.closed:
                    session.connector._closed = True  # nor must the pool that it kept connections in
                    session.detach()
        self.opened.clear()
        self.net = self._new_net()

    def new_loop(self, seed: str) -> WireLoop:
        return WireLoop(seed, self.net, self._now, self._io)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[ExportApi, Files]]:
        assert isinstance(self.loop, WireLoop)
        network, clock = Network(timeout=30.0, proxy="none"), SimpleNamespace(now=self.wall)
        async with (
            LoopClient(BASE_URL, token=self._token, network=network, clock=clock) as client,
            FileHost(BASE_URL, network=network, clock=clock) as files,
        ):
            self.opened.append((client, files))
            yield JobApi(self, client), JobFiles(self, files)
            sessions = sessions_of(client, files)
            self.leaks += ["a place in the pool was never given back" for s in sessions if s.connector._acquired]
        open_ = [one for one in self.net.connections if one.transport and not one.transport.gone]
        self.leaks += [f"a connection was left open by {one.asked_by.kind}" for one in open_]
        self.complaints += self.loop.complaints

    def _token(self) -> str:
        return f"{TOKEN}{self.service.source}"

    def _passing(self, what: str, connection: Connection | None) -> None:
        if what == "sent" and connection is not None:
            began(connection)
        self.point(f"wire {what}")

    def _arrive_late(self) -> None:
        """What is on its way when its sender ends arrives, or it does not."""
        for connection in self.net.connections:
            while connection.in_flight and self.chance.random() < 0.5:
                connection.arrive()


def verdict(world: JobWorld) -> list[Violation]:
    """The oracle's, and what only the wire can tell: that each call of the client said what it was answered."""
    found = judge(world.evidence)
    for exchange in world.exchanges:
        heard = exchange.ended is not None  # else nobody was there any more to hear its end
        texts = list(l2_oracle.judge_call(exchange, [])) if heard else []
        # The end of a part (206) is told by its Content-Range, whatever else is missing.
        last = exchange.replies[-1] if exchange.replies else None
        if exchange.came_to_an_end and last is not None and last.status == 200 and not last.delimited:
            texts.append("a body whose end can't be told from a cut was taken")
        found += [Violation("calls tell the truth", f"{exchange.n}: {text}") for text in texts]
    found += [Violation("nothing leaks", leak) for leak in world.leaks]
    return found + [Violation("nobody complains", text) for text in world.complaints]


def play(seed: int) -> JobWorld:
    """The world of `seed` when everything has happened in it."""
    world = JobWorld(seed)
    with played_on(world):
        story.play(seed, lambda _: world)
    return world


def one(seed: int) -> int:
    world = play(seed)
    for at, text in world.story:
        print(f"{at:12.2f}  {text}")
    violations = verdict(world)
    print(f"trace {story.trace_hash(world)}")
    print(*(violations or ["no violation"]), sep="\n")
    return 1 if violations else 0


def many(first: int, last: int) -> int:
    began_at = time.monotonic()
    covered, wire = Coverage(), Counter[str]()
    for seed in range(first, last + 1):
        world = play(seed)
        violations = verdict(world)
        covered.add(world, violations)
        wire.update(world.wire.hits)
        for violation in violations:
            print(f"seed {seed}: {violation}", file=sys.stderr, flush=True)
    print(covered.table(time.monotonic() - began_at))
    for title, counts in (
        ("faults of the wire", {kind: wire[kind] for kind in KINDS}),
        ("kills on the wire", {label: covered.labels[label] for label in LABELS}),
    ):
        print(f"\n{title}: {sum(counts.values())}")
        print(*(f"  {name:28} {count:9}" for name, count in counts.items()), sep="\n")
    return 1 if covered.violations else 0


if __name__ == "__main__":
    asked = seeds_asked_for(__doc__)
    sys.exit(one(asked.first) if asked.last is None else many(asked.first, asked.last))
