"""Points of the real program at which a process can be made to die, or to hear a signal.

The program itself knows nothing of them: its functions are wrapped from outside, before `main` runs. Each passing of a
point is written to a file, so that a story can be told afterwards and a dry run shows which points there are.

    killpoints.py serve          a fork server: loads the program once, and forks a process for each command it is sent
    killpoints.py ARGUMENTS…     one process from a cold start: what `python -m orchestrator ARGUMENTS…` does

The environment says what happens where: `KILLPOINT` (a label, or `any`: whichever point it is), `KILLPOINT_NTH` (at which
passing; 1 is the first), `KILLPOINT_SIGNALS` (their numbers with commas between; the second one comes at the first point after
the program has heard the first), `KILLPOINT_AFTER` (seconds after which they come instead, wherever the program is by then),
`KILLPOINT_FAULT` (how a call to the disk fails: see `diskpoints.py`), `KILLPOINT_LOG` (the file of passings), `KILLPOINT_BUG` (a
bug of `l3_bugs.py` to plant).

The liberties taken with the program: blocks are written after 1 KiB instead of 1 MiB, so that a small file is as many steps
as a large one, and the journal's reserve is as small, for a thousand of them cost seconds.
"""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import anyio._backends._asyncio
import anyio.to_thread
import diskpoints
from l3_bugs import BUGS

# All that `run` and `verify` load, so that a forked process need not.
from orchestrator.api.client import LoopClient
from orchestrator.cli import entry, main, run, session, task, verify, wiring
from orchestrator.cli.signals import NAMES, SIGNALS
from orchestrator.engine import clock, result
from orchestrator.engine.runner import Runner
from orchestrator.engine.transfer import Transfers
from orchestrator.job import loader
from orchestrator.journal import database, opening, reserve
from orchestrator.journal.database import Database, Write
from orchestrator.journal.lock import JobLock
from orchestrator.journal.reserve import Reserve
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.storage import folders, local
from orchestrator.storage.local import LocalStorage, LocalWriter

LOADED = (anyio, main, run, task, verify, wiring, clock, result, loader)
SMALL = 1024


ANY, MOMENT = "any", "moment"
_write = os.write  # the program's own calls of it are points


