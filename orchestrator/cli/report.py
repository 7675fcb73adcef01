"""`report`: what the last run did, for people who were not there: a page, Markdown, or JUnit for a pipeline."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from orchestrator.cli import options, output_file, say
from orchestrator.errors import JobError, Problem, StorageError, said_by_system

if TYPE_CHECKING:
    from orchestrator.cli.task import Task

STDOUT = "-"
MARKDOWN_LIMIT = 900_000
"""Bytes: what GitHub takes as a step's summary, with some room."""


@click.command()
@click.argument("job", metavar="JOB", type=click.Path())
@options.selecting()
@options.option("--html", metavar="FILE", help="Write one self-contained page with pictures, filters and all exports.")
@options.option("--markdown", metavar="FILE", help="Write GitHub flavoured Markdown.")
@options.option("--junit", metavar="FILE", help="Write JUnit XML: a test case an export.")
@options.option(
    "--markdown-limit",
    type=click.IntRange(min=0),
    default=MARKDOWN_LIMIT,
    show_default=True,
    metavar="BYTES",
    help="Leave out of the Markdown what does not fit (65000 for a comment on GitHub).",
)
def report(
    *,
    job: str,
    ask: options.Ask,
    html: str | None,
    markdown: str | None,
    junit: str | None,
    markdown_limit: int,
) -> None:
    """Render the last run: --html, --markdown, --junit, several at once; `-` is stdout. Without any: its summary.

    JOB is a job file, a frozen plan, or a file that `run --json` wrote (`-`: stdin), which needs nothing else.
    """
    wanted = {kind: file for kind, file in (("html", html), ("markdown", markdown), ("junit", junit)) if file}
    if len(set(wanted.values())) < len(wanted):
        raise click.UsageError(
            "--html, --markdown and --junit need a file each; only one of them can be `-`, the standard output"
        )
    record, task = _record(job, ask)
    for kind, file in wanted.items():
        if file != STDOUT:
            output_file.refuse_loss(f"--{kind}", file, job, task)
    if not wanted:
        _summary(record, job, ask)
    for kind, file in wanted.items():
        _write(file, _rendered(kind, record, markdown_limit))
    for kind, file in wanted.items():
        if file != STDOUT:
            say.people(f"{kind}: {file} ({_told(record)})")


def _told(record: Mapping[str, Any]) -> str:
    from orchestrator.cli.status_view import ENDS
    from orchestrator.progress.words import moment_of

    return f"the run that {ENDS.get(record['outcome'], 'ended')} at {moment_of(record['finished_at'])}"


def _rendered(kind: str, record: Mapping[str, Any], limit: int) -> str:
    match kind:
        case "html":
            from orchestrator.report import html

            return html.render(record)
        case "markdown":
            from orchestrator.report import markdown

            return markdown.render(record, limit=limit)
        case _:
            from orchestrator.report import junit

            return junit.render(record)


def _summary(record: Mapping[str, Any], job: str, ask: options.Ask) -> None:
    from orchestrator.progress.console import PeopleConsole
    from orchestrator.progress.summary import print_summary

    with say.writing_results():
        print_summary(record, PeopleConsole(sys.stdout))
    again = f"orchestrator report {shlex.quote(job)}{ask.typed}"
    say.people(f"As a page: {again} --html report.html\nAlso: --markdown FILE, --junit FILE")


# ------------------------------------------------------------------------------------------------- where it comes from


def _record(job: str, ask: options.Ask) -> tuple[dict[str, Any], Task | None]:
    """The run record of `job`, narrowed to what is selected, and what was read from `job` unless that is the record itself.

    Raises JobError if there is none.
    """
    from orchestrator.report.record import parse

    given = _given(job)
    if given is not None:
        if ask.selects_some:
            raise click.UsageError(
                f"{job} is a run's report as it stands: to select some of its exports, name the job file"
            )
        return parse(given, "stdin" if job == STDOUT else job), None
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock
    from orchestrator.journal.lock import holder
    from orchestrator.journal.reader import read_last_run
    from orchestrator.progress.words import moment

    task = load(job, ask, os.environ, SystemClock().now())
    active = holder(task.state)
    last = read_last_run(task.state)
    active = holder(task.state) or active  # as `status` does: a run may have begun or ended just now
    if last.report is None:
        raise _none_yet(job, ask, active, cut_off=last.cut_off_at is not None)
    record = parse(last.report, str(task.state))
    told = None
    if active:
        told = f"A run is active ({active}); this is the one before."
    elif last.cut_off_at is not None:
        told = "A later run did not end in its own words (killed?) and has left no report; this is the one before."
    elif last.idle_at is not None:
        told = f"The last run ({moment(last.idle_at)}) found nothing to do; this is the last one that did something."
    if told is not None:
        say.people(say.hanging(told, indent=0, hang=2))
    if ask.selects_some:
        record = _narrowed(record, {export.key for export in task.exports})
    return record, task


def _given(job: str) -> bytes | None:
    """What `job` holds, if that is a run's report rather than a job file or a frozen plan."""
    if job == STDOUT:
        return sys.stdin.buffer.read()
    try:
        data = Path(job).read_bytes()
    except OSError:
        return None  # whoever reads it as a job file tells what is wrong
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        schema = json.loads(data).get("schema")
    except (ValueError, AttributeError, RecursionError):
        return None
    return data if str(schema).startswith("orchestrator.run/") else None


def _none_yet(job: str, ask: options.Ask, active: str | None, *, cut_off: bool) -> JobError:
    typed = f"{shlex.quote(job)}{ask.typed}"
    if active:
        message, hint = f"its first run is still active ({active})", f"`orchestrator status {typed}` shows it"
    elif cut_off:
        message = "no run of it has ended in its own words yet (killed?)"
        hint = f"`orchestrator run {typed}` goes on, and leaves a report; `orchestrator status {typed}` shows where it stands"
    else:
        message = "there was no run of it yet"
        hint = (
            f"`orchestrator run {typed}` does it; if it ran somewhere else, give the state folder with --state, or a file with "
            "its `run --json`"
        )
    return JobError(Problem(f"there is nothing to report: {message}", code="report.none", file=job, hint=hint))


def _narrowed(record: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """The same run, as if it had been of these exports only; requests were the whole run's, and stay so."""
    exports = [export for export in record["exports"] if export["key"] in keys]
    states = [export["state"] for export in exports]
    stored = [export for export in exports if export["state"] == "stored"]
    return record | {
        "exports": exports,
        "counts": {
            "planned": len(exports),
            **{name: states.count(name) for name in record["counts"] if name != "planned"},
        },
        "bytes": sum(export["bytes"] or 0 for export in stored),
        "rows": sum(export["rows"] or 0 for export in stored),
    }


# ------------------------------------------------------------------------------------------------------- where it goes


def _write(file: str, text: str) -> None:
    """Whole or not at all: whoever reads the file meanwhile sees the old one or the new one."""
    if file == STDOUT:
        say.result(text.removesuffix("\n"))
        return
    path = Path(file)
    data = text.encode("utf-8", "backslashreplace")
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/stderr
            path.write_bytes(data)
            return
        temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temp.write_bytes(data)
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
    except OSError as error:
        lacking = not path.parent.is_dir()
        hint = (
            "Make its folder first, or name a file elsewhere."
            if lacking
            else "Name a file elsewhere; to look again costs nothing."
        )
        raise StorageError(
            f"{file} can't be written", code="storage.output", hint=hint, cause=said_by_system(error)
        ) from None
