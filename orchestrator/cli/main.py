"""The `orchestrator` command: its commands, and how each of them ends.

Everything heavy is imported by the command that needs it, when it runs: `--help` must answer at once.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import rich_click as click

from orchestrator.cli import exits, say
from orchestrator.cli.demo import demo
from orchestrator.cli.init import init
from orchestrator.cli.plan import plan
from orchestrator.cli.run import run
from orchestrator.cli.schema import schema
from orchestrator.cli.signals import SIGNALS
from orchestrator.cli.simulate import simulate
from orchestrator.cli.status import status
from orchestrator.cli.validate import validate
from orchestrator.cli.verify import verify
from orchestrator.errors import OrchestratorError
from orchestrator.version import __version__

PARKING = frozenset({"run", "demo"})
"""Commands that a signal parks; any other it just ends."""
PLATFORMS = ("linux", "darwin")

CONTEXT = {
    "auto_envvar_prefix": "ORCHESTRATOR",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="orchestrator")
def cli() -> None:
    """Bulk exports from Loop: one YAML job file in, verified files and a manifest out.

    Begin with `orchestrator demo` (no account needed), then `orchestrator init`.
    """


for _command in (init, validate, plan, run, status, verify, simulate, demo, schema):
    cli.add_command(_command)


def main() -> NoReturn:
    """The console script. Ends the process with the status of `exits`."""
    arguments = sys.argv[1:]
    if PARKING.intersection(arguments[:1]):
        SIGNALS.install()
    status = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        with say.writing_to(stream):
            stream.flush()
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        if not sys.platform.startswith(PLATFORMS):
            say.people(
                f"error: orchestrator runs on Linux and macOS, not on {sys.platform}\n  hint: on Windows use WSL."
            )
            return exits.WRONG
        done = cli.main(arguments, prog_name="orchestrator", standalone_mode=False)
        return done if isinstance(done, int) else exits.OK
    except click.ClickException as error:
        if as_json:
            say.errors_document(OrchestratorError(error.format_message(), code="usage"))
        else:
            error.show(file=sys.stderr)
        return exits.WRONG
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except OrchestratorError as error:
        say.errors(error)
        if as_json:
            say.errors_document(error)
        return exits.of_error(error)
    except Exception as bug:  # noqa: BLE001  the last resort: every other error has been declared
        say.bug(bug)
        return exits.BUG


if __name__ == "__main__":
    main()
