"""Options that several commands share."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import rich_click as click

F = TypeVar("F", bound=Callable[..., Any])
PREFIX = "ORCHESTRATOR"


class Option(click.RichOption):
    """An option whose variable is named after the option, `ORCHESTRATOR_<COMMAND>_<OPTION>`, not after a parameter."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        name = max(self.opts, key=len).removeprefix("--").replace("-", "_").upper()
        return os.environ.get(f"{ctx.auto_envvar_prefix}_{name}") or None

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Of a repeatable option the variable holds several values as a shell would: blanks between them, or quotes."""
        value = self.resolve_envvar_value(ctx)
        if value is None or not self.multiple:
            return value
        try:
            return shlex.split(value)
        except ValueError as error:
            raise click.BadParameter(f"its variable can't be read: {error}", ctx, self) from None


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """`click.option`, with our variables."""
    return click.option(*names, cls=Option, **settings)


def json_by_environment(command: Sequence[str]) -> bool:
    """Whether the environment asks this command for JSON; known before the command line is read."""
    value = os.environ.get(f"{PREFIX}_{command[0].upper()}_JSON", "") if command else ""
    return value.strip().lower() in ("1", "true", "t", "yes", "y", "on")


JOB = click.argument("job", metavar="JOB", type=click.Path())
AS_JSON = option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
CI = option(
    "--ci",
    type=click.Choice(["auto", "github", "none"]),
    default="auto",
    show_default=True,
    help="Whose pipeline is told more than text: GitHub's annotations, step summary and outputs. auto: if it is there.",
)
Only = Literal["missing", "failed", "all"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line says of a job."""

    selects: Sequence[str] = ()
    first: str | None = None
    last: str | None = None
    sets: Sequence[str] = ()
    state: str | None = None
    max_exports: int = 1_000_000
    only: Only | None = None
    """None: the command's own default."""

    @property
    def typed(self) -> str:
        """The options as they were typed, with a blank before, to be said again in a command that is suggested."""
        words = [word for text in self.selects for word in ("--select", text)]
        words += [word for text in self.sets for word in ("--set", text)]
        for name, value in (
            ("--from", self.first),
            ("--to", self.last),
            ("--state", self.state),
            ("--only", self.only),
        ):
            words += [name, value] if value else []
        return f" {shlex.join(words)}" if words else ""

    @property
    def selects_some(self) -> bool:
        return bool(self.selects or self.first or self.last)


@dataclass(frozen=True, slots=True)
class Talk:
    """How much a run says, and how."""

    log_format: Literal["text", "json"] = "text"
    no_progress: bool = False
    quiet: bool = False
    verbose: bool = False
    heartbeat: float = 30.0
    """Seconds between two lines of progress where nobody watches."""


ONLY_HELP = (
    "missing: all that is not stored (the default); failed: those that failed before, also what the service refused; "
    "all: stored ones too, replaced when the new file is verified."
)
_SELECTING = (
    option(
        "--select",
        "selects",
        multiple=True,
        metavar="AXIS=PATTERN",
        help="Only these exports: a label, a glob, a list a,b or a range of windows; != excludes. Repeatable.",
    ),
    option("--from", "first", metavar="WINDOW", help="Only windows from this one on."),
    option("--to", "last", metavar="WINDOW", help="Only windows up to this one."),
    option(
        "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Override a key of the job file. Repeatable."
    ),
    option("--state", metavar="DIR", help="Where journal and lock are. Default: .orchestrator in the output folder"),
    option(
        "--max-exports",
        type=click.IntRange(min=1),
        default=1_000_000,
        show_default=True,
        help="Refuse a job that expands to more.",
    ),
)


def selecting(only_help: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say what of a job is meant; the command gets them together, as `ask`.

    `only_help` describes `--only`; None leaves that option out.
    """
    chosen = list(_SELECTING)
    if only_help is not None:
        chosen.append(option("--only", type=click.Choice(["missing", "failed", "all"]), help=only_help))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            ask = Ask(**{field.name: given.pop(field.name) for field in fields(Ask) if field.name in given})
            return function(ask=ask, **given)

        for add in reversed(chosen):
            add(command)
        return command

    return decorate


class Duration(click.ParamType[float]):
    """`50m`, `1h30m`, `90s` or a number of seconds, as in job files."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from orchestrator.job.misfit import Misfit
        from orchestrator.job.scalars import duration

        try:
            return duration(str(value))
        except Misfit as misfit:
            self.fail(f"{value!r}: {misfit.message}; {misfit.hint}", param, ctx)
