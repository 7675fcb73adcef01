"""`simulate`: a local Loop API for rehearsals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from orchestrator.cli import options, say

if TYPE_CHECKING:
    from orchestrator.simulator.server import Simulator

PORT = 8765


@click.command()
@options.option(
    "--scenario",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Delays, limits and faults to play: see docs/simulator.md.",
)
@options.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@options.option("--port", default=PORT, show_default=True, help="Port of the API; 0 takes any that is free.")
@options.option("--files-port", default=0, show_default=True, help="Port of the file host; 0 takes any that is free.")
def simulate(scenario: Path | None, host: str, port: int, files_port: int) -> None:
    """Serve a local Loop API for rehearsals; prints its base URL. Ctrl-C ends it."""
    import asyncio

    from orchestrator.simulator.scenario import load_scenario
    from orchestrator.simulator.server import serve

    def ready(simulator: Simulator) -> None:
        say.result(simulator.base_url)
        say.people(
            f"A simulated Loop API, on this machine only; files come from {simulator.files_url}.\n"
            f'In a job file:  api: {{base_url: {simulator.base_url}, token: "${{LOOP_API_TOKEN}}"}}\n'
            f"{_tokens(simulator.scenario.tokens)} Ctrl-C ends it."
        )

    asyncio.run(serve(load_scenario(scenario), host, port, files_port, ready))


def _tokens(taken: tuple[str, ...] | None) -> str:
    if taken is None:
        return "Any token will do: export LOOP_API_TOKEN=rehearsal."
    return f"Tokens that it takes, as its scenario says: {', '.join(taken)}."
