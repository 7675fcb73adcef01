"""Joins the rooms: what a job remembers, and what its plan is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from orchestrator.cli import say
from orchestrator.cli.task import Task
from orchestrator.content.checker import Checker, digest_file
from orchestrator.content.digest import Digest
from orchestrator.engine import plan
from orchestrator.engine.memory import settle
from orchestrator.engine.ports import Manifest, Snapshot, Storage
from orchestrator.engine.states import Event, Record, apply
from orchestrator.errors import JobError, JournalError, Problem
from orchestrator.journal.reader import read_snapshot
from orchestrator.progress import words
from orchestrator.storage.local import LocalStorage

Tell = Callable[[str], None]
"""Takes a line for people."""
MUCH_TO_READ = 64 * 1024 * 1024
"""Bytes from which people are told that files are being read, for it takes its time."""


class Contents:
    """Implements `ports.Contents` with the content room."""

    def checker(self, format: str, encoding: str | None, content_type: str | None) -> Checker:  # noqa: A002  the port's word
        return Checker(format, encoding, content_type)

    def digest(self, format: str) -> Callable[[BinaryIO], Digest]:  # noqa: A002  the port's word
        return lambda file: digest_file(file, format)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the journal and the manifest know together."""

    records: Mapping[str, Record]
    learned: Sequence[Event]
    """What the journal did not know before it saw the manifest and the files."""
    manifest: Manifest | None
    changed: frozenset[str] = frozenset()
    """Paths whose file was read and is nobody's."""
    sizes: Mapping[str, int | None] = field(default_factory=dict)
    """The sizes of the files that were looked at; None for no file."""

    def manifest_is_stale(self, job: str) -> bool:
        """The manifest does not tell what is stored: a run was killed before it was written, or it is gone."""
        if self.manifest is None:
            return any(record.stored for record in self.records.values())
        told = {(entry["key"], entry["path"], entry["sha256"]) for entry in self.manifest.exports}
        known = {(r.key, r.stored[0].path, r.stored[0].sha256) for r in self.records.values() if r.stored}
        return self.manifest.job != job or told != known


async def remember(
    task: Task, snapshot: Snapshot, storage: Storage, now: float, *, tell: Tell = say.people, adopt: bool = False
) -> Memory:
    """The union of the journal and the manifest. Raises JobError for a manifest of another job, unless `adopt`."""

    def tell_of_reading(files: int, size: int) -> None:
        if size > MUCH_TO_READ:
            tell(f"reading {files:,} stored files ({words.size(size)}) to find out whose they are …")

    manifest = await storage.read_manifest()
    if manifest is not None and manifest.job != task.name and not adopt:
        raise other_job(task, manifest.job)
    records = dict(snapshot.records)
    settled = await settle(records, manifest, storage, now, tell_of_reading)
    for event in settled.events:
        records[event.key] = apply(records.get(event.key), event)
    return Memory(records, settled.events, manifest, settled.changed, settled.sizes)


def other_job(task: Task, name: str) -> JobError:
    return JobError(
        Problem(
            f"the files in {task.root} belong to another job: manifest.json names {name!r}, the job file {task.name!r}",
            code="manifest.other-job",
            hint="choose another output.to; or, if the job was renamed, take the files over with "
            f"`orchestrator run {shlex.quote(say.shown(task.file))} --adopt`",
        )
    )


def read_journal(task: Task, tell: Tell = say.people) -> Snapshot:
    """What the journal knows, read without touching it. Of a damaged one that is nothing, and people are told."""
    try:
        return read_snapshot(task.state) or Snapshot()
    except JournalError as error:
        if error.code != "journal.damaged":
            raise
        tell(say.as_warning(error))
        return Snapshot()


async def nothing_is_left(task: Task, memory: Memory, storage: Storage) -> str | None:
    """What to tell people when all that was stored is gone, manifest and all: the disk may just not be mounted."""
    paths = [file.path for record in memory.records.values() for file in record.stored or ()]
    if memory.manifest is not None or not paths or task.options.keep_missing:
        return None
    if any(size is not None for size in (await _sizes(storage, paths, memory)).values()):
        return None
    return (
        f"neither manifest.json nor any of {len(paths):,} stored files is left in {task.root}: a run exports anew what is "
        "selected of them. If a disk belongs there, mount it first (a run that has begun can be stopped with Ctrl-C)"
    )


async def strangers(memory: Memory, items: Sequence[plan.Item], storage: Storage) -> str | None:
    """What to tell people when files that nobody knows lie where exports are to be stored for the first time."""
    new = [item.export.path for item in items if item.export and item.has_work and item.key not in memory.records]
    found = [path for path, size in zip(new, await storage.sizes(new), strict=True) if size is not None]
    if not found:
        return None
    return (
        f"{words.count(len(found), 'file')} at places of new exports, known to neither journal nor manifest.json, will be replaced: "
        f"{words.printable(found[0])}{' and others' if len(found) > 1 else ''}. Move away what is to be kept (a run that has begun "
        "can be stopped with Ctrl-C)"
    )


async def make_plan(task: Task, memory: Memory, storage: Storage, now: float) -> list[plan.Item]:
    """The plan of a task. Raises JobError if nothing is selected."""
    records = memory.records
    sizes = await _sizes(storage, plan.paths_to_look_at(records), memory)
    items = plan.make(
        task.exports, records, sizes, now=now, options=task.options, named=task.named, changed=memory.changed
    )
    if not any(item.export for item in items):
        raise JobError(
            Problem(
                f"nothing is selected: none of the {len(task.exports):,} exports has failed",
                code="select.empty",
                file=f"--only {task.options.only}",
                hint="leave out --only failed to do what is missing; "
                f"`orchestrator status {shlex.quote(say.shown(task.file))}` shows where each of them stands",
            )
        )
    return items


async def look(
    task: Task, now: float, *, tell: Tell = say.people, adopt: bool = False
) -> tuple[Memory, list[plan.Item]]:
    """The plan as things stand, without touching anything: for `plan`."""
    snapshot = read_journal(task, tell)
    async with LocalStorage(task.root, task.state, read_only=True) as storage:
        memory = await remember(task, snapshot, storage, now, tell=tell, adopt=adopt)
        if told := await nothing_is_left(task, memory, storage):
            tell(say.hanging(f"warning: {told}", indent=0, hang=2))
        memory = replace(memory, sizes=await _sizes(storage, plan.paths_to_look_at(memory.records), memory))
        items = await make_plan(task, memory, storage, now)
        if told := await strangers(memory, items, storage):
            tell(say.hanging(f"warning: {told}", indent=0, hang=2))
        return memory, items


async def _sizes(storage: Storage, paths: Sequence[str], memory: Memory) -> Mapping[str, int | None]:
    """The sizes at least of what lies at `paths`. Each file is looked at once at a start: there may be ten thousand."""
    unknown = [path for path in paths if path not in memory.sizes]
    return {**memory.sizes, **dict(zip(unknown, await storage.sizes(unknown), strict=True))}
