"""`run`: does what the plan says; goes on from whatever an earlier run left, however that ended."""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from orchestrator.cli import exits, options, pipeline, say
from orchestrator.cli.signals import SIGNALS
from orchestrator.errors import JournalError, OrchestratorError, RefusedError, StorageError, UnreachableError

if TYPE_CHECKING:
    from orchestrator.cli.task import Task
    from orchestrator.engine.ports import Clock
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
    options.option(
        "--metrics",
        metavar="FILE",
        help="Write the run's figures to FILE for Prometheus' textfile collector; goes before metrics.file of the job.",
    ),
    options.CI,
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
    metrics: str | None,
    ci: pipeline.Ci,
    as_json: bool,
) -> int:
    """Carries out a run or one of its halves, prints what came of it, and gives the exit status."""
    talk = options.Talk(log_format=log_format, no_progress=no_progress, quiet=quiet, verbose=verbose)
    runner = pipeline.of(ci, os.environ, annotate=log_format != "json")
    with pipeline.hears_errors(runner):
        from orchestrator.cli.ending import Ending
        from orchestrator.engine.clock import SystemClock

        if log_format == "json":
            SIGNALS.last_words = b""
        clock = SystemClock()
        task, token = _prepared(job, ask, clock)
        until = None if deadline is None else STARTED + deadline
        ending = Ending(task, os.environ, job=job, runner=runner, metrics_file=metrics, until=until)
        ends = Ends(None if deadline is None else deadline - ending.reserved(deadline), fail_fast)
        try:
            report = _carry_out(task, token, talk, clock, command, ends, adopt=adopt)
            status = exits.of_report(report, interrupted=SIGNALS.interrupted)
        except (StorageError, JournalError, RefusedError, UnreachableError) as error:
            status = exits.of_error(error)
            if status == exits.WRONG:
                raise
            say.errors(error)
            report = _report_of(task, error, status, command)
    ending.keep(report, status)
    try:
        if as_json:
            say.report(report)
        elif log_format == "text" and not quiet:
            _tell_ways_on(report, job, ask)
    except StorageError as error:  # the report can't be written
        status = exits.of_error(error)
        raise
    finally:
        ending.call(report, status)
    return status


def _tell_ways_on(report: Mapping[str, Any], job: str, ask: options.Ask) -> None:
    """The commands that come next, as they would be typed."""
    from orchestrator.progress.ending import other_half

    if not any(report["counts"][state] for state in ("stored", "failed", "pending")):
        return
    if (other := other_half(report)) is not None:
        say.people(f"  To go on: orchestrator {other} {shlex.quote(job)}{ask.typed}")
    if report["run_id"] is not None:  # else the last report that is kept is of the run before
        whole = replace(ask, selects=(), first=None, last=None, only=None)
        say.people(f"  As a page: orchestrator report {shlex.quote(job)}{whole.typed} --html report.html")


def _report_of(task: Task, error: OrchestratorError, status: int, command: Command) -> dict[str, Any]:
    """The report of a run that ended before it had begun anything."""
    from orchestrator.engine import result
    from orchestrator.engine.clock import SystemClock

    now = SystemClock().now()
    return result.build(
        job=task.name,
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


@dataclass(frozen=True, slots=True)
class Ends:
    """What ends a run before its work is done."""

    deadline: float | None = None
    """Seconds from the start of the process to the end of the run."""
    fail_fast: bool = False


def execute(target: str, ask: options.Ask, talk: options.Talk) -> dict[str, Any]:
    """Runs `target` and gives the run's report. Raises OrchestratorError for what went wrong before there was a run."""
    from orchestrator.engine.clock import SystemClock

    clock = SystemClock()
    task, token = _prepared(target, ask, clock)
    return _carry_out(task, token, talk, clock, "run", Ends(), adopt=False)


def _prepared(target: str, ask: options.Ask, clock: Clock) -> tuple[Task, str]:
    from orchestrator.cli.task import load

    task = load(target, ask, os.environ, clock.now())
    return task, task.api.token.resolve(os.environ, task.folder)


def _carry_out(  # noqa: PLR0917  all of it is what a session is made of
    task: Task, token: str, talk: options.Talk, clock: Clock, command: Command, ends: Ends, *, adopt: bool
) -> dict[str, Any]:
    import anyio

    from orchestrator.cli.session import Session
    from orchestrator.cli.speech import Terminal

    session = Session(task, token, Terminal(talk, clock, task.root), clock, command)
    return anyio.run(
        lambda: session.run(
            deadline=ends.deadline,
            started=STARTED,
            fail_fast=ends.fail_fast,
            adopt=adopt,
        )
    )