class Points:
    """Counts the passings of this process and strikes at the one that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._passed: Counter[str] = Counter()
        self._log: int | None = None
        self._label, self._nth = "", 1
        self._signals: list[signal.Signals] = []
        self._struck = False
        self.disk = diskpoints.Disk(self.passing)

    def arm(self, environ: Mapping[str, str]) -> None:
        if "KILLPOINT_BUG" in environ:
            BUGS[environ["KILLPOINT_BUG"]][0]()
        if "KILLPOINT_LOG" in environ:
            self._log = os.open(environ["KILLPOINT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._label = environ.get("KILLPOINT", "")
        self._nth = int(environ.get("KILLPOINT_NTH", "1"))
        numbers = environ.get("KILLPOINT_SIGNALS", "")
        self._signals = [signal.Signals(int(number)) for number in numbers.split(",") if number]
        if "KILLPOINT_FAULT" in environ:
            self.disk.arm(environ["KILLPOINT_FAULT"])
        if "KILLPOINT_AFTER" in environ:
            timer = threading.Timer(float(environ["KILLPOINT_AFTER"]), self.passing, [MOMENT])
            timer.daemon = True
            timer.start()

    def passing(self, label: str) -> bool:
        """Whether this is the passing that was asked for: it has struck then."""
        with self._lock:
            self._passed[label] += 1
            self._passed[ANY] += label != MOMENT and not label.startswith("disk.")
            strikes = not self._struck and label in (self._label, MOMENT) and self._passed[label] == self._nth
            strikes |= not self._struck and self._label == ANY and self._passed[ANY] == self._nth
            again = self._struck and bool(self._signals) and SIGNALS.first is not None
            if self._log is not None:
                _write(self._log, f"{label}\t{time.monotonic()}\t{int(strikes or again)}\n".encode())
            self._struck |= strikes
            if self._signals and (strikes or again):
                os.kill(os.getpid(), self._signals.pop(0))  # before any other thread passes its next point
        return strikes


POINTS = Points()


# ------------------------------------------------------------------------------------------------------------ wrapping


def replace(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    """Puts `wrapped(the original)` in place of `owner.name`."""
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(wrapped(original)))


def around(owner: Any, name: str, label: str) -> None:
    """`LABEL.before` of a function or a coroutine function, and `LABEL.after`, or `LABEL.failed` if it raises."""

    def wrapped(original: Any) -> Any:
        if inspect.iscoroutinefunction(original):

            async def later(*args: Any, **kwargs: Any) -> Any:
                POINTS.passing(f"{label}.before")
                try:
                    value = await original(*args, **kwargs)
                except BaseException:
                    POINTS.passing(f"{label}.failed")
                    raise
                POINTS.passing(f"{label}.after")
                return value

            return later

        def now(*args: Any, **kwargs: Any) -> Any:
            POINTS.passing(f"{label}.before")
            try:
                value = original(*args, **kwargs)
            except BaseException:
                POINTS.passing(f"{label}.failed")
                raise
            POINTS.passing(f"{label}.after")
            return value

        return now

    replace(owner, name, wrapped)


def install() -> None:
    """Wraps the program."""
    local.BLOCK = reserve.SIZE = SMALL
    diskpoints.install(POINTS.disk)
    around(session, "prepare_state", "state")
    _between_folder_and_gitignore()
    around(JobLock, "acquire", "lock")
    around(JobLock, "_sign", "lock.sign")
    around(JobLock, "release", "unlock")
    _journal()
    around(LocalStorage, "_open", "storage.open")
    around(LocalStorage, "sweep", "sweep")
    around(wiring, "make_plan", "plan")
    _requests()
    around(local, "_new_file", "temp.open")
    around(LocalWriter, "_flushed", "temp.block")
    around(local, "_make_durable", "temp.fsync")
    around(Transfers, "fetch", "fetch")
    around(LocalStorage, "discard", "temp.discard")
    _renames()
    around(Runner, "_wind_up", "wind-up")
    around(main, "run_program", "program")


def _between_folder_and_gitignore() -> None:
    def wrapped(original: Any) -> Any:
        def write_text(self: Path, *args: Any, **kwargs: Any) -> Any:
            if self.name == ".gitignore":
                POINTS.passing("state.made")
            return original(self, *args, **kwargs)

        return write_text

    replace(Path, "write_text", wrapped)


def _journal() -> None:
    around(opening, "_create", "journal.create")
    around(opening, "create_tables", "journal.tables")
    around(opening, "_sync", "journal.create.fsync")
    around(opening, "_choose_mode", "journal.mode")
    around(Reserve, "make", "reserve.make")
    around(Reserve, "release", "reserve.release")
    around(Database, "__init__", "lease")
    around(SqliteJournal, "open", "journal.open")
    around(SqliteJournal, "close", "journal.close")
    around(database, "close_journal", "journal.checkpoint")
    writing = POINTS.disk.writing  # the journal has one thread

    def committing(original: Any) -> Any:
        def commit(self: Database, writes: Iterable[Write]) -> Any:
            writes = list(writes)
            writing[:] = dict.fromkeys(kind for write in writes for kind in _kinds(write))
            for kind in writing:
                POINTS.passing(f"journal.{kind}.before")
            answers = original(self, writes)
            if not all(answers):
                for kind in writing:
                    POINTS.passing(f"journal.{kind}.durable")
            writing.clear()
            return answers

        return commit

    def checking(original: Any) -> Any:
        def inside(self: Database, changed: Any) -> None:
            original(self, changed)
            for kind in writing:
                POINTS.passing(f"journal.{kind}.inside")

        return inside

    def answering(original: Any) -> Any:
        async def written(self: SqliteJournal, write: Write) -> None:
            await original(self, write)
            for kind in _kinds(write):
                POINTS.passing(f"journal.{kind}.answered")

        return written

    replace(Database, "commit", committing)
    replace(Database, "_project", checking)
    replace(SqliteJournal, "_written", answering)


def _kinds(write: Write) -> list[str]:
    """What is written: kinds of events, names of the account's values, `run` for a report."""
    kinds = [event.kind for event in write.events]
    for sql, values in write.statements:
        if sql.startswith("INSERT INTO account"):
            kinds.append(str(values[0]))
        elif sql.startswith("INSERT INTO runs"):
            kinds.append("run")
    return list(dict.fromkeys(kinds))


