"""An in-memory world for the engine: a service, a file host, and everything that survives the end of a process.

A `World` may run the job again and again; each run has a fresh journal on the old disk, as a new process would.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.content.checker import Checker, digest_file
from orchestrator.engine import plan
from orchestrator.engine.memory import settle
from orchestrator.engine.policy import Limits, Policy, Polling, Retry
from orchestrator.engine.ports import Accepted, Body, FileBroken, NotFound, Shared, SignedUrl, Status
from orchestrator.engine.runner import Runner
from orchestrator.engine.states import State, apply
from orchestrator.errors import LeaseLostError
from orchestrator.job.expand import Export, export_key
from orchestrator.job.windows import Window
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.memory import Disk, MemoryJournal
from orchestrator.storage.memory import MemoryStorage

START = 1_800_000_000.0
"""When virtual time begins, in seconds since the epoch."""
BASE_URL = "https://api.test"
DAY = 86_400


def make_policy(*, fail_fast: bool = False, **changes: Any) -> Policy:
    """A policy with some of its figures changed: each name belongs to exactly one of its groups."""

    def group(cls: Any) -> Any:
        return cls(**{name: changes.pop(name) for name in list(changes) if name in cls.__dataclass_fields__})

    # `max` is both a poll's and a retry's; tests say which one they mean.
    polling, retry = changes.pop("polling", None), changes.pop("retry", None)
    # Fixed times are easier to foretell in a test; `test_engine_adaptive.py` has the policy that learns.
    if polling is None:
        changes.setdefault("policy", "backoff")
    made = Policy(group(Limits), polling or group(Polling), retry or group(Retry), fail_fast)
    assert not changes, f"no such figures: {changes}"
    return made


def make_export(n: int = 0, *, team: str = "support", path: str | None = None, **changes: Any) -> Export:
    """The n-th day of a job. What is asked for, and so its key, depends on `team` (its id) and `changes` only."""
    start = 1_700_006_400 + n * DAY
    values: dict[str, Any] = {
        "key": "",
        "coordinates": (("team", team), ("window", f"day-{n:03}")),
        "path": path or f"{team}/day-{n:03}.json",
        "impersonate": None,
        "window": Window(f"day-{n:03}", start, start + DAY),
        "timezone": "UTC",
        "start": start,
        "end": start + DAY,
        "format": "json",
        "teams": (team,),
        **changes,
    }
    export = Export(**values)
    key = export_key(BASE_URL, export.impersonate, export.request)
    return Export(**{**values, "key": key})


def make_exports(count: int, **changes: Any) -> list[Export]:
    return [make_export(n, **changes) for n in range(count)]


def rows_of(request: Mapping[str, Any]) -> bytes:
    """The file that the service makes of a request."""
    return json.dumps([{"row": n, "start": request["start"], "zone": request["timezone"]} for n in range(40)]).encode()


class LoopClock:
    """Virtual time: that of the event loop, which `looptime` winds on."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def now(self) -> float:
        return START + self.shift + asyncio.get_running_loop().time()


@dataclass
class Made:
    """A report on the service."""

    id: str
    request: Mapping[str, Any]
    created_at: float
    takes: float
    gets: int = 0


class Service:
    """The export API. Hooks plant faults: each gives the answer, or None for the usual one."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.latency = 0.05
        self.takes: Callable[[Mapping[str, Any]], float] = lambda request: 15.0
        self.before_post: Callable[[Mapping[str, Any], int], Any] = lambda request, n: None
        """Instead of a creation. `n` counts the POSTs of this request from 1."""
        self.after_post: Callable[[Mapping[str, Any], int], Any] = lambda request, n: None
        """After a creation: its answer is lost."""
        self.on_get: Callable[[Made, int], Any] = lambda made, n: None
        self.renewals = 0
        """How often another token is still to be found."""
        self.made: dict[str, Made] = {}
        self.posts: list[tuple[float, Mapping[str, Any]]] = []
        self.gets: list[tuple[float, str]] = []
        self.most_unfinished = 0

    @property
    def posts_sent(self) -> int:
        return len(self.posts)

    @property
    def gets_sent(self) -> int:
        return len(self.gets)

    @property
    def requests(self) -> list[float]:
        return sorted([at for at, _ in self.posts] + [at for at, _ in self.gets])

    def made_of(self, export: Export) -> list[Made]:
        return [made for made in self.made.values() if made.request == export.request]

    def unfinished(self) -> int:
        return sum(made.created_at + made.takes > self.clock.now() for made in self.made.values())

    async def create(self, request: Mapping[str, Any], identity: str | None) -> Any:
        self.posts.append((self.clock.now(), request))
        n = sum(posted == request for _, posted in self.posts)
        if (answer := self.before_post(request, n)) is not None:
            await asyncio.sleep(self.latency)
            return answer
        report_id = f"report-{len(self.made):04}"
        self.made[report_id] = Made(report_id, request, self.clock.now(), self.takes(request))
        self.most_unfinished = max(self.most_unfinished, self.unfinished())
        await asyncio.sleep(self.latency)
        return self.after_post(request, n) or Accepted(report_id, "Processing")

    async def get(self, report_id: str, identity: str | None) -> Any:
        self.gets.append((self.clock.now(), report_id))
        made = self.made.get(report_id)
        if made is None:
            await asyncio.sleep(self.latency)
            return NotFound()
        made.gets += 1
        answer = self.on_get(made, made.gets)
        await asyncio.sleep(self.latency)
        if answer is not None:
            return answer
        if self.clock.now() < made.created_at + made.takes:
            return Status("Processing")
        return completed(made)

    async def renew_credentials(self) -> bool:
        await asyncio.sleep(0)
        self.renewals -= 1
        return self.renewals >= 0


def completed(made: Made) -> Status:
    return Status("Completed", SignedUrl(f"https://files.test/{made.id}?Signature=canary"))


class FileHost:
    """The `Files`. `on_open` may raise, or give bytes to send instead, or how many bytes to send before the cut."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.on_open: Callable[[Made, int], bytes | int | None] = lambda made, n: None
        self.pause = 0.01
        self.block = 100
        self.etag: str | None = '"whole"'
        self.opened: list[tuple[float, str, int]] = []
        """When, which report, from which byte."""
        self.running = 0
        self.most_running = 0

    @asynccontextmanager
    async def open(self, url: SignedUrl, *, offset: int = 0, validator: str | None = None) -> AsyncIterator[Body]:
        made = self._service.made[url.reveal().rpartition("/")[2].partition("?")[0]]
        resumed = offset if validator is not None and validator == self.etag else 0
        self.opened.append((self._service.clock.now(), made.id, resumed))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.pause)
            told = self.on_open(made, sum(report_id == made.id for _, report_id, _ in self.opened))
            data = told if isinstance(told, bytes) else rows_of(made.request)
            cut = told if isinstance(told, int) else None
            yield Body(resumed, len(data) - resumed, None, None, self.etag, self._blocks(data[resumed:], cut))
        finally:
            self.running -= 1

    async def _blocks(self, data: bytes, cut: int | None) -> AsyncIterator[bytes]:
        for begin in range(0, len(data) if cut is None else cut, self.block):
            await asyncio.sleep(self.pause)
            yield data[begin : begin + self.block]
        if cut is not None:
            raise FileBroken("the body was cut", reached=True)


