"""What GitHub Actions reads of a run: annotations in the log, and a step's outputs. Pure.

GitHub's forms: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands. A workflow command is a
line of the log that begins with `::`, so everything foreign in one is escaped, and a step shows ten annotations of a level.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import Problem

SHOWN = 10
"""Annotations of one level that GitHub shows of a step."""
NAMED = 5
"""Exports that are named of those that failed for one reason."""
_NO_REASON: Mapping[str, Any] = {"code": "failed", "message": "no reason was kept", "hint": None}
_CALM = ("succeeded", "failed", "parked")
"""Outcomes that the exports explain; any other is told by the run's own error."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message at a place of the repository; `line` and `column` count from 1."""

    level: Literal["error", "warning", "notice"]
    title: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def command(self, clean: Callable[[str], str] = str) -> str:
        """The line that makes GitHub show it. `clean` takes secrets and control characters out of one text."""
        place = (("file", self.file), ("line", self.line), ("col", self.column), ("title", self.title))
        told = ",".join(f"{name}={_property(clean(str(value)))}" for name, value in place if value is not None)
        # Line by line: what is clean has no line breaks of its own.
        message = "\n".join(map(clean, self.message.splitlines()))
        return f"::{self.level} {told}::{_data(message)}"


def of_problems(problems: Sequence[Problem], where: Callable[[str], str | None]) -> list[Annotation]:
    """Errors that ended a command before anything was begun. `where` gives a file's path in the repository, or None."""
    found = []
    for problem in problems:
        file = where(problem.file) if problem.file is not None else None
        place = f"{problem.place}: " if file is None and problem.place is not None else ""
        key = f"{problem.key}: " if problem.key else ""
        message = _with_more(f"{place}{key}{problem.message}", problem.cause, problem.hint)
        line, column = (problem.line, problem.column) if file is not None else (None, None)
        found.append(Annotation("error", problem.code, message, file, line, column))
    return _at_most(found, "problems")


def of_record(record: Mapping[str, Any], file: str | None) -> list[Annotation]:
    """What a run record (`orchestrator.run/1`) has to say; `file` is the job file's path in the repository."""
    outcome, error = record["outcome"], record["error"]
    found = [Annotation("error", code, message, file) for code, message in _failures(record["exports"])]
    if outcome not in _CALM:
        title = error["code"] if error else outcome
        message = (
            _with_more(error["message"], error.get("cause"), error["hint"]) if error else "a bug of ours: see the log"
        )
        found.insert(0, Annotation("error", title, message, file))
    found = _at_most(found, "reasons")
    duplicates = record["api"]["possible_duplicates"]
    if duplicates:
        told = (
            f"Creations that got no readable answer, in this run or an earlier one: {duplicates:,}. The service may have made "
            "exports that nobody collects; the stored files are not affected."
        )
        found.append(Annotation("warning", "possible duplicates", told, file))
    if outcome == "parked":
        pending = record["counts"]["pending"]
        after = f" after {record['resume_after']}" if record.get("resume_after") else ""
        told = f"{record['reason'] or 'stopped before the end'}. Pending: {pending:,}. Nothing is lost: run again{after} to go on."
        found.append(Annotation("notice", "parked", told, file))
    return found


def in_repository(workspace: str | None) -> Callable[[str], str | None]:
    """How a file is named in annotations: from the repository's root, `workspace`; None for a file that is not in it."""

    def name(file: str) -> str | None:
        if not workspace:
            return None
        try:
            found = Path(file).resolve()
            return found.relative_to(Path(workspace).resolve()).as_posix() if found.is_file() else None
        except (OSError, RuntimeError, ValueError):
            return None

    return name


def fields(record: Mapping[str, Any], status: int, manifest: str) -> dict[str, str]:
    """The outputs of a step that carried out a run."""
    counts = record["counts"]
    return {
        "outcome": record["outcome"],
        "exit-code": str(status),
        "run-id": record["run_id"] or "",
        **{state: str(counts[state]) for state in ("stored", "skipped", "failed", "pending")},
        "possible-duplicates": str(record["api"]["possible_duplicates"]),
        "manifest": manifest,
    }


def outputs(values: Mapping[str, str], delimiter: str) -> str:
    """`values` as a step's outputs file takes them. `delimiter` is drawn by chance, so that no value can hold it."""
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def summary_of_problems(problems: Iterable[Problem]) -> str:
    """Markdown for a step that ended before anything was begun. What is foreign stands in a block that nothing in it ends."""
    lines: list[str] = []
    for problem in problems:
        head = ": ".join(text for text in (problem.place, problem.key, problem.message) if text)
        more = (("cause", problem.cause), ("hint", problem.hint))
        lines += [f"{head} [{problem.code}]", *(f"  {name}: {told}" for name, told in more if told)]
    text = "\n".join(" ".join(line.splitlines()) for line in lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"### ❌ orchestrator: nothing was begun\n\n{fence}text\n{text}\n{fence}\n"


def _failures(exports: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Code and message of each reason for which exports failed: five hundred may have failed for one and the same."""
    groups: dict[tuple[str, str, str | None, str | None], list[str]] = {}
    for export in exports:
        if export["state"] == "failed":
            error = export["error"] or _NO_REASON
            name = " ".join(export["coordinates"].values()) or "the only export"
            groups.setdefault((error["code"], error["message"], error.get("cause"), error["hint"]), []).append(name)
    for (code, message, cause, hint), names in groups.items():
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        yield code, _with_more(f"{', '.join(names[:NAMED])}{more}: {message}", cause, hint)


def _at_most(found: list[Annotation], what: str) -> list[Annotation]:
    """As many as are shown; the last of them says how many are not."""
    if len(found) <= SHOWN:
        return found
    left = len(found) - SHOWN + 1
    return [*found[: SHOWN - 1], Annotation("error", "more", f"and {left:,} more {what}: see the log of this step")]


def _with_more(message: str, cause: str | None, hint: str | None) -> str:
    return "\n".join([message, *(f"{name}: {told}" for name, told in (("cause", cause), ("hint", hint)) if told)])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
