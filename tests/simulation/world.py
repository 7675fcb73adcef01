"""What survives the death of a process: the service, the disk, the journal, the job file. And the processes that live on it."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import disk as disks
import faults
from evidence import Call, Census, Commit, Download, Evidence, Gate, Process, sha
from loop import Deadlock, Killed, SimLoop, Spinning
from service import Service, SimApi, SimFiles

from orchestrator.cli import wiring
from orchestrator.cli.session import Session
from orchestrator.engine import plan
from orchestrator.engine.policy import Limits, Policy, Polling, Retry
from orchestrator.engine.ports import Accepted, ExportApi, Files, Snapshot
from orchestrator.engine.runner import Runner
from orchestrator.engine.states import FINAL, Event, Record, State
from orchestrator.errors import OrchestratorError, StorageError
from orchestrator.job.expand import Export, export_key
from orchestrator.job.windows import Window
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.memory import Disk
from orchestrator.journal.records import event_row, fold, record_from_text, record_text, to_text
from orchestrator.storage.local import LocalStorage
from orchestrator.storage.manifest import NAME

START = 1_800_000_000.0
"""True time 0, in seconds since the epoch."""
DAY = 86_400
BASE_URL = "https://api.test"
SOON = 1.5
"""Seconds within which a process must have kept what it heard (its journal's disk takes much less)."""


@dataclass(frozen=True)
class Cell:
    """One cell of the job, as the job file has it now."""

    n: int
    question: int = 0
    folder: str = "a"
    path_of: int = 0
    """Whose path it has: its own unless two have swapped theirs."""

    def export(self) -> Export:
        start = 1_700_006_400 + self.n * DAY
        zone = ("UTC", "Europe/Ljubljana")[self.question]
        values: dict[str, Any] = {
            "key": "",
            "coordinates": (("team", self.folder), ("window", f"day-{self.path_of}")),
            "path": f"{self.folder}/day-{self.path_of}.json",
            "impersonate": None,
            "window": Window(f"day-{self.n}", start, start + DAY),
            "timezone": zone,
            "start": start,
            "end": start + DAY,
            "format": "json",
            "teams": ("t",),
        }
        key = export_key(BASE_URL, None, Export(**values).request)
        return Export(**{**values, "key": key})


@dataclass(frozen=True)
class Death:
    """How a process is to end before its time: at the n-th time that it comes to `label`."""

    label: str
    n: int
    power_cut: bool


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = self.chance = random.Random(f"world {seed}")
        self.weather = faults.draw(random.Random(f"weather {seed}"))
        self.policy = draw_policy(chance, self.weather)
        self.evidence = Evidence(seed, self.policy, faultless=not self.weather.on)
        self.service = Service(self, random.Random(f"service {seed}"))
        self.disk = disks.SimDisk()
        self.disk_chance = random.Random(f"disk {seed}")
        self.journal = Disk()
        self.records: dict[str, Record] = {}
        """As committed."""
        self.offset = 0.0
        self.era = 0
        self.dead = True
        self.process: Process | None = None
        self.loop: SimLoop | None = None
        self.under_way: dict[int, tuple[Call, Mapping[str, Any]]] = {}
        self.story: list[tuple[float, str]] = []
        self._now = 0.0
        self._seq = 0
        self._death: Death | None = None
        self._times = 0
        self.labels: dict[str, int] = {}
        """Kills by label."""
        self.trouble: dict[str, tuple[float, float]] = {}
        """Kind of disk trouble → from when until when."""
        self.trusted = True
        """No memory was lost since a run has last looked which of the files that its memories name are there, and could write that down."""
        self.unlooked: frozenset[str] = frozenset()
        """Exports whose memory was lost and that no run that has ended since was asked for: nobody has looked where their files are."""
        self.killed_at = ""
        """Where the last process was killed; empty if it was not."""
        self.edited = False
        """The job file has changed since the last run."""
        self.older: list[tuple[Disk, dict[str, Record]]] = []
        self.older_manifests: list[bytes] = []
        count = chance.choice((1, 2, 3, 3, 4, 4, 5, 6))
        self.cells = [Cell(n, path_of=n) for n in range(count)]
        self.cell_poison: dict[int, str] = {}
        for kind in faults.POISON:
            if kind in self.weather and chance.random() < 0.3:
                self.cell_poison[chance.randrange(count)] = kind
        for kind in faults.SHAPE:
            if kind in self.weather:
                self.weather.hit(kind)
        self._names: dict[str, str] = {}
        self._register()

    # ------------------------------------------------------------------------------------------------- the job file

    def _register(self) -> None:
        for cell in self.cells:
            export = cell.export()
            self._names[export.key] = f"E{cell.n}{'ab'[cell.question]}"
            self.evidence.paths.setdefault(export.path, set()).add(export.key)
            if cell.n in self.cell_poison:
                self.evidence.poisoned[export.key] = self.cell_poison[cell.n]

    def name(self, key: str | None) -> str:
        return self._names.get(key or "", "?")

    def key_of(self, request: Mapping[str, Any], identity: str | None) -> str:
        return export_key(BASE_URL, identity, request)

    def exports(self) -> list[Export]:
        return [cell.export() for cell in self.cells]

    # ---------------------------------------------------------------------------------------------- time and records

    @property
    def now(self) -> float:
        return self.loop.time() if self.loop is not None else self._now

    def wall(self) -> float:
        return START + self.now + self.offset

    def seq(self) -> int:
        self._seq += 1
        return self._seq

    def note(self, text: str) -> None:
        self.story.append((self.now, text))

    def alive(self) -> None:
        """The dead can't touch the world."""
        if self.dead:
            raise Killed

    def point(self, label: str) -> None:
        """A place where the process can be killed."""
        death = self._death
        if death is None or death.label != label:
            return
        self._times += 1
        if self._times == death.n:
            self.die(label)

    def die(self, label: str) -> None:
        assert self.loop is not None
        assert self._death is not None
        how = "power cut" if self._death.power_cut else "kill"
        self.labels[label] = self.labels.get(label, 0) + 1
        self.killed_at = "" if self._death.power_cut else label
        self.weather.hit(how)
        self.note(f"✝ {how} at “{label}”")
        self.dead = True
        self.loop.killed = True
        raise Killed

    # ------------------------------------------------------------------------------------------------------- the API

    def call(self, kind: str, key: str | None, report_id: str | None = None) -> Call:
        assert self.process is not None
        call = Call(self.seq(), self.now, self.process.n, kind, key, report_id)
        if kind == "POST" and key is not None:
            record = self.records.get(key)
            call.live = tuple(r.id for p in record.parts for r in p.live) if record else ()
            call.claimed = self._claimed()
        self.evidence.calls.append(call)
        self.note(f"→ {kind} {report_id or self.name(key)}")
        return call

    def _claimed(self) -> int:
        """Creations that the journal can account for and that truly still run, and POSTs under way (this one's intent is one)."""
        assert self.process is not None
        now, reports = self.now, self.evidence.reports
        count = 0
        for record in self.records.values():
            part = record.parts[0]
            if record.key not in self.process.named:
                continue
            if part.state in (State.GENERATING, State.CREATING):
                count += sum(reports[r.id].unfinished(now) for r in part.live)
            count += part.state is State.CREATING
        return count + self._young_ghosts()

    def _young_ghosts(self) -> int:
        """Creations that nobody heard of, of this process, so young that any idea of how long a ghost lives covers them."""
        assert self.process is not None
        reports = self.evidence.reports
        known = [made.done_at - made.created_at for made in reports.values() if made.done_at < math.inf]
        young = (
            min([3 * max(self.policy.polling.first, self.policy.polling.every), *known]) - 1.0
        )  # an intent is a bit older
        return sum(
            call.made is not None
            and call.process == self.process.n
            and call.answered_seq is not None
            and not isinstance(call.answer, Accepted)
            and self.now - call.at < young
            and reports[call.made].unfinished(self.now)
            for call in self.evidence.calls
        )

    def answered(self, call: Call, answer: Any, wait: float | None, *, truly_sent: bool, status: int) -> None:
        call.answered_seq, call.answered_at, call.answer = self.seq(), self.now, answer
        assert self.process is not None
        self.process.api_trouble |= status == 0 or status >= 500
        told = type(answer).__name__
        detail = getattr(answer, "report_id", None) or getattr(answer, "status", None) or getattr(answer, "detail", "")
        self.note(f"← {call.kind} {call.report_id or self.name(call.key)}: {told} {detail}")
        if wait is not None:
            self.gate(wait, "api")

    def gate(self, wait: float, host: str) -> None:
        assert self.process is not None
        self.evidence.gates.append(Gate(self.seq(), self.now, self.now + wait, self.process.n, host))
        self.note(f"the {host} host asks for {wait:g} s of silence")

    def download(self, report_id: str) -> Download:
        assert self.process is not None
        download = Download(self.seq(), self.now, self.process.n, report_id)
        self.evidence.downloads.append(download)
        return download

    # ------------------------------------------------------------------------------------------------------ the disk

    def in_trouble(self, kind: str) -> bool:
        began, ends = self.trouble.get(kind, (0.0, 0.0))
        return began <= self.now < ends and not self.weather.calm

    def before_disk(self, operation: str, name: str) -> None:
        self.alive()
        self.point(f"disk {operation}")
        if operation != "read":
            self.note(f"disk: {operation} {name}")
        assert self.process is not None
        if operation in ("create", "write", "mkdir") and self.in_trouble("disk full"):
            self.process.disk_trouble = True
            self.weather.hit("disk full")
            raise OSError(28, "No space left on device")
        if operation in ("write", "rename", "fsync", "fsync folder") and self.weather.strikes("disk error", 0.1):
            self.process.disk_trouble = True
            raise OSError(5, "Input/output error")

    def placed(self, file: disks.File) -> None:
        """A file has got a name in the output folder."""
        for path, data in self.disk.files().items():
            if data == file.data:
                self._show(path, data)

    def _show(self, path: str, data: bytes) -> None:
        if path != NAME and not path.endswith(".moving"):  # where a file of a ring waits
            self.evidence.shown.append((self.seq(), path, sha(data)))

    # --------------------------------------------------------------------------------------------------- the journal

    def committed(self, events: Sequence[Event]) -> None:
        assert self.process is not None
        for event in events:
            self.evidence.commits.append(Commit(self.seq(), self.now, self.process.n, self.era, event))
            detail = {k: v for k, v in event_row_data(event).items() if v not in ("", None)}
            self.note(f"journal: {event.kind} {self.name(event.key)} {detail}")
        for event in events:
            self.point(f"durable {event.kind}")

    # --------------------------------------------------------------------------------------------------- a process

    def run(
        self,
        *,
        death: Death | None = None,
        park_after: float | None = None,
        deadline: float | None = None,
        only: plan.Only = "missing",
    ) -> Process:
        """One process from its start to its end, whichever that is."""
        evidence = self.evidence
        number = len(evidence.processes)
        exports = self.exports()
        named = frozenset(export.key for export in exports)
        process = Process(number, self._now, self.offset, self.era, self.weather.calm, named, self._seq, tuple(exports))
        process.only = only
        if not self.trusted and self._is_blind():
            evidence.blind_since = min(evidence.blind_since, self.seq())
        process.starts_clean = self._is_clean(exports) and only == "missing"
        evidence.processes.append(process)
        self.process, self._death, self._times, self.dead = process, death, 0, False
        self.killed_at = ""
        self.loop = loop = self.new_loop(f"loop {self.seed} {number}")
        sim = disks.SimOs(self.disk, self.before_disk, self.placed)
        tokens = random.Random(f"names {self.seed} {number}")
        disks.install(sim, lambda n: f"{tokens.getrandbits(8 * n):0{2 * n}x}")
        self.note(f"── process {number} (clock {self.offset:+g} s{', no more faults' if self.weather.calm else ''})")
        try:
            process.report = loop.run_until_complete(self._live(process, park_after, deadline, only))
            process.how = "ended"
        except Killed:
            process.how = "power cut" if death is not None and death.power_cut else "kill"
        except Spinning:
            process.how = "spinning"
        except Deadlock:
            process.how = "deadlock"
        except OrchestratorError as error:
            process.how, process.error = "refused to start", error
        except Exception as bug:  # noqa: BLE001  whatever it is, the oracle tells it
            process.how, process.error = "bug", bug
        self.dead = True
        process.steps = loop.steps
        self._now = process.ended_at = loop.time()
        loop.bury()
        self.loop = None
        self._arrive_late()
        if process.how == "power cut":
            self.disk.power_cut(self.disk_chance)
        outcome = process.report["outcome"] if process.report else process.error or ""
        self.note(f"── process {number} ended: {process.how} {outcome}")
        self._take_stock(process)
        self.process = None
        return process

    def new_loop(self, seed: str) -> SimLoop:
        return SimLoop(seed, self._now, self._io)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[ExportApi, Files]]:
        """What a process reaches the service and the file host by."""
        yield SimApi(self), SimFiles(self)

    def _is_blind(self) -> bool:
        """No memory fits what lies there, and no size tells: bytes that none knows, or all at home but for their contents."""
        files = self.disk.files()
        records = [record_from_text(text) for text in self.journal.records.values()]
        known = [file for r in records for p in r.parts for file in (p.stored, p.file) if file is not None]
        claims = {(file.path, file.bytes, file.sha256) for file in known}
        if NAME in files:
            claims |= {(x["path"], x["bytes"], x["sha256"]) for x in json.loads(files[NAME])["exports"]}
        at_home = {path for path, size, _ in claims if path in files and len(files[path]) == size}
        odd = {path: sha(files[path]) for path in at_home if (path, len(files[path]), sha(files[path])) not in claims}
        all_at_home = bool(records) and all(path in at_home for path, _, _ in claims)
        return any(all_at_home or sha256 not in {known for _, _, known in claims} for sha256 in odd.values())

    def _is_clean(self, exports: list[Export]) -> bool:
        files = self.disk.files()
        for export in exports:
            record = self.records.get(export.key)
            if record is None or record.state is not State.STORED or record.path != export.path:
                return False
            file = record.parts[0].stored
            if file is None or file.path != export.path or sha(files.get(export.path, b"")) != file.sha256:
                return False
        return not any(
            part.live and record.state not in FINAL for record in self.records.values() for part in record.parts
        )

    def done(self) -> bool:
        """Everything that can be stored is."""
        files = self.disk.files()
        for export in self.exports():
            record = self.records.get(export.key)
            if export.key in self.evidence.poisoned:
                continue
            if record is None or record.state is not State.STORED or export.path not in files:
                return False
        return True

    async def _live(
        self, process: Process, park_after: float | None, deadline: float | None, only: plan.Only
    ) -> Mapping[str, Any]:
        """What `cli/session.py` does between the lock and the report."""
        clock = SimpleNamespace(now=self.wall)
        task = SimpleNamespace(
            name="job",
            root="out",
            exports=list(process.exports),
            named=process.named,
            options=plan.Options(only=only),
        )
        journal = SimJournal(self)
        snapshot = await journal.open()
        async with (
            LocalStorage(disks.SimPath("root"), disks.SimPath("state")) as storage,  # type: ignore[arg-type]  # stands in for a Path
            self.connected() as (api, files),
        ):
            recall = Session._recall
            memory = await recall(
                SimpleNamespace(_task=task, _clock=clock, _speech=SimpleNamespace(note=self.note)),
                journal,
                snapshot,
                storage,
                adopt=False,
            )  # type: ignore[arg-type]  # as above
            items = await wiring.make_plan(task, memory, storage, clock.now())  # type: ignore[arg-type]  # as above
            runner = Runner(
                api=api,
                files=files,
                storage=storage,
                contents=wiring.Contents(),
                journal=journal,
                account=JournalAccount(journal, clock),
                clock=clock,
                observer=Told(self),
                policy=self.policy,
                random=random.Random(f"engine {self.seed} {process.n}"),
            )
            if park_after is not None:
                asyncio.get_running_loop().call_later(park_after, self._signal, runner)
            if deadline is not None:
                self.weather.hit("deadline")
                process.parked_by = "deadline"
            report = await runner.run(
                job="job",
                run_id=f"run-{process.n}",
                items=items,
                records=memory.records,
                park_at=math.inf if deadline is None else clock.now() + deadline,
                manifest_stale=memory.manifest_is_stale("job"),
            )
            if runner.bug is not None:
                raise runner.bug
            self.evidence.texts.append(json.dumps({**report, "exports": list(report["exports"])}))
            self.point("report written")
        return report

    def _signal(self, runner: Runner) -> None:
        assert self.process is not None
        self.process.parked_by = "signal"
        self.weather.hit("park")
        self.note("SIGTERM")
        runner.park("SIGTERM came")

    def _io(self) -> float:
        return self.disk_chance.uniform(0.0005, 0.4 if "slow disk" in self.weather else 0.02)

    def _arrive_late(self) -> None:
        """What the dead process had sent may still arrive."""
        for call, request in self.under_way.values():
            if self.chance.random() < 0.5:
                self.service.post(call, request)
        self.under_way.clear()

    def _take_stock(self, process: Process) -> None:
        evidence = self.evidence
        files = self.disk.files()
        for path, data in files.items():
            self._show(path, data)
        hashes = {path: sha(data) for path, data in files.items()}
        if process.how == "ended" and not process.disk_trouble:
            self.trusted = evidence.blind_since == math.inf
            self.unlooked -= process.named
        evidence.census.append(Census(self.seq(), process.n, hashes, dict(self.records), self.trusted, self.unlooked))
        evidence.census[-1].temps = frozenset(path.rpartition("/")[2] for path in self.disk.files(self.disk.state))
        manifest = files.get(NAME)
        evidence.manifest = json.loads(manifest) if manifest is not None else None
        evidence.manifest_at_ends.append((process.n, evidence.manifest))
        for gate in evidence.gates:
            if gate.process == process.n and process.how != "ended" and process.ended_at - gate.at < SOON:
                gate.durable = False
        if manifest is not None:
            self.older_manifests.append(manifest)
        self.older.append((copy.deepcopy(self.journal), dict(self.records)))

    # ------------------------------------------------------------------------------------------ between processes

    def wait(self, seconds: float) -> None:
        self._now += seconds

    def forget(self, what: str) -> None:
        self.era += 1
        self.trusted = False
        self.unlooked = frozenset(export.key for p in self.evidence.processes for export in p.exports)
        self.evidence.forgotten.append((self.seq(), what))
        self.note(f"between: {what}")
        self.weather.hit(what)

    def last_texts(self) -> None:
        """Everything that lies around, for the hunt for secrets."""
        journal = self.journal
        self.evidence.texts += list(journal.records.values()) + [row[4] for row in journal.events] + journal.runs
        self.evidence.texts.append(json.dumps(self.evidence.manifest))


