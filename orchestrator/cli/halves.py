"""`submit` and `collect`: a run in two halves, for pipelines that would rather not wait between them."""

from __future__ import annotations

from typing import Any

import rich_click as click

from orchestrator.cli.run import conduct, running


@click.command()
@running
def submit(**given: Any) -> int:
    """Create every export that is missing, and end: Loop makes them meanwhile, `collect` brings them home.

    Waits only where `limits.unfinished` are under way already. Exits with 0 once all are created or stored.
    """
    return conduct("submit", **given)


@click.command()
@running
def collect(**given: Any) -> int:
    """Bring home what an earlier `submit` (or a run that was cut off) has created; create nothing.

    Waits until all of it is there, or for as long as --deadline says. Exits with 0 if every selected export is stored then, with 3 if
    some are still being made or have to be created first.
    """
    return conduct("collect", **given)
