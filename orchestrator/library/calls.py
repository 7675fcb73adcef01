"""The library's door: what `run`, `plan`, `status` and `verify` do, for programs.

It leaves the process as it is: no signal handler, no logging configuration, nothing on stdout or stderr. What a run has
to tell goes to the standard library's logger `orchestrator`, redacted; what came of it is a mapping, the same document
that the command prints with `--json`. Several runs may go on in one process, in threads and on event loops of the
caller's own; two of one job exclude each other, as two processes do.

It lies beside `cli/`, not in it, and uses the same rooms through the same wiring. Why: docs/design.md, "Library".
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast, get_args

import anyio
from anyio.from_thread import start_blocking_portal

from orchestrator.cli import plan as planning
from orchestrator.cli import status as looking
from orchestrator.cli import verify as verifying
from orchestrator.cli.options import Ask, Only
from orchestrator.cli.session import Session
from orchestrator.cli.survey import survey
from orchestrator.cli.task import Task, load
from orchestrator.documents import JobPlan, JobStatus, JobVerification, RunCounts, RunReport
from orchestrator.engine.clock import SystemClock
from orchestrator.errors import JobError, Problem
from orchestrator.job.misfit import Misfit
from orchestrator.job.scalars import duration
from orchestrator.library.telling import LOGGER, Logged, warn

StrPath = str | os.PathLike[str]
Command = Literal["run", "submit", "collect"]


def run_job(
    job: StrPath,
    *,
    select: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    sets: Mapping[str, Any] | None = None,
    only: Only = "missing",
    state: StrPath | None = None,
    command: Command = "run",
    deadline: float | str | None = None,
    fail_fast: bool = False,
    adopt: bool = False,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[RunCounts], None] | None = None,
) -> RunReport:
    """Does what is missing of a job (or of a frozen plan), and goes on from whatever an earlier run left. Blocks.

    `job` is the file. What of it: `select` (`"team=sup*"`, `"team!=sales"`), `first` and `last` (windows), `only`
    (`missing`, `failed` or `all`), as `--select`, `--from`, `--to`, `--only`. `sets` overrides keys of the file:
    `{"limits.unfinished": 4}`. `state` is where journal and lock are, if not in the output folder.

    `command`: `submit` creates what is missing and ends, `collect` brings home what has been created.
    `deadline`: seconds from this call, or `"50m"`, after which it has been parked and has returned. `fail_fast`: park when
    an export has failed for good. `adopt`: take over files whose manifest names another job. `environ`: variables for the job
    file's `${NAME}` that come before those of the process; so a token need not go through the process's environment.
    `on_progress` is called in the run's thread, which is not the caller's, whenever the counts have changed.

    What the service, the network or the storage do in the course of the run is told by the report's `outcome`: `succeeded`,
    `failed` (some exports, for good), `parked` (run again to go on), `refused`, `unreachable`, `storage`, `bug`. Raised is what
    kept a run from beginning: JobError (wrong file or arguments), LockedError (another run of this job is active),
    StorageError, JournalError, RefusedError, UnreachableError, all of them OrchestratorError. RuntimeError where an event loop
    runs: `await run_job_async(…)` there. Ctrl-C, or an exception from a signal handler of yours (Airflow's and Celery's time
    limits are such), parks the run before it comes through.
    """
    _needs_no_loop("await run_job_async(…)")

    async def run() -> RunReport:
        return await run_job_async(
            job,
            select=select,
            first=first,
            last=last,
            sets=sets,
            only=only,
            state=state,
            command=command,
            deadline=deadline,
            fail_fast=fail_fast,
            adopt=adopt,
            environ=environ,
            on_progress=on_progress,
        )

    # The loop gets a thread of its own: an exception that a signal handler raises in this one would hit the run anywhere.
    with start_blocking_portal() as portal:
        report: RunReport = portal.call(run)
    return report


async def run_job_async(
    job: StrPath,
    *,
    select: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    sets: Mapping[str, Any] | None = None,
    only: Only = "missing",
    state: StrPath | None = None,
    command: Command = "run",
    deadline: float | str | None = None,
    fail_fast: bool = False,
    adopt: bool = False,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[RunCounts], None] | None = None,
) -> RunReport:
    """`run_job` for a running asyncio loop. Cancelling it parks the run.

    That takes a few seconds at most: the answers of creations that are under way are waited for, and manifest and journal are
    written; then the cancellation goes on its way. A second one does not wait for that.
    """
    started = time.monotonic()
    _one_of("command", command, get_args(Command))
    seconds = _seconds(deadline)
    clock = SystemClock()
    variables = _variables(environ)
    ask = _ask(select=select, first=first, last=last, sets=sets, state=state, only=only)
    task = await asyncio.to_thread(load, os.fspath(job), ask, variables, clock.now())
    token = task.api.token.resolve(variables, task.folder)
    stops = _Cancellation()
    session = Session(task, token, Logged(on_progress), clock, command, stops=stops, environ=variables)
    run = asyncio.create_task(session.run(deadline=seconds, started=started, fail_fast=fail_fast, adopt=adopt))
    try:
        report = await asyncio.shield(run)
    except asyncio.CancelledError:
        stops.come()
        await _over(run)
        raise
    # Made entry by entry, as the command prints it; here it is kept, and may be dumped as JSON.
    return cast("RunReport", {**report, "exports": list(report["exports"])})


def plan_job(
    job: StrPath,
    *,
    select: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    sets: Mapping[str, Any] | None = None,
    only: Only = "missing",
    state: StrPath | None = None,
    adopt: bool = False,
    environ: Mapping[str, str] | None = None,
) -> JobPlan:
    """What `run_job` with these arguments would do, export by export, and why. Contacts nobody and needs no token.

    Raises JobError, JournalError, StorageError; RuntimeError where an event loop runs (`asyncio.to_thread` there).
    """
    _needs_no_loop("await asyncio.to_thread(plan_job, …)")
    now = SystemClock().now()
    ask = _ask(select=select, first=first, last=last, sets=sets, state=state, only=only)
    task = load(os.fspath(job), ask, _variables(environ), now, others=True)

    async def look() -> JobPlan:
        found = await survey(task, now, tell=warn, adopt=adopt)
        return cast("JobPlan", planning.document(task, found))

    return anyio.run(look)


def job_status(
    job: StrPath,
    *,
    select: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    sets: Mapping[str, Any] | None = None,
    state: StrPath | None = None,
    environ: Mapping[str, str] | None = None,
) -> JobStatus:
    """Where the job stands, from its journal alone, also while another process runs it. Needs no token.

    Raises JobError, JournalError, StorageError; RuntimeError where an event loop runs (`asyncio.to_thread` there).
    """
    _needs_no_loop("await asyncio.to_thread(job_status, …)")
    task = _task(job, _ask(select=select, first=first, last=last, sets=sets, state=state), environ)
    return cast("JobStatus", looking.document(task, tell=warn))


def verify_job(
    job: StrPath,
    *,
    select: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    sets: Mapping[str, Any] | None = None,
    state: StrPath | None = None,
    environ: Mapping[str, str] | None = None,
) -> JobVerification:
    """Reads every stored file again and compares it with manifest and journal. Needs no token.

    Raises JobError, JournalError, StorageError; RuntimeError where an event loop runs (`asyncio.to_thread` there).
    """
    _needs_no_loop("await asyncio.to_thread(verify_job, …)")
    task = _task(job, _ask(select=select, first=first, last=last, sets=sets, state=state), environ)
    results = verifying.verified(task, bool(select or first or last), tell=warn)
    return cast("JobVerification", verifying.document(results))


# --------------------------------------------------------------------------------------------------- what goes in


def _task(job: StrPath, ask: Ask, environ: Mapping[str, str] | None) -> Task:
    return load(os.fspath(job), ask, _variables(environ), SystemClock().now())


def _ask(
    *,
    select: Sequence[str],
    first: str | None,
    last: str | None,
    sets: Mapping[str, Any] | None,
    state: StrPath | None,
    only: Only = "missing",
) -> Ask:
    if isinstance(select, str):
        raise TypeError('select is a list of patterns: ["team=sup*"]')
    _one_of("only", only, get_args(Only))
    return Ask(
        selects=tuple(select),
        first=first,
        last=last,
        # JSON is YAML, so a text is read as that text, braces, colons and all.
        sets=tuple(
            f"{key}={json.dumps(value, ensure_ascii=False, default=os.fspath)}" for key, value in (sets or {}).items()
        ),
        state=None if state is None else os.fspath(state),
        only=None if only == "missing" else only,  # said or not, it is the default, and a frozen plan takes no other
    )


def _variables(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else ChainMap(dict(environ), os.environ)


def _seconds(deadline: float | str | None) -> float | None:
    if deadline is None:
        return None
    try:
        return duration(deadline)
    except Misfit as misfit:
        raise JobError(Problem(f"deadline: {misfit.message}", code="usage", hint=misfit.hint)) from None


def _one_of(argument: str, value: str, allowed: Sequence[str]) -> None:
    """A type checker knows it; a scheduler's parameters come as they please. Raises JobError."""
    if value not in allowed:
        raise JobError(
            Problem(f"{argument}: there is no {value!r}", code="usage", hint=f"allowed: {', '.join(allowed)}")
        )


def _needs_no_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"this blocks, and an event loop runs in this thread; there, use `{instead}`")


# ------------------------------------------------------------------------------------------------ while it goes on


class _Cancellation:
    """Parks a run as a signal parks the command's."""

    def __init__(self) -> None:
        self.name = ""
        self._listener: Callable[[str], None] | None = None

    @contextmanager
    def heard_by(self, listener: Callable[[str], None]) -> Iterator[None]:
        self._listener = listener
        if self.name:
            listener(self.name)
        try:
            yield
        finally:
            self._listener = None

    def come(self) -> None:
        self.name = "a cancellation"
        if self._listener is not None:
            self._listener(self.name)


async def _over(run: asyncio.Task[Any]) -> None:
    """Waits until a run that parks has ended; it is cut off if even this wait is cancelled."""
    with anyio.CancelScope(shield=True):
        try:
            await asyncio.wait([run])
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.wait([run])
    if not run.cancelled() and (error := run.exception()) is not None:
        LOGGER.warning("the run was cancelled before it had begun, and ended with: %s", error)
