"""`plan`: what a run would do, export by export, and why."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from orchestrator.cli import exits, options, output_file, pipeline, say
from orchestrator.errors import JobError, Problem, said_by_system
from orchestrator.progress.words import clock_in_zone

if TYPE_CHECKING:
    from orchestrator.cli.survey import Survey
    from orchestrator.cli.task import Task
    from orchestrator.engine.plan import Item


@click.command()
@options.JOB
@options.selecting(options.ONLY_HELP)
@options.option("--out", metavar="FILE", help="Freeze the plan into FILE; `run FILE` executes exactly that.")
@options.option("--adopt", is_flag=True, help="Take over files whose manifest names another job.")
@options.option("--detailed-exitcode", is_flag=True, help="Exit with 10 if there is something to do.")
@options.option("--verbose", is_flag=True, help="List every export with its reason, however many.")
@options.AS_JSON
@pipeline.annotated
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
    """Show what a run would do, why, and what it will take. Contacts nobody and needs no token."""
    import anyio

    from orchestrator.cli.survey import survey
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    now = SystemClock().now()
    task = load(job, ask, os.environ, now, others=True)
    if out is not None:
        output_file.refuse_loss("--out", out, job, task)

    async def look() -> Survey:
        return await survey(task, now, adopt=adopt)

    found = anyio.run(look)
    if out is not None:
        _freeze(task, found, out)
    if as_json:
        say.long_document(_head(task, found), exports=map(_entry, found.items))
    else:
        from orchestrator.cli.plan_view import show

        show(task, found, verbose=verbose)
        try:
            if (proxy := _proxy(task)) is not None:
                say.people(f"Loop is reached through the proxy {proxy}.")
        except JobError as error:
            say.people("A run from here would stop at once:")
            say.errors(error)
        if out is not None:
            say.people(f"Frozen into {out}.")
        if (command := _next(job, ask, found, out)) is not None:
            parks = found.parks_until(task.limits.longest_pause)
            say.people(f"Next{'' if parks is None else f', after {clock_in_zone(parks, found.at)}'}: {command}")
    return exits.CHANGES if detailed_exitcode and found.has_work else exits.OK


def document(task: Task, found: Survey) -> dict[str, Any]:
    """The whole of `orchestrator.plan/1`."""
    return _head(task, found) | {"exports": [_entry(item) for item in found.items]}


def _freeze(task: Task, found: Survey, out: str) -> None:
    from orchestrator.cli.task import freeze

    frozen = document(task, found) | {"frozen": freeze(task)}
    try:
        Path(out).write_text(json.dumps(frozen, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        problem = Problem(
            f"the plan can't be written to {out}",
            code="plan.unwritable",
            hint="make its folder first, or name another file with --out"
            if not Path(out).parent.is_dir()
            else "name another file with --out",
            cause=said_by_system(error),
        )
        raise JobError(problem) from None


def _next(job: str, ask: options.Ask, found: Survey, out: str | None) -> str | None:
    """The command that comes next: the run; or, where there is nothing to do, none."""
    if not found.has_work:
        return None
    if out is not None:
        return f"orchestrator run {shlex.quote(out)}"
    return f"orchestrator run {shlex.quote(job)}{ask.typed}"


def _head(task: Task, found: Survey) -> dict[str, Any]:
    from orchestrator.cli.survey import forecast_document, left_out_document

    counts = Counter(item.action.value.replace(" ", "_") for item in found.items)
    proxy = None
    with contextlib.suppress(JobError):  # of an environment that may be another one where the plan is run
        proxy = _proxy(task)
    return {
        "schema": "orchestrator.plan/1",
        "job": task.name,
        "output": str(task.root),
        "proxy": proxy,
        "counts": dict(counts),
        "left_out": left_out_document(found),
        "forecast": forecast_document(found),
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
