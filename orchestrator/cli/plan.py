"""`plan`: what a run would do, export by export, and why."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.errors import JobError, Problem

if TYPE_CHECKING:
    from orchestrator.cli.task import Task
    from orchestrator.engine.plan import Item

SHOWN = 60
"""Rows shown to people; a longer plan is told in counts, and whole by --json."""


@click.command()
@options.JOB
@options.selecting(options.ONLY_HELP)
@options.option("--out", metavar="FILE", help="Freeze the plan into FILE; `run FILE` executes exactly that.")
@options.option("--adopt", is_flag=True, help="Take over files whose manifest names another job.")
@options.option("--detailed-exitcode", is_flag=True, help="Exit with 10 if there is something to do.")
@options.option("--verbose", is_flag=True, help="List every export, however many.")
@options.AS_JSON
def plan(
    *,
    job: str,
    ask: options.Ask,
    out: str | None,
    adopt: bool,
    detailed_exitcode: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Show what a run would do, and why. Contacts nobody and needs no token."""
    import anyio

    from orchestrator.cli.task import load
    from orchestrator.cli.wiring import look
    from orchestrator.engine.clock import SystemClock

    now = SystemClock().now()
    task = load(job, ask, os.environ, now)

    async def plan_it() -> list[Item]:
        _, items = await look(task, now, adopt=adopt)
        return items

    items = anyio.run(plan_it)
    if out is not None:
        _freeze(task, items, out)
    if as_json:
        say.long_document(_head(task, items), "exports", map(_entry, items))
    else:
        _show(task, items, verbose=verbose)
        if out is not None:
            say.people(f"Frozen into {out}. Next: orchestrator run {out}")
        elif any(item.has_work for item in items):
            say.people(f"Next: orchestrator run {job}{ask.typed}")
    return exits.CHANGES if detailed_exitcode and any(item.has_work for item in items) else exits.OK


def _freeze(task: Task, items: list[Item], out: str) -> None:
    from orchestrator.cli.task import freeze

    document = _head(task, items) | {"exports": [_entry(item) for item in items], "frozen": freeze(task)}
    try:
        Path(out).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        problem = Problem(
            f"the plan can't be written to {out}: {error.strerror}", code="plan.unwritable", hint="name another file"
        )
        raise JobError(problem) from None


def _head(task: Task, items: list[Item]) -> dict[str, Any]:
    counts = Counter(item.action.value.replace(" ", "_") for item in items)
    proxy = None
    with contextlib.suppress(JobError):  # of an environment that may be another one where the plan is run
        proxy = _proxy(task)
    return {
        "schema": "orchestrator.plan/1",
        "job": task.name,
        "output": str(task.root),
        "proxy": proxy,
        "counts": dict(counts),
    }


def _proxy(task: Task) -> str | None:
    """The proxy through which a run from here would reach the API, without user and password.

    Raises JobError, as that run would, for one that can't be used.
    """
    import urllib.request

    setting = task.network.proxy
    if setting == "none" or (setting == "env" and not urllib.request.getproxies()):
        return None  # nearly always; aiohttp need not be imported for it
    from yarl import URL

    from orchestrator.api.network import Proxies

    found = Proxies(setting if isinstance(setting, str) else setting.url).for_url(URL(task.api.base_url))
    return str(found.url) if found else None


def _entry(item: Item) -> dict[str, Any]:
    export = item.export
    return {
        "key": item.key,
        "coordinates": dict(item.coordinates),
        "action": item.action.value.replace(" ", "_"),
        "reason": item.reason,
        "path": item.path,
        "moved_from": item.source,
        "request": export.request if export else None,
        "impersonate": export.impersonate if export else None,
        "window": {"start": export.window.start, "end": export.window.end} if export else None,
    }


def _show(task: Task, items: list[Item], *, verbose: bool) -> None:
    from orchestrator.engine.plan import Action

    counts = Counter(item.action for item in items)
    # What needs no attention is told by its count where a list would be long.
    quiet = (Action.SKIP, Action.NOT_IN_JOB)
    rows = [item for item in items if verbose or len(items) <= SHOWN or item.action not in quiet]
    shown = rows if verbose else rows[:SHOWN]
    for line in say.table(
        [(_mark(item), " ".join(label for _, label in item.coordinates), item.reason) for item in shown]
    ):
        say.result(line)
    if len(shown) < len(items):
        say.people(f"… and {len(items) - len(shown):,} more; --verbose lists them, --json tells all of them.")
    words = ", ".join(f"{count:,} {_COUNTED[action]}" for action, count in counts.items())
    say.people(f"{task.name}: {words}. Output: {task.root}, e.g. {items[0].path}")
    try:
        if (proxy := _proxy(task)) is not None:
            say.people(f"Loop is reached through the proxy {proxy}.")
    except JobError as error:
        say.people("A run from here would stop at once:")
        say.errors(error)


def _mark(item: Item) -> str:
    return "skipped" if item.action.value in ("wait", "skip") else item.action.value


_COUNTED = {
    "run": "to run",
    "replace": "to replace",
    "move": "to move",
    "wait": "waiting for their window to end",
    "skip": "stored",
    "refused": "refused by the service before",
    "left over": "left over",
    "not in this job": "stored but not in this job",
}