class Contents:
    def checker(self, format: str, encoding: str | None, content_type: str | None) -> Checker:  # noqa: A002  the port's word
        return Checker(format, encoding, content_type)

    def digest(self, format: str) -> Any:  # noqa: A002  the port's word
        return lambda file: digest_file(file, format)


class DyingJournal(MemoryJournal):
    """Dies with the n-th append: nothing is kept from then on (`after`: that one still is)."""

    def __init__(self, disk: Disk, *, dies_at: int | None = None, after: bool = False) -> None:
        super().__init__(disk)
        self.appends = 0
        self._dies_at = dies_at
        self._after = after

    async def append(self, events: Sequence[Any]) -> None:
        self.appends += 1
        last = self.appends == self._dies_at
        if self._dies_at is not None and self.appends >= self._dies_at and not (last and self._after):
            raise LeaseLostError("killed")
        await super().append(events)
        if last:
            raise LeaseLostError("killed")

    async def finish_run(self, report: Mapping[str, Any]) -> None:
        if self._dies_at is None or self.appends < self._dies_at:
            await super().finish_run(report)


@dataclass
class Told:
    """An observer that remembers."""

    all: list[Any] = field(default_factory=list)

    def tell(self, told: Any) -> None:
        self.all.append(told)

    def of(self, kind: type) -> list[Any]:
        return [told for told in self.all if isinstance(told, kind)]


class World:
    def __init__(self, exports: Iterable[Export] = (), **changes: Any) -> None:
        self.exports = list(exports)
        self.policy = make_policy(**changes)
        self.clock = LoopClock()
        self.service = Service(self.clock)
        self.files = FileHost(self.service)
        self.storage = MemoryStorage()
        self.disk = Disk()
        self.told = Told()
        self.journal = DyingJournal(self.disk)
        self.runner: Runner | None = None
        self.shared: Shared | None = None
        """What it shares with other runs of the account."""
        self.items: list[plan.Item] = []
        self.seed = 0

    async def recall(self) -> dict[str, Any]:
        """What the journal and the manifest know together, as the command line brings it about."""
        records = dict((await self.journal.open()).records)
        keep = {p.file.temp for r in records.values() for p in r.parts if p.state is State.VERIFIED and p.file}
        await self.storage.sweep(frozenset(temp for temp in keep if temp))
        settled = await settle(records, await self.storage.read_manifest(), self.storage, self.clock.now())
        await self.journal.append(settled.events)
        for event in settled.events:
            records[event.key] = apply(records.get(event.key), event)
        return records

    async def run(
        self,
        *,
        select: Iterable[Export] | None = None,
        options: plan.Options | None = None,
        park_after: float = float("inf"),
        **death: Any,
    ) -> dict[str, Any]:
        """One process: opens the journal, plans and runs. Gives the report."""
        self.journal = DyingJournal(self.disk)
        records = await self.recall()
        self.journal = DyingJournal(self.disk, **death)
        await self.journal.open()
        selected = self.exports if select is None else list(select)
        paths = plan.paths_to_look_at(records)
        self.items = plan.make(
            selected,
            records,
            dict(zip(paths, await self.storage.sizes(paths), strict=True)),
            now=self.clock.now(),
            options=options or plan.Options(),
            named={export.key for export in self.exports},
        )
        self.runner = Runner(
            api=self.service,
            files=self.files,
            storage=self.storage,
            contents=Contents(),
            journal=self.journal,
            account=JournalAccount(self.journal, self.clock),
            clock=self.clock,
            observer=self.told,
            policy=self.policy,
            random=random.Random(self.seed),
            shared=self.shared,
        )
        return await self.runner.run(
            job="job",
            run_id="run",
            items=self.items,
            records=records,
            park_at=self.clock.now() + park_after,
            manifest_stale=True,
        )

    def part(self, export: Export) -> Any:
        """The export's part as the runner believes it."""
        assert self.runner is not None
        return self.runner._records[export.key].parts[0]

    def good(self, *exports: Export) -> bool:
        """These are stored, each with the very bytes that the service made."""
        return all(self.storage.files.get(export.path) == rows_of(export.request) for export in exports)
