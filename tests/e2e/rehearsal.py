"""The program as its users start it: a process of its own, real HTTP, real files, real signals.

The service is the project's simulator, in the test's process, so that a test can wait for what arrives there instead of
guessing how long something takes, and can hold the program to the ledger of every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.simulator.rows import expected_result
from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.server import Simulator

TOKEN = "canary-token-5b1f7c20d9"
LEFT_BY_THE_OS = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "XDG_RUNTIME_DIR")


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def people(self) -> str:
        """What people read, without the breaks of its lines."""
        return " ".join(self.err.split())

    def __str__(self) -> str:
        return f"exit {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Running:
    """A process that has been started. Its lines are read as they come, so it never stops at a full pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._out = bytearray()
        self._err = bytearray()
        self._news = asyncio.Event()
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self._out)),
            asyncio.create_task(self._read(process.stderr, self._err)),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, into: bytearray) -> None:
        while stream is not None and (data := await stream.read(65536)):
            into += data
            self._news.set()
        self._news.set()

    async def says(self, text: str) -> None:
        """Waits until `text` stands on stdout or stderr; an AssertionError if the process ends without it."""
        wanted = text.encode()
        while wanted not in self._err and wanted not in self._out:
            if all(reader.done() for reader in self._readers):
                raise AssertionError(f"it never said {text!r}: {await self.ended()}")
            self._news.clear()
            await self._news.wait()

    async def address(self) -> str:
        """The base URL that `simulate` prints when it listens."""
        await self.says("Ctrl-C ends it")
        return self._out.decode().strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> Ended:
        await asyncio.gather(*self._readers)
        status = await self.process.wait()
        return Ended(status, self._out.decode(errors="replace"), self._err.decode(errors="replace"))


@dataclass
class Rehearsal:
    """A folder with a job file in it, a service, and the program."""

    folder: Path
    sim: Simulator
    scenario: dict[str, Any]
    env: dict[str, str] = field(default_factory=lambda: {"LOOP_API_TOKEN": TOKEN})
    _started: list[Running] = field(default_factory=list)

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def state(self) -> Path:
        return self.exports / ".orchestrator"

    def job(self, *, months: int = 3, teams: Sequence[str] = (), name: str = "job.yaml", **sections: Any) -> Path:
        """Writes a job of `months` × `teams` that is in a hurry; `sections` go over what it says otherwise."""
        last = f"{2020 + (months - 1) // 12}-{(months - 1) % 12 + 1:02}"
        matrix: dict[str, Any] = {"window": {"every": "month", "from": "2020-01", "to": last}}
        if teams:
            matrix = {"team": {team: f"id-{team}" for team in teams}} | matrix
        document: dict[str, Any] = {
            "version": 1,
            "name": "rehearsal",
            "api": {"base_url": self.sim.base_url, "token": "${LOOP_API_TOKEN}"},
            "matrix": matrix,
            "limits": {"unfinished": 100, "requests_per_second": 400, "downloads": 8},
            "polling": {"policy": "backoff", "first": 0.1, "every": 0.1, "max": 0.3},
            "retry": {"base": 0.05, "max": 0.2},
            "output": {"to": "./exports"},
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(_merged(document, sections), sort_keys=False, allow_unicode=True))
        return path

    def change(self, **scenario: Any) -> None:
        """From now on the service is another one in these points. What it has created keeps its fate."""
        self.scenario |= scenario
        self.sim.swap(Scenario(**self.scenario))

    async def start(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        python: Sequence[str] = (),
        program: Sequence[str] = ("-m", "orchestrator"),
        **more: Any,
    ) -> Running:
        """Starts `orchestrator ARGUMENTS…` in the folder, in an environment that knows little but `self.env`."""
        outside = {name: os.environ[name] for name in LEFT_BY_THE_OS if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *python,
            *program,
            *map(str, arguments),
            cwd=self.folder,
            env=outside | {"HOME": str(self.folder)} | self.env | dict(env or {}),
            stdin=more.pop("stdin", asyncio.subprocess.DEVNULL),
            stdout=more.pop("stdout", asyncio.subprocess.PIPE),
            stderr=more.pop("stderr", asyncio.subprocess.PIPE),
            **more,
        )
        running = Running(process)
        self._started.append(running)
        return running

    async def run(self, *arguments: object, **more: Any) -> Ended:
        return await (await self.start(*arguments, **more)).ended()

    async def report(self, *arguments: object, status: int = 0, **more: Any) -> Any:
        """The document of `run JOB --json`, which must end with `status`."""
        ended = await self.run("run", *(arguments or ("job.yaml",)), "--json", **more)
        assert ended.status == status, str(ended)
        return ended.json

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something to happen at the service: the far side of a socket gives no signal."""
        while not condition():  # noqa: ASYNC110 - as said above
            await asyncio.sleep(0.002)

    def requests(self) -> int:
        ledger = self.sim.stats
        return len(ledger.api) + len(ledger.downloads)

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.exports / "manifest.json").read_text())

    def check_stored(self, count: int, *, revisions: Mapping[str, int] | None = None) -> None:
        """`count` files are stored, each as the manifest and the service have it, and nothing else lies about."""
        entries = self.manifest()["exports"]
        assert len(entries) == count
        for entry in entries:
            data = (self.exports / entry["path"]).read_bytes()
            wanted = expected_result(entry["request"], self.sim.scenario, (revisions or {}).get(entry["path"], 0))
            assert hashlib.sha256(data).hexdigest() == entry["sha256"] == wanted.sha256, entry["path"]
            assert len(data) == entry["bytes"] == wanted.bytes
            if entry["request"]["resultFormat"] == "Json":
                assert len(json.loads(data)) == entry["rows"] == wanted.rows
        assert self.data_files() == {entry["path"] for entry in entries}
        assert not self.leftovers()

    def data_files(self) -> set[str]:
        return {
            str(path.relative_to(self.exports))
            for path in self.exports.rglob("*")
            if path.is_file() and self.state not in path.parents and path.name != "manifest.json"
        }

    def leftovers(self) -> list[str]:
        """Whatever lies in the state folder and is neither journal, lock nor its `.gitignore`."""
        known = {"journal.db", "lock", ".gitignore"}
        return sorted(path.name for path in self.state.rglob("*") if path.is_file() and path.name not in known)

    async def close(self) -> None:
        for running in self._started:
            if running.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    running.process.kill()
            await running.ended()


@contextlib.asynccontextmanager
async def rehearsal(folder: Path, **scenario: Any) -> AsyncIterator[Rehearsal]:
    """A service that is quick and calm unless `scenario` says otherwise, and a folder to work in."""
    played = {"duration": 0.1, "rows": 3, "url_escapes": True} | scenario
    async with Simulator(Scenario(**played)) as sim:
        stage = Rehearsal(folder, sim, played)
        try:
            yield stage
        finally:
            await stage.close()


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, anything else is replaced; None takes a key away."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
