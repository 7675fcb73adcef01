"""`status`: where the job stands, from the journal alone, also while another process runs it."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rich_click as click

from orchestrator.cli import options, say

if TYPE_CHECKING:
    from orchestrator.cli.task import Task
    from orchestrator.engine.ports import Snapshot
    from orchestrator.engine.states import Record


@click.command()
@options.JOB
@options.selecting("List only exports that are missing or failed. Default: all.")
@options.option(
    "--watch", is_flag=True, help="Show the run of another process live until it ends, then where the job stands."
)
@options.AS_JSON
def status(
    *,
    job: str,
    ask: options.Ask,
    watch: bool,
    as_json: bool,
) -> None:
    """Show where the job stands. Reads the journal alone; another process may be running it."""
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    if watch and as_json:
        raise click.UsageError(
            "--watch draws for people; --json prints one document: ask for it again when it is wanted"
        )
    task = load(job, replace(ask, only=None), os.environ, SystemClock().now())
    if watch:
        from orchestrator.cli.watch import watch as follow

        if not follow(task):
            say.people("No run of this job is active.")
    found = document(task, ask.only or "all")
    if as_json:
        say.document(found)
    else:
        from orchestrator.cli.status_view import show

        now = SystemClock().now()
        unsettled = {export.key for export in task.exports if export.window.end > now}
        show(found, f"{shlex.quote(job)}{ask.typed}", now=now, unsettled=unsettled)


def document(task: Task, only: str = "all", tell: Callable[[str], None] = say.people) -> dict[str, Any]:
    """The whole of `orchestrator.status/1`; `tell` takes warnings for people."""
    from orchestrator.cli.wiring import read_journal
    from orchestrator.journal.lock import holder

    active = holder(task.state)
    snapshot = read_journal(task, tell)
    # Asked twice: what a run that began or ended just now has left is not what a killed one left.
    return _document(task, snapshot, holder(task.state) or active, only, tell)


def _document(
    task: Task, snapshot: Snapshot, active: str | None, only: str, tell: Callable[[str], None]
) -> dict[str, Any]:
    from orchestrator.engine.manifest import rfc3339

    records, last_run, cut_off_at = snapshot.records, snapshot.last_run, snapshot.cut_off_at
    exports = [
        _of_job(export.key, dict(export.coordinates), export.path, records.get(export.key)) for export in task.exports
    ]
    counts = Counter(export["state"] for export in exports)
    wanted = {"missing": ("failed", "pending", "new"), "failed": ("failed",)}.get(only)
    return {
        "schema": "orchestrator.status/1",
        "job": task.name,
        "active_run": active,
        "counts": {
            "planned": len(exports),
            **{state: counts[state] for state in ("stored", "failed", "pending", "new")},
        },
        "possible_duplicates": sum(
            part.duplicates if active else part.doubtful for record in records.values() for part in record.parts
        ),
        "last_run": None
        if last_run is None
        else {
            name: last_run.get(name)
            for name in ("run_id", "outcome", "reason", "resume_after", "started_at", "finished_at", "counts")
        },
        "cut_off_at": None if active or cut_off_at is None else rfc3339(cut_off_at),
        "only_in_manifest": 0 if active or records else _in_manifest(task, tell),
        "exports": [export for export in exports if wanted is None or export["state"] in wanted],
    }


def _in_manifest(task: Task, tell: Callable[[str], None]) -> int:
    """How many files the manifest of this job names; nobody else knows of them where the journal is gone."""
    import anyio

    from orchestrator.errors import StorageError
    from orchestrator.storage.local import LocalStorage

    async def read() -> int:
        async with LocalStorage(task.root, task.state, read_only=True) as storage:
            manifest = await storage.read_manifest()
            return len(manifest.exports) if manifest is not None and manifest.job == task.name else 0

    try:
        return anyio.run(read)
    except StorageError as error:
        tell(say.as_warning(error))
        return 0


def _of_job(key: str, coordinates: dict[str, str], path: str, record: Record | None) -> dict[str, Any]:
    """One export as the journal knows it; `new` if it does not. `since` is when what is at work on the service was asked for."""
    from orchestrator.engine.manifest import rfc3339
    from orchestrator.progress.tally import begun_at

    begun = begun_at(record) if record is not None else None
    files = (record.stored or ()) if record is not None else ()
    failure = next((part.failure for part in record.parts if part.failure), None) if record is not None else None
    state = "new" if record is None else _STATES.get(record.state.value, "stored" if files else "pending")
    return {
        "key": key,
        "coordinates": coordinates,
        "state": state,
        "step": record.state.value if record is not None else None,
        "path": files[0].path if files else path,
        "report_ids": [report.id for part in record.parts for report in part.reports] if record is not None else [],
        "bytes": sum(file.bytes for file in files) if files else None,
        "rows": sum(file.rows or 0 for file in files)
        if files and all(file.rows is not None for file in files)
        else None,
        "since": rfc3339(begun) if begun is not None else None,
        "error": {"code": failure.code, "message": failure.message, "hint": failure.hint} if failure else None,
    }


_STATES = {"stored": "stored", "failed": "failed", "superseded": "new"}
