"""`validate`: everything that `plan` would refuse, without looking at journal or files."""

from __future__ import annotations

import os

import rich_click as click

from orchestrator.cli import options, say


@click.command()
@options.JOB
@options.selecting()
@options.AS_JSON
def validate(
    *,
    job: str,
    ask: options.Ask,
    as_json: bool,
) -> None:
    """Check a job file. Contacts nobody and needs no token."""
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    task = load(job, ask, os.environ, SystemClock().now())
    if as_json:
        say.document(
            {"schema": "orchestrator.validate/1", "job": task.name, "valid": True, "exports": len(task.exports)}
        )
    else:
        say.people(f"{job}: valid; it expands to {len(task.exports):,} exports.\nNext: orchestrator plan {job}")
