"""docs/commands.md, made from the commands themselves: `python -m orchestrator.cli.reference > docs/commands.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import rich_click as click

from orchestrator.cli.main import cli

HEAD = """\
# Commands

Made from the program itself (`python -m orchestrator.cli.reference`); `orchestrator COMMAND --help` says the same.

Results go to stdout, all talk to stderr; `--json` makes stdout one document with a `schema`. Every option can be set in the environment, as
`ORCHESTRATOR_<COMMAND>_<OPTION>`: the command line comes first, then the environment, then the job file, then the default. A
flag's variable takes `1` or `true`; a repeatable option's holds several values as a shell would, with blanks between them or in quotes.
`orchestrator --version` prints the version.

What the exit statuses mean: [In a pipeline](pipelines.md); what an error's code means: [Errors](errors.md).
"""


SELECTING = """\
## Which part of a job

Commands that take a job understand these; [patterns](job-file.md#patterns) are the same as in the job file:
"""
_TABLE = "| option | default | meaning |\n| --- | --- | --- |"


def reference() -> str:
    """The whole page, as Markdown."""
    common = _rows(cli.commands["validate"])
    del common["json"]
    lines = [HEAD, SELECTING, _TABLE, *common.values(), ""]
    told: dict[str, dict[str, str]] = {}
    for name, command in cli.commands.items():
        rows = _rows(command)
        lines += _command(name, command, rows, common, next((other for other in told if told[other] == rows), None))
        if len(rows) > len(common):
            told[name] = rows
    return "\n".join(lines)


def _command(
    name: str, command: click.Command, rows: dict[str, str], common: dict[str, str], same: str | None
) -> Iterator[str]:
    context = click.Context(command, info_name=f"orchestrator {name}")
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"## {name}\n"
    yield f"```\norchestrator {name} {pieces}".rstrip() + "\n```\n"
    yield _prose(inspect.cleandoc(command.help or "")) + "\n"
    if same is not None:
        yield f"It takes the options of [{same}](#{same}).\n"
        return
    if common.items() <= rows.items():
        yield "It takes the options that say [which part of a job](#which-part-of-a-job) is meant"
        rows = {option: row for option, row in rows.items() if option not in common}
        yield "and these:\n" if rows else "and no others.\n"
    if rows:
        yield "\n".join([_TABLE, *rows.values(), ""])


def _rows(command: click.Command) -> dict[str, str]:
    """A row of the table for each option, by its longest name."""
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return {max(each.opts, key=len).removeprefix("--"): _row(each) for each in options}


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    metavar = option.make_metavar(click.Context(click.Command("any"))).removesuffix(" RANGE")
    value = "" if option.is_flag else f" `{metavar}`"
    told = f"`{option.default}`" if option.show_default else ""
    return f"| {names}{_cell(value)} | {told} | {_cell(_prose(option.help or ''))} |"


def _prose(text: str) -> str:
    """Help is written for terminals: a `<word>` would be a tag here."""
    return text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
