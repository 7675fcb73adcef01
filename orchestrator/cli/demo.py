"""`demo`: a whole run against the simulator, no account needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.cli.signals import SIGNALS
from orchestrator.errors import OrchestratorError

TOKEN = "LOOP_API_TOKEN"  # noqa: S105  the variable's name
FOLDER = "demo"


@click.command()
@options.option("--dir", "folder", default=FOLDER, show_default=True, help="Where the files go.")
def demo(folder: str) -> int:
    """Run a whole backfill against a simulated service. No account is needed."""
    from orchestrator.cli.run import execute
    from orchestrator.cli.verify import verify_task

    root = Path(folder).absolute()
    shown = os.path.relpath(root)
    os.environ[TOKEN] = "token-of-the-demo"  # a real one has no business here
    say.people(
        "A backfill of 5 inboxes × 6 months from a simulated Loop, on this machine only.\n"
        "On its way it meets a 429, an export that fails, and a download that is cut.\n"
    )
    package = files("orchestrator.cli")
    with (
        as_file(package / "demo.yaml") as job,
        as_file(package / "demo-scenario.yaml") as scenario,
        _service(scenario) as url,
    ):
        # The key holds the base URL, whose port is another one each time: what an earlier demo stored is made anew. Its
        # service knows none of the reports of an earlier one either.
        ask = options.Ask(sets=(f"api.base_url={url}", f"output.to={root}"))
        report = execute(str(job), ask, options.Talk(heartbeat=2.0))
        status = exits.of_report(report, interrupted=SIGNALS.interrupted)
        if status != exits.OK:
            say.people(
                "\nOnly in this demo, the service has ended with the run and forgets everything: the next demo begins from\n"
                "the beginning. With a real service, the same command goes on."
            )
            return status
        results = verify_task(str(job), ask)
    wrong = [result for result in results if result["state"] != "equal"]
    if wrong:
        say.people(f"{len(wrong)} files are not what the manifest says. That is a bug: please report it.")
        return exits.FAILED
    say.people(
        f"""
Read again and compared: all {len(results)} files are what the manifest says.
Look at them:    {shown}/support/2025-01.json, {shown}/manifest.json

Next, with a real account (`source .venv/bin/activate`, if this was `make demo`):
  export LOOP_API_TOKEN=…         a token from Loop's web settings
  orchestrator init               writes job.yaml; two lines of it are yours to edit
  orchestrator doctor job.yaml    looks whether all is in order, and creates nothing
  orchestrator plan job.yaml      shows what would be exported; contacts nobody
  orchestrator run job.yaml       does it; after a Ctrl-C, run it again: it goes on"""
    )
    return exits.OK


@contextmanager
def _service(scenario: Path) -> Iterator[str]:
    """The simulator in a thread of its own, as a service is elsewhere; gives its base URL."""
    import asyncio

    from orchestrator.simulator.scenario import load_scenario
    from orchestrator.simulator.server import Simulator

    up = threading.Event()
    address: list[str] = []
    handle: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        try:
            async with Simulator(load_scenario(scenario)) as simulator:
                address.append(simulator.base_url)
                handle.append((asyncio.get_running_loop(), over))
                up.set()
                await over.wait()
        finally:
            up.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="simulator", daemon=True)
    thread.start()
    up.wait()
    if not address:  # its traceback has been printed by the thread
        raise OrchestratorError(
            "the simulated service did not start",
            code="demo.service",
            hint="The lines above say why. It needs to listen on this machine's own loopback.",
        )
    try:
        yield address[0]
    finally:
        loop, over = handle[0]
        loop.call_soon_threadsafe(over.set)
        thread.join()
