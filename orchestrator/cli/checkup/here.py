"""Checks of this machine: the job file, its zone, the disk, what earlier runs left. Nobody is contacted, nothing is left behind."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.api.probe import NOBODYS
from orchestrator.cli import hooks, wiring
from orchestrator.cli.checkup.finding import Finding, ok, warning, wrong
from orchestrator.cli.task import Task
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.forecast import forecast
from orchestrator.engine.policy import AUTO
from orchestrator.engine.ports import Found, Lesson
from orchestrator.errors import JobError, JournalError, LockedError, OrchestratorError
from orchestrator.journal.account import left_of
from orchestrator.journal.filesystem import NETWORK, filesystem_type
from orchestrator.journal.lock import JobLock, holder
from orchestrator.journal.reader import NAME, read_account, read_snapshot
from orchestrator.journal.state_dir import prepare_state
from orchestrator.progress.words import count, moment, printable, size, spelled
from orchestrator.storage.trial import trial

FLEETING = frozenset({"tmpfs", "ramfs"})
"""File systems that are gone when the machine, or the container, is."""
TIGHT = 64 * 1024 * 1024
"""Bytes below which a disk is told to be nearly full, whatever the job needs."""


def job_file(task: Task, shown: str) -> Finding:
    """A job file that is valid, and may still ask for nobody's inbox."""
    if any(NOBODYS in export.teams for export in task.exports):
        found = f"{shown} is valid, but the inbox's id is still the one that `init` wrote"
        return warning("job file", found, "put a shared inbox's id on the line that says EDIT")
    return ok("job file", f"{shown} is valid; it expands to {len(task.exports):,} exports")


