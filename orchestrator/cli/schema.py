"""`schema`: the JSON Schema of the job file, for editors."""

from __future__ import annotations

import rich_click as click

from orchestrator.cli import say


@click.command()
def schema() -> None:
    """Print the JSON Schema of the job file."""
    from orchestrator.job.schema import job_schema

    say.document(job_schema())
