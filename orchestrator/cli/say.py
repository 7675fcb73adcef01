"""How commands speak: people's text to stderr, results to stdout."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from orchestrator.cli.redact import Redactor
from orchestrator.errors import JobError, OrchestratorError, Problem, StorageError, said_by_system
from orchestrator.progress.words import GLUE, glued
from orchestrator.version import __version__

WIDTH = 80
_TELL_ALL = frozenset({"usage", "explain.unknown"})
"""Codes whose errors name a better command than `explain` themselves."""

_as_json = json.JSONEncoder(ensure_ascii=False).encode


_secrets: set[str] = set()


def never(secrets: Iterable[str]) -> None:
    """These values must not be shown from now on, wherever a text for people may come from."""
    _secrets.update(secrets)


def people(text: str) -> None:
    """A line for people. A reader that has gone is no reason to stop."""
    with contextlib.suppress(OSError):
        print(Redactor(_secrets).text(text, lines=True), file=sys.stderr, flush=True)  # noqa: T201  this is the printer


def clean(text: str) -> str:
    """`text` as `people` would show it, on one line."""
    return Redactor(_secrets).text(text)


def clean_lines(text: str) -> str:
    """`text` as `people` would show it."""
    return Redactor(_secrets).text(text, lines=True)


def to_runner(command: str) -> None:
    """A line that the runner of a pipeline obeys, on the stream that is not for results. Its foreign parts have been cleaned."""
    with contextlib.suppress(OSError):
        print(command, file=sys.stderr, flush=True)  # noqa: T201  this is the printer


def result(text: str) -> None:
    """A line of results. A reader that has gone is no reason to end in another way than without it."""
    with writing_results():
        print(text, flush=True)  # noqa: T201  this is the printer


@contextlib.contextmanager
def writing_results(again: str = "and ask again: to look changes nothing.") -> Iterator[None]:
    """Once nobody reads stdout any more, what is written to it goes nowhere. Raises StorageError where it can't be written.

    `again` is how what was lost is had again.
    """
    try:
        yield
    except BrokenPipeError:
        _send_nowhere(sys.stdout)
    except OSError as error:
        _send_nowhere(sys.stdout)
        mend = (
            "Give the command a standard output"
            if error.errno == errno.EBADF
            else "Make room where the output is sent to"
        )
        raise StorageError(
            "the standard output can't be written",
            code="storage.output",
            hint=f"{mend}, {again}",
            cause=said_by_system(error),
        ) from None


def end_of_words() -> None:
    """People are told nothing more: what could not be written by now never is, and no reason to end in another way."""
    try:
        sys.stderr.flush()
    except OSError:
        _send_nowhere(sys.stderr)


def _send_nowhere(stream: TextIO) -> None:
    """What stands in the stream's buffer would be tried again at Python's end, which then changes the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def document(value: Mapping[str, Any]) -> None:
    """One JSON document, the whole of stdout."""
    result(json.dumps(value, ensure_ascii=False, indent=2))


def long_document(head: Mapping[str, Any], **lists: Iterable[Mapping[str, Any]]) -> None:
    """One JSON document whose last members are long lists, an entry a line, without holding all of it at once."""
    with writing_results():
        sys.stdout.writelines(pieces(head, **lists))
        sys.stdout.flush()


def pieces(head: Mapping[str, Any], **lists: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The text of such a document, made as it is read."""
    yield json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}")
    for name, entries in lists.items():
        yield f',\n  "{name}": ['
        for n, entry in enumerate(entries):
            yield f"{',' if n else ''}\n    {_as_json(entry)}"
        yield "\n  ]"
    yield "\n}\n"


def report(record: Mapping[str, Any]) -> None:
    """A run's report, the whole of stdout."""
    with writing_results("then ask `orchestrator report JOB`: the run is over, and its report is kept."):
        sys.stdout.writelines(report_pieces(record))
        sys.stdout.flush()


def report_pieces(report: Mapping[str, Any]) -> Iterator[str]:
    """A run's report, whose entries are made as they are read."""
    head = {name: value for name, value in report.items() if name not in ("history", "exports")}
    return pieces(head, history=report["history"], exports=report["exports"])


def errors(error: OrchestratorError) -> None:
    """What went wrong, each problem with its place, cause and hint; and where there is more about its code."""
    problems = error.problems if isinstance(error, JobError) else (_as_problem(error),)
    for problem in problems:
        people(_lines(problem))
    if len(problems) > 1:
        people(f"{len(problems)} problems; nothing was contacted.")
    more(problem.code for problem in problems)


def more(codes: Iterable[str]) -> None:
    """Which command says more about these codes."""
    told = dict.fromkeys(code for code in codes if code not in _TELL_ALL)
    if told:
        people(f"More: orchestrator explain {' '.join(told)}")


def errors_document(error: OrchestratorError) -> None:
    """The same as the `orchestrator.error/1` document."""
    problems = error.problems if isinstance(error, JobError) else (_as_problem(error),)
    document({"schema": "orchestrator.error/1", "errors": [problem.as_json() for problem in problems]})


def shown(path: Path) -> str:
    """A path as the user would type it."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def as_warning(error: OrchestratorError) -> str:
    """The words of an error that ends nothing, with its cause and hint."""
    return _lines(_as_problem(error), "warning")


def bug(error: BaseException) -> None:
    """An error of our own: the trace, without any values, and what to do about it."""
    trace = "".join(traceback.format_exception(error))
    people(
        f"{trace}\nerror: this is a bug in orchestrator {__version__} [bug]\n"
        "  hint: Nothing that was stored is lost, and the run can be resumed: run the same command again.\n"
        "        Please report it, with the lines above, in the issue tracker of the project you installed this from."
    )


def terminal_width() -> int | None:
    """Of the terminal that results go to; None where they go to a file or a pipe, in which each is to stay one line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(rows: Sequence[Sequence[str]], indent: str = "", width: int | None = None) -> list[str]:
    """Rows as columns, two cells between them; the last column is wrapped to lines of `width` cells, if that is given."""
    if not rows:
        return []
    from rich.cells import cell_len

    from orchestrator.progress.failures import paragraph

    widths = [max(cell_len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    begin = cell_len(indent) + sum(widths) + 2 * len(widths)
    lines = []
    for *first, last in rows:
        head = indent + "".join(
            f"{cell}{' ' * (its - cell_len(cell))}  " for cell, its in zip(first, widths, strict=True)
        )
        pieces = [last] if width is None else [line.plain for line in paragraph(last, width - begin)] or [""]
        lines += [f"{' ' * begin if n else head}{piece}".rstrip() for n, piece in enumerate(pieces)]
    return lines


def _as_problem(error: OrchestratorError) -> Problem:
    return Problem(error.message, code=error.code, hint=error.hint, cause=error.cause)


def _lines(problem: Problem, weight: str = "error") -> str:
    place = f"{problem.place}: " if problem.place else ""
    key = f"{problem.key}: " if problem.key else ""
    text = f"{place}{weight}: {key}{problem.message} [{problem.code}]"
    for name, told in (("cause", problem.cause), ("hint", problem.hint)):
        if told:
            text += "\n" + hanging(f"{name}: {told}", indent=2, hang=len(name) + 2)
    return text


def hanging(text: str, *, indent: int, hang: int) -> str:
    """A paragraph that is wrapped between words; its further lines stand `hang` cells farther in than its first.

    A command in backticks stays on one line.
    """
    further = " " * (indent + hang)
    wrapped = textwrap.fill(
        glued(text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=further,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return wrapped.replace(GLUE, " ")