class Told:
    """The observer: what people would be shown is hunted for secrets."""

    def __init__(self, world: World) -> None:
        self._world = world

    def tell(self, told: Any) -> None:
        if self._world.dead:
            return
        name = type(told).__name__
        if name in ("Troubled", "Paused", "OutageBegan", "Parking"):
            self._world.evidence.texts.append(repr(told))
        if name in ("OutageBegan", "OutageEnded", "Parking", "Paused"):
            self._world.note(f"told: {told}")


class SimJournal:
    """Implements `Journal` and the account's keeper on the world's journal disk, as the one in SQLite does: one writer,
    who commits what has gathered in groups, in order; what was handed in is written even if its caller has gone.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.account: dict[str, Any] = {}
        self._wishes: list[tuple[Callable[[], None], asyncio.Future[None]]] = []
        self._writing = False
        self._notes: dict[str, Any] = {}

    async def open(self) -> Snapshot:
        disk = self.world.journal
        self.world.records = {key: record_from_text(text) for key, text in disk.records.items()}
        self.account = {name: json.loads(text) for name, text in disk.account.items()}
        return Snapshot(dict(self.world.records), json.loads(disk.runs[-1]) if disk.runs else None)

    async def append(self, events: Sequence[Event]) -> None:
        self.world.alive()
        for event in events:
            self.world.point(f"before {event.kind}")
        if events:
            await self._wish(lambda: self._commit(events))

    def _commit(self, events: Sequence[Event]) -> None:
        world = self.world
        rows = [event_row(event) for event in events]
        changed = fold(events, world.records.get)
        world.records.update(changed)
        world.journal.records.update((key, record_text(record)) for key, record in changed.items())
        world.journal.events += rows
        world.committed(events)

    async def finish_run(self, report: Mapping[str, Any]) -> None:
        await self._wish(
            lambda: self.world.journal.runs.append(
                to_text({name: said for name, said in report.items() if name != "exports"})
            )
        )

    async def remember(self, name: str, value: Any) -> None:
        def keep() -> None:
            self.account[name] = value
            self.world.journal.account[name] = to_text(value)
            self.world.note(f"journal: {name} {value}")
            self.world.point("gate durable")

        self.world.alive()
        await self._wish(keep)

    def note(self, name: str, value: Any) -> None:
        self.account[name] = value
        self._notes[name] = value

    async def _wish(self, write: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._wishes.append((write, future))
        if not self._writing:
            self._writing = True
            loop.call_later(self.world._io(), self._write)
        await future

    def _write(self) -> None:
        world = self.world
        world.alive()
        wishes, self._wishes = self._wishes, []
        full = world.in_trouble("journal full")
        for write, future in wishes:
            error: Exception | None = None
            if full:
                assert world.process is not None
                world.weather.hit("journal full")
                world.process.disk_trouble = True
                for gate in world.evidence.gates:
                    if gate.process == world.process.n and world.now - gate.at < SOON:
                        gate.durable = False
                error = StorageError("the journal's disk is full", code="storage.full")
            else:
                try:
                    write()
                except Exception as bug:  # noqa: BLE001  the caller's: an illegal move
                    error = bug
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        world.journal.account.update((name, to_text(value)) for name, value in self._notes.items())
        self._notes.clear()
        self._writing = bool(self._wishes)
        if self._writing:
            asyncio.get_running_loop().call_later(world._io(), self._write)


def event_row_data(event: Event) -> dict[str, Any]:
    """What is worth a word in the story."""
    names = ("n", "report_id", "cause", "status", "code", "path", "by", "reason", "detail")
    data = {name: getattr(event, name) for name in names if hasattr(event, name)}
    return {name: str(value) for name, value in data.items() if value is not None}


def draw_policy(chance: random.Random, weather: faults.Weather) -> Policy:
    return Policy(
        limits=Limits(
            unfinished=chance.choice((1, 2, 3, 16)),
            requests_per_second=chance.choice((0.5, 1.0, 2.0, 5.0)),
            downloads=chance.choice((1, 2, 3)),
            longest_pause=chance.choice((120.0, 900.0)),
        ),
        polling=Polling(
            policy=chance.choice(("adaptive", "adaptive", "backoff", "steady")),
            first=chance.choice((5.0, 10.0)),
            every=chance.choice((5.0, 10.0)),
            max=chance.choice((30.0, 60.0)),
        ),
        retry=Retry(
            attempts=chance.choice((3, 4, 6)),
            max=chance.choice((10.0, 60.0)),
            exports=chance.choice((1, 2, 3)),
            stuck_after=chance.choice((300.0, 900.0)),
            outage=chance.choice((120.0, 300.0)),
            ambiguous="stop" if "stop" in weather else "recreate",
        ),
    )
