"""`run`: does what the plan says; goes on from whatever an earlier run left, however that ended."""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.cli.signals import SIGNALS
from orchestrator.errors import JournalError, OrchestratorError, RefusedError, StorageError, UnreachableError

if TYPE_CHECKING:
    from orchestrator.engine.runner import Command

STARTED = time.monotonic()
"""When the process began, as nearly as it can know: `--deadline` counts from here."""


_OPTIONS = (
    options.JOB,
    options.selecting(options.ONLY_HELP),
    options.option(
        "--deadline", type=options.Duration(), metavar="DURATION", help="Park in time to exit within this, e.g. 50m."
    ),
    options.option("--fail-fast", is_flag=True, help="Park as soon as an export failed for good."),
    options.option("--adopt", is_flag=True, help="Take over files whose manifest names another job."),
    options.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How stderr is written: for people or for machines.",
    ),
    options.option("--no-progress", is_flag=True, help="No live display and no heartbeat."),
    options.option("--quiet", is_flag=True, help="Errors and the summary's essence only."),
    options.option("--verbose", is_flag=True, help="Log every request and every change."),
    options.AS_JSON,
)


def running(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments of commands that contact the service and work on a job."""
    return functools.reduce(lambda function, add: add(function), reversed(_OPTIONS), command)


@click.command()
@running
def run(**given: Any) -> int:
    """Run a job (or a frozen plan): export, download, verify and store what is missing."""
    return conduct("run", **given)


def conduct(
    command: Command,
    *,
    job: str,
    ask: options.Ask,
    deadline: float | None,
    fail_fast: bool,
    adopt: bool,
    log_format: Literal["text", "json"],
    no_progress: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Carries out a run or one of its halves, prints what came of it, and gives the exit status."""
    talk = options.Talk(log_format=log_format, no_progress=no_progress, quiet=quiet, verbose=verbose)
    try:
        report = execute(job, ask, talk, command=command, deadline=deadline, fail_fast=fail_fast, adopt=adopt)
    except (StorageError, JournalError, RefusedError, UnreachableError) as error:
        status = exits.of_error(error)
        if not as_json or status == exits.WRONG:
            raise
        say.errors(error)
        _print(_report_of(error, status, command))
        return status
    if as_json:
        _print(report)
    elif (
        log_format == "text" and not quiet and any(report["counts"][state] for state in ("stored", "failed", "pending"))
    ):
        whole = replace(ask, selects=(), first=None, last=None, only=None)
        say.people(f"  As a page: orchestrator report {shlex.quote(job)}{whole.typed} --html report.html")
    return exits.of_report(report, interrupted=SIGNALS.interrupted)


def _print(report: Mapping[str, Any]) -> None:
    head = {name: value for name, value in report.items() if name not in ("history", "exports")}
    say.long_document(head, history=report["history"], exports=report["exports"])


def _report_of(error: OrchestratorError, status: int, command: Command) -> dict[str, Any]:
    """The report of a run that ended before it had begun anything."""
    from orchestrator.engine import result
    from orchestrator.engine.clock import SystemClock

    now = SystemClock().now()
    return result.build(
        job=None,
        run_id=None,
        outcome=lambda _counts: exits.outcome_of(status),
        reason=error.message,
        error=error,
        started_at=now,
        finished_at=now,
        items=(),
        records={},
        figures=result.Figures(),
        command=command,
    )


def execute(
    target: str,
    ask: options.Ask,
    talk: options.Talk,
    *,
    command: Command = "run",
    deadline: float | None = None,
    fail_fast: bool = False,
    adopt: bool = False,
) -> dict[str, Any]:
    """Runs `target` and gives the run's report. Raises OrchestratorError for what went wrong before there was a run."""
    import anyio

    from orchestrator.cli.session import Session
    from orchestrator.cli.speech import Terminal
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    clock = SystemClock()
    task = load(target, ask, os.environ, clock.now())
    token = task.api.token.resolve(os.environ, task.folder)
    session = Session(task, token, Terminal(talk, clock, task.root), clock, command)
    return anyio.run(lambda: session.run(deadline=deadline, started=STARTED, fail_fast=fail_fast, adopt=adopt))
