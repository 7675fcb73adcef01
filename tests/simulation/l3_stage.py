"""Where the stories of level L3 happen: a service, a folder, and processes of the real program that are forked from one."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence import sha
from l3_phases import CALM, JOURNAL_BEGINS, PHASES, RETRY_AFTER, job_file, scenario
from secrets_hunt import files_below, hunt

from orchestrator.cli.options import Ask
from orchestrator.cli.task import Task, load
from orchestrator.engine.states import Record
from orchestrator.errors import JournalError
from orchestrator.journal.reader import read_snapshot
from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.server import Simulator

PROGRAM = Path(__file__).with_name("killpoints.py")
TOKEN = "CANARYTOKEN-5b1f7c20d9"
SECRETS = (TOKEN, "Signature=", "KSIMULATOR0001")
"""The token, and what every signed URL has in its query."""
RUN = ("run", "job.yaml", "--json", "--verbose")
KILL = (signal.SIGKILL,)
ANY, MOMENT = "any", "moment"
"""Labels: whichever point it is; so many thousandths of the time that an undisturbed run takes."""
PATIENCE = 120.0
"""Seconds after which a process that says nothing any more is taken for stuck."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What happens to a process: at the `nth` passing of `label` it gets `signals`, each once the one before was heard.

    With a `fault` it is a call to the disk that fails there instead (`ENOSPC`, `EIO-once`: see `diskpoints.py`).
    """

    label: str
    nth: int = 1
    signals: tuple[signal.Signals, ...] = KILL
    fault: str = ""

    def __str__(self) -> str:
        names = self.fault or "+".join(number.name.removeprefix("SIG") for number in self.signals)
        return f"{self.label}:{self.nth}" + (f"={names}" if names != "KILL" else "")

    @property
    def kills(self) -> bool:
        return self.signals == KILL and not self.fault

    def environment(self, takes: float) -> dict[str, str]:
        """For `killpoints.py`; `takes` is how long an undisturbed run takes, in seconds."""
        numbers = ",".join(str(int(number)) for number in self.signals)
        what = {"KILLPOINT_FAULT": self.fault} if self.fault else {"KILLPOINT_SIGNALS": numbers}
        if self.label == MOMENT:
            return what | {"KILLPOINT_AFTER": str(self.nth / 1000 * takes)}
        return what | {"KILLPOINT": self.label, "KILLPOINT_NTH": str(self.nth)}


@dataclass(frozen=True, slots=True)
class Passing:
    label: str
    at: float
    struck: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A process, and what it left. Times are the machine's monotonic ones."""

    status: int | None
    """None: it was stuck, and ended by us."""
    out: str
    err: str
    began: float
    ended: float
    passings: Sequence[Passing]
    files: Mapping[str, str] = field(default_factory=dict)
    """Final names and the hashes of what lies there."""
    strays: Sequence[str] = ()
    """Whatever else lies in the state folder."""
    manifest: Mapping[str, Any] | None = None
    records: Mapping[str, Record] = field(default_factory=dict)
    damage: str | None = None
    """Why the journal could not be read."""
    leaks: Sequence[tuple[str, str, str]] = ()
    """Secrets in what it said and in whatever lay there afterwards, the journal's log included."""

    @property
    def report(self) -> Mapping[str, Any] | None:
        with contextlib.suppress(ValueError):
            return json.loads(self.out)
        return None

    @property
    def kind(self) -> str:
        """What was left, but for what differs from run to run: two deaths that left the same are followed by the same."""
        strays = sorted("part" if name.endswith(".part") else name for name in self.strays)
        parts = [
            (key, str(part.state), part.intents, len(part.reports))
            for key, r in self.records.items()
            for part in r.parts
        ]
        manifest = sorted(entry["path"] + entry["key"] for entry in (self.manifest or {"exports": ()})["exports"])
        return repr((sorted(self.files.items()), strays, sorted(parts), manifest))

    @property
    def struck(self) -> Passing | None:
        return next((passing for passing in self.passings if passing.struck), None)


def _clocks() -> tuple[float, float]:
    """The wall clock, and what makes its time a monotonic one: of several looks at both the one interrupted least."""
    looks = []
    for _ in range(20):
        before, wall, after = time.monotonic(), time.time(), time.monotonic()  # noqa: TID251 - what other processes go by
        looks.append((after - before, wall, (before + after) / 2 - wall))
    return min(looks)[1:]