def commands(task: Task, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The job's hooks: what can't be resolved ends a run before it begins, what can't be started is missed when it has ended."""
    try:
        found = hooks.resolved(task, environ)
    except JobError as error:
        yield from wrong("hooks", error)
        return
    missing = [
        f"hooks.{name} ({printable(words[0])})"
        for name, words in found.items()
        if not hooks.is_there(words[0], task.folder)
    ]
    if missing:
        yield warning(
            "hooks",
            f"no such program, or not executable: {', '.join(missing)}",
            "paths count from the job file's folder",
        )
    elif found:
        yield ok("hooks", f"{count(len(found), 'command')} for when a run has ended")


def windows(task: Task, now: float) -> Iterator[Finding]:
    """The zone data, and which windows have ended."""
    import tzdata  # type: ignore[import-untyped]  # it has none, and says its version only

    zones = sorted({export.timezone for export in task.exports})
    told = {export.window.label: export.window for export in task.exports}
    open_ones = [window for window in told.values() if window.end > now]
    found = f"{', '.join(zones)} by tzdata {tzdata.IANA_VERSION}; {count(len(told) - len(open_ones), 'window')} ended"
    if open_ones:
        first = min(open_ones, key=lambda window: window.end)
        found += f", {len(open_ones):,} still open: {first.label} until {moment(first.end)}"
    yield ok("zone data", found)


def disk(task: Task, needed: float | None) -> Iterator[Finding]:
    """The output folder and the state folder. `needed`: bytes that the run may bring, 0 if nothing is to do, None if nobody knows."""
    try:
        with trial(task.root, "output") as tried:
            where, free = _where(task.root, tried.there), tried.free
            kind = filesystem_type(tried.there)
    except OrchestratorError as error:
        yield from wrong("output", error)
        return
    found = f"{where} takes files ({kind or 'file system unknown'}, {size(free)} free)"
    if needed is None:
        wanted = "; no earlier sizes tell what a run will bring"
    else:
        wanted = f"; the run may bring {size(int(needed))}" if needed else ""
    if free < max(needed or 0, TIGHT):
        yield warning("output", found + wanted, "make room, or change `output.to`: a disk that fills up ends the run")
    elif kind in FLEETING:
        yield warning("output", found, f"{kind} is gone with the machine or container: change `output.to`")
    elif kind in NETWORK:
        yield warning("output", found, "a network file system: put the state on a local disk with `--state DIR`")
    else:
        yield ok("output", found + wanted)


def state(task: Task, clock: SystemClock) -> Iterator[Finding]:
    """The state folder: whether it can be used and locked, who uses it, what earlier runs left."""
    try:
        if os.path.lexists(task.state):
            prepare_state(task.state)
        with trial(task.state, "state") as tried:
            kind = filesystem_type(tried.there)
            with JobLock(tried.made, clock):
                pass
        journal = task.state / NAME
        if journal.exists() and not os.access(journal, os.R_OK | os.W_OK):
            raise JournalError(f"no permission to write {journal}", hint="Give this user the right to write it.")
        if (who := holder(task.state)) is not None:
            raise LockedError(f"another run of this job is active: {who}", hint="Wait until it has ended, or stop it.")
    except OrchestratorError as error:
        yield from wrong("state", error)
        return
    where = _where(task.state, tried.there)
    if kind in NETWORK:
        hint = "its locks and its speed are the server's: put the state on a local disk with `--state DIR`"
        yield warning("state", f"{where} is on a network file system ({kind})", hint)
    else:
        yield ok("state", f"{where} is free, and can be locked")


def history(task: Task) -> Iterator[Finding]:
    """The journal, as far as it can be read. What a run that is at work has left open is no trace of a killed one."""
    active = holder(task.state)
    try:
        snapshot = read_snapshot(task.state)
    except JournalError as error:
        if error.code == "journal.damaged":
            yield warning("journal", error.message, "a run moves it aside and begins a new one from the manifest")
        else:
            yield from wrong("journal", error)
        return
    if snapshot is None:
        yield ok("journal", "none yet: this would be the first run")
        return
    active = holder(task.state) or active  # asked twice: a run may have begun or ended just now
    states = Counter(record.state.value for record in snapshot.records.values())
    found = ", ".join(f"{number:,} {name}" for name, number in states.items()) or "no exports yet"
    duplicates = sum(
        part.duplicates if active else part.doubtful for record in snapshot.records.values() for part in record.parts
    )
    if snapshot.cut_off_at is not None and not active:
        hint = "nothing is lost: the next run goes on from there"
        yield warning(
            "journal", f"{found}; the last run did not end in its own words ({moment(snapshot.cut_off_at)})", hint
        )
    else:
        last = f"; the last run {snapshot.last_run['outcome']}" if snapshot.last_run else ""
        yield ok("journal", f"{found}{last}")
    if duplicates:
        hint = "exports that Loop may have made twice; stored files are not affected"
        yield warning("duplicates", f"{count(duplicates, 'possible duplicate')} so far", hint)


def limits(task: Task, account: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """What is known of the account's limits, and whether it is to be left in peace."""
    section = task.limits
    told = []
    for name, value, unit in (
        ("requests_per_second", section.requests_per_second, "requests a second"),
        ("unfinished", section.unfinished, "unfinished exports"),
    ):
        told.append(
            f"{AUTO[name][0]:g} {unit} to begin with (auto)" if value == "auto" else f"at most {value:g} {unit}"
        )
    found = Found(**account.get("found", {}))
    if found.per_second is not None:
        told.append(f"found by earlier runs: {found.per_second:.3g} requests a second")
    if found.unfinished is not None:
        told.append(f"{found.unfinished:,} unfinished")
    left = pause_left(account, now)
    if left <= 0:
        yield ok("limits", ", ".join(told))
        return
    parks = left > task.limits.longest_pause
    hint = "a run would park at once, exit 3: wait until then" if parks else "a run waits for it by itself"
    yield warning("limits", f"the service asked for silence until {moment(now + left)} ({spelled(left)})", hint)


def pause_left(account: Mapping[str, Any], now: float) -> float:
    """Seconds for which the service asked for silence; none if it is not positive."""
    pause = account.get("pause")
    return left_of(pause, now) if isinstance(pause, Mapping) else 0.0


def token(task: Task) -> tuple[str | None, Iterator[Finding]]:
    """The token, and where it comes from; never what it is."""
    try:
        found = task.api.token.resolve(os.environ, task.folder)
    except OrchestratorError as error:
        return None, wrong("token", error)
    return found, _about_token(task, found)


def _about_token(task: Task, found: str) -> Iterator[Finding]:
    reference = str(task.api.token)
    length = "fewer than 16" if len(found) < 16 else "16 to 64" if len(found) <= 64 else "more than 64"
    told = f"read from {reference}, {length} characters"
    if reference.startswith("${file:"):
        path = task.folder / Path(reference[len("${file:") : -1]).expanduser()
        if path.stat().st_mode & 0o077:
            yield warning("token", f"{told}; others on this machine may read that file", f"chmod 600 {path}")
            return
    yield ok("token", told)


async def plan(task: Task, now: float, account: Mapping[str, Any]) -> tuple[float | None, list[Finding]]:
    """What a run would do; and how many bytes it may bring."""
    try:
        memory, items = await wiring.look(task, now)
    except OrchestratorError as error:
        return None, list(wrong("plan", error))
    work = sum(item.has_work for item in items)
    lessons = [Lesson(*lesson) for lesson in account.get("lessons", ())]
    ahead = forecast(items, memory.records, policy=task.policy(), lessons=lessons)
    if ahead is None:
        needed: float | None = 0.0
    else:
        needed = ahead.bytes.high if ahead.bytes is not None else None
    return needed, [ok("plan", f"{count(work, 'export')} to do, of {len(items):,}")]


def account_of(task: Task) -> Mapping[str, Any]:
    """What the journal keeps of the account; nothing where it can't be read, which is told elsewhere."""
    with contextlib.suppress(OrchestratorError):
        return read_account(task.state)
    return {}


def _where(wanted: Path, there: Path) -> str:
    return _shown(wanted) if wanted == there else f"{_shown(wanted)} (to be made in {_shown(there)})"


def _shown(path: Path) -> str:
    """As the user would type it."""
    with contextlib.suppress(ValueError):
        return f"./{path.relative_to(Path.cwd())}".removesuffix("/.")
    return str(path)
