"""`verify`: reads every stored file again and compares it with the manifest.

What the manifest does not tell yet (a run is active, or was killed before it was written) is compared with the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.cli.again import advice
from orchestrator.errors import ContentError, StorageError

if TYPE_CHECKING:
    from orchestrator.cli.task import Task
    from orchestrator.cli.wiring import Memory
    from orchestrator.content.digest import Digest
    from orchestrator.engine.ports import Storage

AT_ONCE = 2
"""Files read at the same time: hashing is the bottleneck, not the disk."""


@click.command()
@options.JOB
@options.selecting("List only files that are missing, or wrong (failed). Default: all.")
@options.AS_JSON
def verify(
    *,
    job: str,
    ask: options.Ask,
    as_json: bool,
) -> int:
    """Read every stored file again and compare it with manifest and journal. Exits 1 if any is wrong or missing."""
    task = _load(job, ask)
    results = verified(task, ask.selects_some)
    wanted = {"missing": ("missing",), "failed": ("wrong",)}.get(ask.only or "all")
    shown = [result for result in results if wanted is None or result["state"] in wanted]
    found = document(results)
    counts, untold = found["counts"], found["not_in_manifest"]
    if as_json:
        say.document(found | {"exports": shown})
    else:
        rows = [(each["state"], each["path"], each["detail"]) for each in shown if each["state"] != "equal"]
        for line in say.table(rows, width=say.terminal_width()):
            say.result(line)
        if not results:
            say.people(f"{job}: nothing is stored yet, so there is nothing to compare.")
            return exits.OK
        say.people(f"{job}: {counts['equal']:,} equal, {counts['wrong']:,} wrong, {counts['missing']:,} missing.")
        if untold:
            told = (
                f"{untold:,} of these files the journal alone knows: manifest.json is not written yet, or is gone. "
                "It is whole when a run has ended."
            )
            say.people(say.hanging(told, indent=0, hang=2))
        for line in advice(task, job, ask, [result for result in results if result["state"] in ("wrong", "missing")]):
            say.people(line)
    return exits.FAILED if counts["wrong"] or counts["missing"] else exits.OK


def verify_task(job: str, ask: options.Ask) -> list[dict[str, Any]]:
    """What became of each file that the manifest or the journal knows as stored, by path."""
    return verified(_load(job, ask), ask.selects_some)


def document(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole of `orchestrator.verify/1`."""
    return {
        "schema": "orchestrator.verify/1",
        "counts": {state: sum(each["state"] == state for each in results) for state in ("equal", "wrong", "missing")},
        "not_in_manifest": sum(not each["in_manifest"] for each in results),
        "exports": results,
    }


def _load(job: str, ask: options.Ask) -> Task:
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    return load(job, replace(ask, only=None), os.environ, SystemClock().now())


def verified(task: Task, selected: bool, tell: Callable[[str], None] = say.people) -> list[dict[str, Any]]:
    """What became of each stored file, by path; `selected`: only of those of the task's exports. `tell` takes warnings."""
    import anyio

    return anyio.run(_verify, task, selected, tell)


async def _verify(task: Task, selected: bool, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    import anyio

    from orchestrator.cli.wiring import read_journal, remember
    from orchestrator.engine.clock import SystemClock
    from orchestrator.storage.local import LocalStorage

    results: list[dict[str, Any]] = []
    keys = {export.key for export in task.exports}
    snapshot = read_journal(task, tell)
    async with LocalStorage(task.root, task.state, read_only=True) as storage:
        memory = await remember(task, snapshot, storage, SystemClock().now(), tell=tell)
        left = iter([each for each in _known(memory) if not selected or each.entry["key"] in keys])

        async def check() -> None:
            results.extend([await _check(task, storage, known, memory.changed) for known in left])

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(check)
    return sorted(results, key=lambda result: str(result["path"]))


class _Known(NamedTuple):
    """A file that is said to be stored: its entry in the manifest, or what its entry would be."""

    entry: Mapping[str, Any]
    in_manifest: bool


def _known(memory: Memory) -> Iterator[_Known]:
    """What journal and manifest know together; where they differ, the disk has decided whom to believe."""
    from orchestrator.engine.manifest import entry as entry_of

    told = {entry["key"]: entry for entry in (memory.manifest.exports if memory.manifest else ())}
    for record in memory.records.values():
        if record.stored:
            ours, theirs = entry_of(record), told.pop(record.key, None)
            if theirs is not None and all(theirs[name] == ours[name] for name in ("path", "sha256")):
                yield _Known(theirs, True)
            else:
                yield _Known(ours, False)
    for key, entry in told.items():
        record = memory.records[key]
        # Nobody misses a file whose place another export's has taken.
        if record.state.value != "superseded":
            yield _Known(entry, True)


async def _check(task: Task, storage: Storage, known: _Known, changed: frozenset[str]) -> dict[str, Any]:
    path = known.entry["path"]
    size = None
    try:
        size = await storage.size(path)
        found = await storage.inspect(path, _reader(known.entry))
    except StorageError as refusal:  # of one file; the others may be read all the same
        state, detail = "wrong", refusal.message
    else:
        state, detail = _compare(known, found)
    if state == "missing" and task.output.missing == "keep":
        state, detail = "moved on", "its file was moved on (output.missing: keep)"
    elif state == "missing" and (link := _link(task.root, path)):
        state, detail = "wrong", f"{link} is a symbolic link, which is not followed: remove it"
    return {
        **{name: known.entry[name] for name in ("key", "coordinates", "path")},
        "state": state,
        "detail": detail,
        "in_manifest": known.in_manifest,
        "run_exports_again": state in ("wrong", "missing") and (path in changed or size != known.entry["bytes"]),
    }


def _link(root: Path, path: str) -> str | None:
    """The link that lies at `path` below `root`, or on the way there."""
    places = [PurePosixPath(path), *PurePosixPath(path).parents][:-1]
    return next((str(place) for place in reversed(places) if (root / place).is_symlink()), None)


def _reader(entry: Mapping[str, Any]) -> Any:
    from orchestrator.content.checker import digest_file

    kind = str(entry["request"]["resultFormat"]).lower()

    def read(file: BinaryIO) -> Digest | ContentError:
        try:
            return digest_file(file, kind)
        except ContentError as error:
            return error

    return read


def _compare(known: _Known, found: Digest | ContentError | None) -> tuple[str, str]:
    """State and detail."""
    if found is None:
        return "missing", "there is no such file"
    if isinstance(found, ContentError):
        return "wrong", found.message
    teller = "manifest" if known.in_manifest else "journal"
    for name in ("bytes", "sha256", "rows"):
        if getattr(found, name) != known.entry[name]:
            return "wrong", f"{name}: {getattr(found, name)}, the {teller} says {known.entry[name]}"
    return "equal", ""