class Server:
    """The program, loaded once; see `killpoints.py`. One process at a time."""

    def __init__(self, process: asyncio.subprocess.Process, scratch: Path) -> None:
        self._process = process
        self._scratch = scratch
        self.clocks: list[tuple[float, float]] = []
        """As they were from time to time while processes ran: a machine may set its wall clock meanwhile."""

    async def run(
        self, folder: Path, arguments: Sequence[str], hit: Mapping[str, str], *, cold: bool, bug: str | None
    ) -> Ended:
        out, err, log = (self._scratch / name for name in ("out", "err", "log"))
        log.unlink(missing_ok=True)
        env = {"HOME": str(folder), "PATH": os.defpath, "LOOP_API_TOKEN": TOKEN, "KILLPOINT_LOG": str(log)}
        # A pause is of one story, though all of them meet the service at one port.
        env["XDG_RUNTIME_DIR"] = str(folder / "runtime")
        env["SSL_CERT_FILE"] = os.devnull  # nothing here is TLS, and to read the system's certificates takes 40 ms
        if bug is not None:
            env["KILLPOINT_BUG"] = bug
        env |= hit
        began = time.monotonic()
        self.clocks.append(_clocks())
        watching = asyncio.create_task(self._watch_clocks())
        try:
            status, ended = await (self._start if cold else self._fork)(folder, list(arguments), env, out, err)
        finally:
            watching.cancel()
        lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
        passings = [Passing(label, float(at), struck == "1") for label, at, struck in lines]
        return Ended(status, out.read_text(), err.read_text(), began, ended, passings)

    async def _watch_clocks(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.clocks.append(_clocks())

    async def _fork(
        self, folder: Path, arguments: list[str], env: Mapping[str, str], out: Path, err: Path
    ) -> tuple[int | None, float]:
        command = {"folder": str(folder), "env": env, "out": str(out), "err": str(err), "arguments": arguments}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        child = (await self._answer())["pid"]
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._answer()
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            return None, (await self._answer())["ended"]
        return answer["status"], answer["ended"]

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the fork server has ended"
        return json.loads(line)

    async def _start(
        self, folder: Path, arguments: list[str], env: Mapping[str, str], out: Path, err: Path
    ) -> tuple[int | None, float]:
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, PROGRAM, *arguments, cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout, stderr=stderr,
            )  # fmt: skip
        return await process.wait(), time.monotonic()


