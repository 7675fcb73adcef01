"""Level L2: the real HTTP client, its pool and its parser, over a wire that the seed makes bad.

One seed is one run: some stories at once, each of which creates an export, polls it and downloads its file, over one
client as in a real run.

python tests/simulation/l2.py SEED             everything that happened in one seed, and what was wrong
python tests/simulation/l2.py FIRST LAST       many seeds, what was wrong, and the faults by kind
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import random
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import anyio
import l2_oracle
import loop as simulated
from l2_hosts import EPOCH, TOKEN, ApiHost, Call, FileHosts, World
from l2_wire import Net, WireLoop, played_on

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.cli.wiring import Contents
from orchestrator.engine.ports import Accepted, FileBroken, FileRefused, SignedUrl, Status
from orchestrator.engine.transfer import Transfers
from orchestrator.errors import ContentError
from orchestrator.storage.memory import MemoryStorage

API, FILES, CDN = "93.184.216.1", "93.184.216.2", "2606:2800:220::3"
INNER, BLACK_HOLE = "10.0.0.1", "2606:2800:220::dead"
STORIES = (1, 2, 4)


@dataclass
class Outcome:
    seed: int
    violations: list[str]
    story: list[str]
    hits: dict[str, int]
    calls: int
    stored: int

    @property
    def trace(self) -> str:
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()


class Run:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = World(seed)
        self.chance = random.Random(f"stories {seed}")
        self.api, self.files = ApiHost(self.world), FileHosts(self.world)
        files = [BLACK_HOLE, FILES] if self.chance.random() < 0.2 else [FILES]
        self.net = Net(
            random.Random(f"net {seed}"),
            names={
                "api.test": [API],
                "files.test": files,
                "cdn.test": [CDN],
                "inner.test": [INNER],
                "localhost": ["127.0.0.1"],
            },
            hosts={API: self.api, FILES: self.files, CDN: self.files},
            black_holes={BLACK_HOLE},
            lookup_fails=lambda name: self.world.draw(("dns",), share=0.3) is not None,
        )
        self.loop = WireLoop(f"loop {seed}", self.net)
        self.world.now = self.loop.time
        self.storage = MemoryStorage()
        self.stored = 0
        self.leaks: list[str] = []

    def play(self) -> Outcome:
        violations: list[str] = []
        collecting = gc.isenabled()
        gc.disable()  # a finalizer that runs at a moment of its own would make another run of it
        try:
            with played_on(self.loop):
                self.loop.run_until_complete(self._main())
        except (simulated.Deadlock, simulated.Spinning, AssertionError) as error:
            violations.append(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  the story of the seed is worth more than a traceback
            violations.append(f"the run itself broke: {error!r}")
        finally:
            self.loop.bury()
            if collecting:
                gc.enable()
        violations += l2_oracle.judge(self.world, self.net, self.api, [self.files])
        violations += self.leaks
        violations += self.loop.complaints
        return Outcome(self.seed, violations, self.world.story, self.world.hits, len(self.world.calls), self.stored)

    async def _main(self) -> None:
        network = Network(timeout=30.0, proxy="none")
        clock = SimpleNamespace(now=lambda: EPOCH + self.loop.time())
        async with (
            LoopClient("https://api.test", token=lambda: TOKEN, network=network, clock=clock) as client,
            FileHost("https://api.test", network=network, clock=clock) as files,
        ):
            transfers = Transfers(files, self.storage, Contents(), kept=2)
            async with asyncio.TaskGroup() as group:
                for n in range(self.chance.choice(STORIES)):
                    group.create_task(self._story(n, client, transfers))
            await transfers.close()
            await asyncio.sleep(1)
            sessions = sessions_of(client, files)
            self.leaks += ["a place in the pool was never given back" for s in sessions if s.connector._acquired]
            if client.posts_sent < self.world.requests["POST"] or client.gets_sent < self.world.requests["GET"]:
                self.leaks.append("requests went out that were not counted")
        await asyncio.sleep(1)
        self.leaks += [
            "a connection was left open" for one in self.net.connections if one.transport and not one.transport.gone
        ]
        self.leaks += [f"{temp} was left behind" for temp in self.storage.temps]

    # ------------------------------------------------------------------------------------------------------ one story

    async def _story(self, n: int, client: LoopClient, transfers: Transfers) -> None:
        await asyncio.sleep(self.chance.choice((0.0, 0.0, 3.0)))
        question = {"resultFormat": self.chance.choice(("Json", "Json", "Json", "Xlsx")), "teamIds": [f"story {n}, é"]}
        report = await self._created(question, client)
        dirty = False
        wanted = self.chance.choice((1, 1, 1, 5))
        for _ in range(12 if report else 0):
            status = await self._call("get", lambda call: client.get(report, _who(call)), report=report)
            if isinstance(status, Status) and status.url is not None:
                for _ in range(3):
                    call = Call(0, 0, "fetch", report, tainted=dirty)
                    self.world.fetching[report] = call
                    kind = self.world.reports[report].format
                    got = await self._call("fetch", lambda _: self._fetch(transfers, n, status.url, kind), call=call)  # noqa: B023  awaited here
                    dirty = dirty or l2_oracle.taints(call.replies)
                    if isinstance(got, tuple):
                        self.stored += 1
                        wanted -= 1
                        if not wanted:
                            return
                    if isinstance(got, FileRefused):
                        break
            await asyncio.sleep(self.chance.choice((0.0, 0.6, 2.0, 10.0, 16.0)))

    async def _created(self, question: dict[str, Any], client: LoopClient) -> str | None:
        for _ in range(4):
            answer = await self._call("create", lambda call: client.create(question, _who(call)), question=question)
            if isinstance(answer, Accepted):
                return answer.report_id
        return None

    async def _fetch(self, transfers: Transfers, n: int, url: SignedUrl, kind: str) -> Any:
        try:
            digest, temp = await transfers.fetch((f"k{n}", 0), url, kind, lambda received, total: None)
        except (FileRefused, FileBroken, ContentError) as error:
            return error
        stored = self.storage.temps[temp]
        await self.storage.discard(temp)
        return digest, stored

    async def _call(
        self, kind: str, start: Any, *, call: Call | None = None, report: str = "", question: Any = None
    ) -> Any:
        """Makes one call, notes how it ends; with bad luck the caller is cancelled meanwhile."""
        call = call or Call(0, 0, kind, report, question)
        call.n, call.tick, call.began = len(self.world.calls), self.net.tick(), self.loop.time()
        self.world.calls.append(call)
        self.world.tell(f"call {call.n}: {kind} {call.report}")
        opened = len(self.net.connections)
        unlucky = self.world.draw(("cancel",), share=0.3)
        delay = self.chance.choice((0.0, 0.001, 0.011, 0.2, 1.0, 40.0)) if unlucky else None
        with anyio.move_on_after(delay) as scope:  # as the engine cancels
            call.outcome = await _outcome(start(call))
        call.cancelled = scope.cancelled_caught
        call.ended = self.loop.time()
        call.connects = (
            len(self.net.connections) - opened + sum(one.requests > 0 for one in self.net.connections[:opened])
        )
        self.world.tell(f"call {call.n}: {'cancelled' if call.cancelled else _brief(call.outcome)}")
        return call.outcome


def sessions_of(client: LoopClient, files: FileHost) -> list[Any]:
    return [client._session, *client._lanes._sessions.values(), files._direct, files._proxied]  # type: ignore[union-attr]


async def _outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except Exception as error:  # noqa: BLE001  the oracle judges it
        return error


def _who(call: Call) -> str:
    return f"{call.n}@example.com"


def _brief(outcome: Any) -> str:
    if isinstance(outcome, tuple):
        return f"stored {outcome[0].bytes} bytes"
    return f"{type(outcome).__name__} {outcome}" if isinstance(outcome, BaseException) else repr(outcome)


def run(seed: int) -> Outcome:
    """Plays one seed. The same seed plays the same in every process."""
    simulated.install()
    return Run(seed).play()


def seeds_asked_for(about: str | None) -> argparse.Namespace:
    """`first`, and `last` if many are asked for."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=int, metavar="SEED", help="the one to play, or the first of many")
    parser.add_argument("last", type=int, nargs="?", metavar="LAST", help="the last of many")
    return parser.parse_args()


def main() -> int:
    asked = seeds_asked_for(__doc__)
    if asked.last is None:
        outcome = run(asked.first)
        print(*outcome.story, sep="\n")  # noqa: T201  this is its output
        print(*(outcome.violations or ["no violation"]), sep="\n")  # noqa: T201
        return bool(outcome.violations)
    hits: dict[str, int] = {}
    bad = calls = stored = 0
    for seed in range(asked.first, asked.last + 1):
        outcome = run(seed)
        calls, stored = calls + outcome.calls, stored + outcome.stored
        for kind, times in outcome.hits.items():
            hits[kind] = hits.get(kind, 0) + times
        if outcome.violations:
            bad += 1
            print(f"seed {seed}:", *outcome.violations[:5], sep="\n  ")  # noqa: T201
    print(f"{bad} bad seeds, {calls} calls, {stored} files stored, {sum(hits.values())} faults")  # noqa: T201
    print(", ".join(f"{kind} {times}" for kind, times in sorted(hits.items())))  # noqa: T201
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