def _requests() -> None:
    around(LoopClient, "create", "post")
    around(LoopClient, "get", "poll")

    def wrapped(original: Any) -> Any:
        async def start(self: aiohttp.ClientResponse, *args: Any, **kwargs: Any) -> Any:
            """Called when the request has been written to the socket."""
            what = "post" if self.method == "POST" else "poll" if "/report/exports/" in self.url.path else "download"
            POINTS.passing(f"{what}.sent")
            response = await original(self, *args, **kwargs)
            POINTS.passing(f"{what}.answer")
            return response

        return start

    replace(aiohttp.ClientResponse, "start", wrapped)


def _renames() -> None:
    """What `place`, `move` and the manifest's replacement do to folders, step by step."""
    doing = threading.local()

    def step(name: str) -> None:
        if what := getattr(doing, "what", ""):
            POINTS.passing(f"{what}.{name}")

    def naming(name: Callable[..., str]) -> Callable[[Any], Any]:
        def wrapped(original: Any) -> Any:
            def call(*args: Any) -> Any:
                doing.what = name(*args)
                step("before")
                try:
                    value = original(*args)
                    step("after")
                finally:
                    doing.what = ""
                return value

            return call

        return wrapped

    def move(_root: Any, source: str, target: str, *_: Any) -> str:
        return "move.aside" if target.endswith(".moving") else "move.back" if source.endswith(".moving") else "move"

    replace(folders, "place", naming(lambda *_: "place"))
    replace(folders, "move", naming(move))
    replace(folders, "replace", naming(lambda *_: "manifest"))
    for owner, function, label in (
        (folders, "sync_file", "fsync"),
        (folders, "sync_folder", "folder.fsync"),
        (os, "rename", "rename"),
        (os, "mkdir", "mkdir"),
    ):

        def wrapped(original: Any, label: str = label) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                step(f"{label}.before")
                value = original(*args, **kwargs)
                step(f"{label}.after")
                return value

            return call

        replace(owner, function, wrapped)


# ------------------------------------------------------------------------------------------------------------- starting


def serve() -> None:
    """Takes a command a line from stdin; answers each with a line when the process has started, and one when it ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    gc.freeze()  # what is loaded is shared by all children, so long as none of them looks it through
    while line := sys.stdin.buffer.readline():
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            return _become(command)
        answers.write(json.dumps({"pid": child}) + "\n")
        answers.flush()
        _, status = os.waitpid(child, 0)
        answers.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "ended": time.monotonic()}) + "\n")
        answers.flush()
    return None


def _become(command: Mapping[str, Any]) -> None:
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["env"])
    for fd, path in ((0, os.devnull), (1, command["out"]), (2, command["err"])):
        file = os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, fd)
        os.close(file)
    for number in NAMES:  # whoever started the tests in the background of a script has told them to ignore some
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    sys.argv = ["orchestrator", *command["arguments"]]
    run.STARTED = time.monotonic()
    POINTS.arm(os.environ)
    try:
        entry.main()
    except SystemExit as end:
        # What the interpreter does at its end, but for taking each module apart, which costs more than a whole run.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    install()
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        POINTS.arm(os.environ)
        entry.main()