class Stage:
    """A service, a server of processes, and the folders in which each phase begins."""

    def __init__(self, root: Path, sim: Simulator, server: Server) -> None:
        self.sim = sim
        self.folder = root / "here"
        self.passings: dict[str, list[str]] = {}
        """Phase → the labels that an undisturbed run passes, in order; calls to the disk are apart."""
        self.disk: dict[str, list[str]] = {}
        """Phase → the calls to the disk."""
        self.idle: list[str] = []
        """The labels that a run with nothing to do passes, and so every run."""
        self.phase = ""
        self.retry_after = RETRY_AFTER
        """For how long the service asks for silence, in seconds."""
        self._takes: dict[str, float] = {}
        self._heard: dict[str, dict[str, list[Any]]] = {}
        self._root = root
        self._server = server

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def state(self) -> Path:
        return self.exports / ".orchestrator"

    async def prepare(self) -> None:
        """An undisturbed run of each phase: the next one begins where it ends."""
        self.folder.mkdir()
        for phase in PHASES.values():
            (self.folder / "job.yaml").write_text(job_file(phase, self.sim.base_url))
            if phase.name != "begin":
                phase.meddle(self.exports)
            shutil.copytree(self.folder, self._root / phase.name)
            self.sim.swap(scenario(phase, self.retry_after))
            self._heard[phase.name] = {} if phase.name in JOURNAL_BEGINS else self._ledger()
            ended = await self.run()
            assert ended.status == 0, f"an undisturbed run: exit {ended.status}\n{ended.out}\n{ended.err}"
            self._takes[phase.name] = ended.ended - ended.began
            for apart, kept in ((False, self.passings), (True, self.disk)):
                kept[phase.name] = [p.label for p in ended.passings if p.label.startswith("disk.") is apart]
        self.idle = [p.label for p in (await self.run()).passings if not p.label.startswith("disk.")]

    def _ledger(self) -> dict[str, list[Any]]:
        return {kind: list(getattr(self.sim.stats, kind)) for kind in ("posts", "polls", "downloads")}

    def monotonic(self, wall: float) -> float:
        """What the monotonic clock showed when a process saw this time on the wall clock."""
        began = bisect.bisect_right(self._server.clocks, wall, key=lambda clocks: clocks[0])
        return wall + self._server.clocks[max(0, began - 1)][1]

    def heard_before(self, phase: str, kind: str) -> Sequence[Any]:
        """What the service had heard, when this phase was first played, of what the journal then knew."""
        return self._heard[phase].get(kind, ())

    def begin(self, phase: str) -> Task:
        """Everything as it is when the phase begins, and its job."""
        self.phase = phase
        shutil.rmtree(self.folder)
        shutil.copytree(self._root / phase, self.folder)
        self.sim.swap(scenario(PHASES[phase], self.retry_after))
        return self.task()

    def task(self) -> Task:
        return load(str(self.folder / "job.yaml"), Ask(), {"LOOP_API_TOKEN": TOKEN}, time.time())  # noqa: TID251 - as the program does

    async def run(self, *arguments: str, hit: Hit | None = None, cold: bool = False, bug: str | None = None) -> Ended:
        """`run JOB` unless `arguments` say otherwise, and what lies there afterwards."""
        what = {} if hit is None else hit.environment(self._takes[self.phase])
        ended = await self._server.run(self.folder, arguments or RUN, what, cold=cold, bug=bug)
        await self._settle()
        left = files_below(self.folder)
        leaks = hunt({"stdout": ended.out.encode(), "stderr": ended.err.encode()} | left, SECRETS)
        files, manifest, strays = {}, None, []
        for path, data in ((Path(path), data) for path, data in left.items()):
            if self.exports not in path.parents:
                continue
            name = str(path.relative_to(self.exports))
            if self.state in path.parents:
                strays.append(str(path.relative_to(self.state)))
            elif name == "manifest.json":
                manifest = json.loads(data)
            else:
                files[name] = sha(data)
        records, damage = self._records()
        return dataclasses.replace(
            ended, files=files, strays=strays, manifest=manifest, records=records, damage=damage, leaks=leaks
        )

    def manifest(self) -> Mapping[str, Any]:
        """As it lies there; empty if none does."""
        path = self.exports / "manifest.json"
        return json.loads(path.read_bytes()) if path.exists() else {"exports": []}

    async def _settle(self) -> None:
        """Lets the service hear what the dead have sent: it lives in this process, which may have been busy meanwhile.

        What is sent now comes after it; twice, for a connection is accepted in one round of the loop and read in another.
        """
        host, _, port = self.sim.base_url.removeprefix("http://").partition(":")
        for _ in range(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /_sim/none HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()

    def _records(self) -> tuple[Mapping[str, Record], str | None]:
        """What the journal says, read from a copy: to look must not mend anything but there."""
        copy = self._copy_journal()
        if (copy / "journal.db-journal").exists():  # what SQLite takes back when the next one writes
            with (
                contextlib.closing(sqlite3.connect(copy / "journal.db")) as journal,
                contextlib.suppress(sqlite3.Error),
            ):
                journal.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            snapshot = read_snapshot(copy)
        except JournalError as error:
            return {}, error.message
        return ({} if snapshot is None else snapshot.records), None

    def journalled(self) -> list[tuple[str, str, int, float, str]]:
        """Kind, key, part, time and data of all events in the journal, in order."""
        copy = self._copy_journal()
        if not (copy / "journal.db").exists():
            return []
        with contextlib.closing(sqlite3.connect(copy / "journal.db")) as journal:
            return journal.execute("SELECT kind, key, part, at, data FROM events ORDER BY seq").fetchall()

    def _copy_journal(self) -> Path:
        copy = self._root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("journal.db", "journal.db-wal", "journal.db-journal"):
            if (self.state / name).exists():
                shutil.copy(self.state / name, copy / name)
        return copy


@contextlib.asynccontextmanager
async def stage(root: Path) -> AsyncIterator[Stage]:
    """A stage in `root`, whose phases have been played once."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, "serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with Simulator(Scenario.model_validate(CALM)) as sim:
            built = Stage(root, sim, Server(process, root))
            await built.prepare()
            yield built
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
