"""The `orchestrator` command: its commands, and how each of them ends.

Everything heavy is imported by the command that needs it, when it runs: `--help` must answer at once.
"""

from __future__ import annotations

import io
import os
import sys

import rich_click as click

from orchestrator.cli import exits, options, pipeline, say, streams
from orchestrator.cli.demo import demo
from orchestrator.cli.doctor import doctor
from orchestrator.cli.explain import explain
from orchestrator.cli.halves import collect, submit
from orchestrator.cli.init import init
from orchestrator.cli.plan import plan
from orchestrator.cli.report import report
from orchestrator.cli.run import run
from orchestrator.cli.schema import schema
from orchestrator.cli.simulate import simulate
from orchestrator.cli.status import status
from orchestrator.cli.validate import validate
from orchestrator.cli.verify import verify
from orchestrator.errors import OrchestratorError, StorageError
from orchestrator.version import __version__

CONTEXT = {
    "auto_envvar_prefix": options.PREFIX,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}


def _tell_version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        say.result(f"orchestrator, version {__version__}")
        context.exit()


@click.group(context_settings=CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_tell_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Bulk exports from Loop: one YAML job file in, verified files and a manifest out.

    Begin with `orchestrator demo` (no account needed), then `orchestrator init`. Every option can be set in the
    environment as well, as ORCHESTRATOR_COMMAND_OPTION: ORCHESTRATOR_RUN_DEADLINE=50m.
    """


for _command in (
    init,
    validate,
    plan,
    run,
    submit,
    collect,
    status,
    verify,
    report,
    simulate,
    demo,
    schema,
    doctor,
    explain,
):
    cli.add_command(_command)


def run_program(arguments: list[str]) -> int:
    """Runs a command line and gives its exit status."""
    as_json = "--json" in arguments or options.json_by_environment(arguments[:1])
    streams.open_missing(as_json=as_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a label may hold letters that the terminal's encoding lacks
            # Results are flushed where they end, and an error is heard there; PYTHONUNBUFFERED would have it come anywhere.
            stream.reconfigure(errors="backslashreplace", write_through=False)
    try:
        status = _run(arguments, as_json=as_json)
        with say.writing_results():
            sys.stdout.flush()
    except StorageError as error:  # for help, or the document of another error
        say.errors(error)
        status = exits.of_error(error)
    say.end_of_words()
    return status


def _run(arguments: list[str], *, as_json: bool) -> int:
    try:
        done = cli.main(arguments, prog_name="orchestrator", standalone_mode=False)
        return done if isinstance(done, int) else exits.OK
    except click.ClickException as error:
        wrong = _usage(error)
        pipeline.tell_of_usage(wrong, arguments, os.environ)
        say.errors(wrong)
        if as_json:
            say.errors_document(wrong)
        return exits.WRONG
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except OrchestratorError as error:
        say.errors(error)
        if as_json:
            say.errors_document(error)
        return exits.of_error(error)
    except SystemExit:
        raise
    except BaseException as bug:  # noqa: BLE001  the last resort: every other error has been declared
        say.bug(bug)
        return exits.BUG


def _usage(error: click.ClickException) -> OrchestratorError:
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "orchestrator"
    return OrchestratorError(error.format_message(), code="usage", hint=f"`{asked} --help` lists what it takes")
