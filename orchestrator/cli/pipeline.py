"""What a command tells the runner of a pipeline, where there is one that understands more than text: GitHub Actions.

Everything that GitHub is told goes to the files that it names in the environment and, as annotations, to stderr: stdout is for
results, which may be a file. The token is never printed, not even for `::add-mask::`: stderr may be a file as well.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from orchestrator.cli import exits, options, say
from orchestrator.errors import JobError, OrchestratorError, Problem

if TYPE_CHECKING:
    from orchestrator.ci.github import Annotation

Ci = Literal["auto", "github", "none"]
RUNNING = frozenset({"run", "submit", "collect"})
"""Commands whose step gets outputs and a summary."""
SUMMARY_LIMIT = 900_000
"""Bytes of a step's whole summary: GitHub drops one that is larger than a mebibyte."""
WORTH_A_SUMMARY = 2_000
"""Bytes of room below which a summary would be no more than cut."""


def of(ci: Ci, environ: Mapping[str, str], *, annotate: bool = True) -> GitHub | None:
    """The runner that is to be told, or None. `annotate` is False where stderr is read by machines."""
    if ci == "none" or (ci == "auto" and environ.get("GITHUB_ACTIONS") != "true"):
        return None
    return GitHub(environ, annotate=annotate)


@contextlib.contextmanager
def hears_errors(runner: GitHub | None) -> Iterator[None]:
    """Within, the runner is told of an error that ends the command before there is anything to report."""
    try:
        yield
    except OrchestratorError as error:
        if runner is not None:
            runner.tell_error(error, exits.of_error(error))
        raise


def tell_of_usage(error: OrchestratorError, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Tells the runner of a command line that could not be read; what it says of `--ci` is looked for, then in its variable."""
    command = arguments[0] if arguments else ""
    ci = _word(command, "--ci", arguments, environ)
    runner = of(
        ci if ci in get_args(Ci) else "auto",  # type: ignore[arg-type]  # mypy does not follow get_args
        environ,
        annotate=_word(command, "--log-format", arguments, environ) != "json",
    )
    if runner is not None:
        (runner if command in RUNNING else runner.without_outputs()).tell_error(error, exits.WRONG)


def _word(command: str, option: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The value of an option in a command line that nobody has read, or in its variable."""
    for word, following in zip_longest(arguments, arguments[1:]):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else following
    variable = option.removeprefix("--").replace("-", "_").upper()
    return environ.get(f"{options.PREFIX}_{command.upper()}_{variable}")


def annotated(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command that only looks at a job the option `--ci`, and tells the runner of its errors."""

    @options.CI
    @functools.wraps(command)
    def told(*, ci: Ci, **given: Any) -> Any:
        runner = of(ci, os.environ)
        with hears_errors(runner.without_outputs() if runner is not None else None):
            return command(**given)

    return told


class GitHub:
    """The step of a workflow in which this process runs."""

    def __init__(self, environ: Mapping[str, str], *, annotate: bool = True) -> None:
        from orchestrator.ci import github

        self._github = github
        self._annotate = annotate
        self._summary = environ.get("GITHUB_STEP_SUMMARY")
        self._outputs = environ.get("GITHUB_OUTPUT")
        self._where = github.in_repository(environ.get("GITHUB_WORKSPACE"))

    def without_outputs(self) -> GitHub:
        """The same, but a command that runs nothing gives no outputs and needs no summary."""
        self._summary = self._outputs = None
        return self

    def tell_error(self, error: OrchestratorError, status: int) -> None:
        """Of an error before anything was begun."""
        lone = Problem(error.message, code=error.code, hint=error.hint, cause=error.cause)
        problems = error.problems if isinstance(error, JobError) else (lone,)
        self._print(self._github.of_problems(problems, self._where))
        self._give({"outcome": _outcome(status), "exit-code": str(status)})
        self._summarise(lambda _room: say.clean_lines(self._github.summary_of_problems(problems)))

    def tell_run(self, report: Mapping[str, Any], status: int, job: Path, manifest: Path) -> None:
        """Of a run. `job` is its job file; the manifest need not be there."""
        from orchestrator.report import markdown

        self._print(self._github.of_record(report, self._where(str(job))))
        self._give(self._github.fields(report, status, str(manifest) if manifest.exists() else ""))
        self._summarise(lambda room: markdown.render(report, limit=room))

    def _print(self, annotations: list[Annotation]) -> None:
        for annotation in annotations if self._annotate else ():
            say.to_runner(annotation.command(say.clean))

    def _give(self, values: Mapping[str, str]) -> None:
        self._append(self._outputs, self._github.outputs(values, f"end-{secrets.token_hex(16)}"))

    def _summarise(self, render: Callable[[int], str]) -> None:
        if not self._summary:
            return
        there = 0
        with contextlib.suppress(OSError):
            there = Path(self._summary).stat().st_size
        room = SUMMARY_LIMIT - there - 2
        if room < WORTH_A_SUMMARY:
            say.people("warning: GITHUB_STEP_SUMMARY is nearly full: this run's summary is left out")
        else:
            self._append(self._summary, f"{render(room)}\n\n")

    def _append(self, file: str | None, text: str) -> None:
        if not file:
            return
        try:
            # A folder's name need not be UTF-8; its bytes are written as they are.
            with Path(file).open("a", encoding="utf-8", errors="surrogateescape") as target:
                target.write(text)
        except OSError as error:
            say.people(f"warning: {file} can't be written: {error.strerror}")


def _outcome(status: int) -> str:
    """The outcome of a command that ended before it had one."""
    return next(name for name, ends in exits.ENDS.items() if ends == status)
