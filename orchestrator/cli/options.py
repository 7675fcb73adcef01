"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import rich_click as click

JOB = click.argument("job", metavar="JOB", type=click.Path())
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
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
    only: Only = "missing"

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


_SELECTING = (
    click.option(
        "--select",
        "selects",
        multiple=True,
        metavar="AXIS=PATTERN",
        help="Only these exports: a label, a glob, a list a,b or a range of windows; != excludes. Repeatable.",
    ),
    click.option("--from", "first", metavar="WINDOW", help="Only windows from this one on."),
    click.option("--to", "last", metavar="WINDOW", help="Only windows up to this one."),
    click.option(
        "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Override a key of the job file. Repeatable."
    ),
    click.option(
        "--state", metavar="DIR", help="Where journal and lock are. Default: .orchestrator in the output folder"
    ),
    click.option(
        "--max-exports",
        type=click.IntRange(min=1),
        default=1_000_000,
        show_default=True,
        help="Refuse a job that expands to more.",
    ),
)


def selecting(only: Only | None = None, only_help: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say what of a job is meant; the command gets them together, as `ask`.

    `only` is the default of `--only`; None leaves that option out.
    """
    chosen = list(_SELECTING)
    if only is not None:
        choice = click.Choice(["missing", "failed", "all"])
        chosen.append(click.option("--only", type=choice, default=only, show_default=True, help=only_help))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            ask = Ask(**{field.name: given.pop(field.name) for field in fields(Ask) if field.name in given})
            return function(ask=ask, **given)

        for option in reversed(chosen):
            option(command)
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
