"""`verify`: reads every stored file again and compares it with the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.errors import ContentError, StorageError

if TYPE_CHECKING:
    from orchestrator.cli.task import Task
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
    """Read every stored file again and compare it with the manifest. Exits 1 if any is wrong or missing."""
    results = verify_task(job, ask)
    counts = {state: sum(result["state"] == state for result in results) for state in ("equal", "wrong", "missing")}
    wanted = {"missing": ("missing",), "failed": ("wrong",)}.get(ask.only or "all")
    shown = [result for result in results if wanted is None or result["state"] in wanted]
    if as_json:
        say.document({"schema": "orchestrator.verify/1", "counts": counts, "exports": shown})
    else:
        for line in say.table(
            [(result["state"], result["path"], result["detail"]) for result in shown if result["state"] != "equal"]
        ):
            say.result(line)
        if not results:
            say.people(f"{job}: nothing is stored yet, so there is nothing to compare.")
            return exits.OK
        say.people(f"{job}: {counts['equal']:,} equal, {counts['wrong']:,} wrong, {counts['missing']:,} missing.")
        if counts["wrong"] or counts["missing"]:
            say.people(
                f"Next: orchestrator run {job} exports again what is gone or has another size; "
                "with --only all --select … also what is wrong at the same size."
            )
    return exits.FAILED if counts["wrong"] or counts["missing"] else exits.OK


def verify_task(job: str, ask: options.Ask) -> list[dict[str, Any]]:
    """What became of each file that the manifest names, by path."""
    import anyio

    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    task = load(job, replace(ask, only=None), os.environ, SystemClock().now())
    return anyio.run(_verify, task, ask.selects_some)


async def _verify(task: Task, selected: bool) -> list[dict[str, Any]]:
    import anyio

    from orchestrator.cli.wiring import other_job
    from orchestrator.storage.local import LocalStorage

    results: list[dict[str, Any]] = []
    keys = {export.key for export in task.exports}
    async with LocalStorage(task.root, task.state, read_only=True) as storage:
        manifest = await storage.read_manifest()
        if manifest is not None and manifest.job != task.name:
            raise other_job(task, manifest.job)
        entries = [entry for entry in (manifest.exports if manifest else ()) if not selected or entry["key"] in keys]

        left = iter(entries)

        async def check() -> None:
            results.extend([await _check(task, storage, entry) for entry in left])

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(check)
    return sorted(results, key=lambda result: str(result["path"]))


async def _check(task: Task, storage: Storage, entry: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = await storage.inspect(entry["path"], _reader(entry))
    except StorageError as refusal:  # of one file; the others may be read all the same
        return _result(entry, "wrong", refusal.message)
    if found is None and task.output.missing == "keep":
        return _result(entry, "moved on", "its file was moved on (output.missing: keep)")
    return _compare(entry, found)


def _reader(entry: Mapping[str, Any]) -> Any:
    from orchestrator.content.checker import digest_file

    kind = str(entry["request"]["resultFormat"]).lower()

    def read(file: BinaryIO) -> Digest | ContentError:
        try:
            return digest_file(file, kind)
        except ContentError as error:
            return error

    return read


def _compare(entry: Mapping[str, Any], found: Digest | ContentError | None) -> dict[str, Any]:
    if found is None:
        return _result(entry, "missing", "there is no such file")
    if isinstance(found, ContentError):
        return _result(entry, "wrong", found.message)
    for name in ("bytes", "sha256", "rows"):
        if getattr(found, name) != entry[name]:
            return _result(entry, "wrong", f"{name}: {getattr(found, name)}, the manifest says {entry[name]}")
    return _result(entry, "equal", "")


def _result(entry: Mapping[str, Any], state: str, detail: str) -> dict[str, Any]:
    return {**{name: entry[name] for name in ("key", "coordinates", "path")}, "state": state, "detail": detail}
