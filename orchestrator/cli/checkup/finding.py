"""What one check found, and how errors of a run become findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from orchestrator.errors import JobError, OrchestratorError, Problem

Verdict = Literal["ok", "warning", "wrong", "skipped"]
"""`warning`: a run begins, and may end otherwise than one wishes. `wrong`: it would end at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    found: str
    hint: str | None = None
    cause: str | None = None
    code: str | None = None
    """Of the error with which a run would end."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(check: str, found: str) -> Finding:
    return Finding(check, "ok", found)


def warning(check: str, found: str, hint: str | None = None, cause: str | None = None) -> Finding:
    return Finding(check, "warning", found, hint, cause)


def wrong(check: str, error: OrchestratorError) -> Iterator[Finding]:
    """What a run would end with; each problem of a job file by itself."""
    problems = (
        error.problems
        if isinstance(error, JobError)
        else (Problem(error.message, code=error.code, hint=error.hint, cause=error.cause),)
    )
    for problem in problems:
        where = "".join(f"{part}: " for part in (problem.place, problem.key) if part)
        yield Finding(check, "wrong", where + problem.message, problem.hint, problem.cause, problem.code)


def told_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same, but what several checks stumble over is told by the first of them."""
    told: dict[tuple[str, str | None], str] = {}
    for finding in findings:
        said = finding.found, finding.code
        if finding.verdict == "wrong" and (by := told.setdefault(said, finding.check)) != finding.check:
            yield Finding(finding.check, "skipped", f"for the same reason as `{by}`")
        else:
            yield finding
