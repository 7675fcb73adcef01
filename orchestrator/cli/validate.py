"""`validate`: refuses everything that `plan` would refuse, and shows no plan."""

from __future__ import annotations

import os

import rich_click as click

from orchestrator.cli import options, pipeline, say


@click.command()
@options.JOB
@options.selecting()
@options.AS_JSON
@pipeline.annotated
def validate(
    *,
    job: str,
    ask: options.Ask,
    as_json: bool,
) -> None:
    """Check a job file. Contacts nobody and needs no token."""
    import anyio

    from orchestrator.cli.task import load
    from orchestrator.cli.wiring import look
    from orchestrator.engine.clock import SystemClock

    now = SystemClock().now()
    task = load(job, ask, os.environ, now)
    anyio.run(look, task, now)
    if as_json:
        say.document(
            {"schema": "orchestrator.validate/1", "job": task.name, "valid": True, "exports": len(task.exports)}
        )
    else:
        say.people(
            f"{job}: valid; it expands to {len(task.exports):,} exports.\nNext: orchestrator plan {job}{ask.typed}"
        )
