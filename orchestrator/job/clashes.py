"""What is wrong with cells, gathered while they are walked: two with one key or one path, and paths that can't be stored.

A slip seldom hits one cell alone: a template without {team} makes every team of every window meet. So each cause is
told once, by the first cells that show it, with the number of the others.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import Problem
from orchestrator.job.cells import shown
from orchestrator.job.matrix import Coordinates
from orchestrator.job.misfit import Misfit
from orchestrator.job.paths import Template

if TYPE_CHECKING:  # the loader imports pydantic, which a frozen plan needs not
    from orchestrator.job.loader import Job

MAX_CAUSES = 20


class Clashes:
    """The causes found so far. It holds at most `MAX_CAUSES` of them, however many cells there are."""

    def __init__(self, job: Job, template: Template) -> None:
        self._job = job
        self._template = template
        self._found: dict[Hashable, Problem] = {}
        self._others: dict[Hashable, int] = {}
        self._beyond = 0

    def same_question(self, one: Coordinates, other: Coordinates) -> None:
        differing = _differing(one, other)
        if not self._is_new(("key", differing)):
            return
        axis, _, label = differing[0]
        self._found["key", differing] = self._job.problem(
            ("matrix", axis, label),
            f"two cells ask the service the same question: {shown(one)} and {shown(other)}",
            hint=f"these labels of the axis {axis!r} stand for the same: leave one out",
            code="job.collision",
        )

    def same_path(self, path: str, one: Coordinates, other: Coordinates) -> None:
        differing = _differing(one, other)
        missing = [axis for axis, _, _ in differing if axis not in self._template.placeholders]
        cause: Hashable = ("path", tuple(missing) or differing)
        if not self._is_new(cause):
            return
        if missing:
            at: tuple[str, ...] = ("output", "path")
            lacking = " and ".join("{ext}" if axis == "format" else f"{{{axis}}}" for axis in missing)
            hint = f"add {lacking} to output.path"
        else:
            axis, _, label = differing[0]
            at = ("matrix", axis, label)
            hint = (
                "their labels differ only in case, in Unicode form or in characters that no file name can hold: "
                "rename one"
            )
        message = f"two cells have the path {path!r}: {shown(one)} and {shown(other)}"
        self._found[cause] = self._job.problem(at, message, hint=hint, code="job.collision")

    def unstorable(self, cell: Coordinates, misfit: Misfit) -> None:
        if self._is_new(("unstorable", misfit.message)):
            told = Misfit(f"{shown(cell)}: {misfit.message}", hint=misfit.hint, show=False)
            self._found["unstorable", misfit.message] = self._job.misfit(("output", "path"), told)

    def _is_new(self, cause: Hashable) -> bool:
        """Whether this cause is to be told; if not, its cell is counted."""
        if cause in self._found:
            self._others[cause] = self._others.get(cause, 0) + 1
        elif len(self._found) >= MAX_CAUSES:
            self._beyond += 1
        else:
            return True
        return False

    def problems(self) -> list[Problem]:
        """One for each cause, in the order in which they were met, and a last one for all beyond `MAX_CAUSES`."""
        told = [
            replace(problem, message=f"{problem.message}; the same goes for {_cells(self._others[cause])}")
            if cause in self._others
            else problem
            for cause, problem in self._found.items()
        ]
        if self._beyond:
            told.append(Problem(f"and {_cells(self._beyond)} that collide or can't be stored", code="job.collision"))
        return told


def _cells(count: int) -> str:
    return f"{count:,} more cell{'s' if count > 1 else ''}"


def _differing(one: Coordinates, other: Coordinates) -> tuple[tuple[str, str, str], ...]:
    """The axes on which two cells differ, with the label of each."""
    return tuple(
        (axis, label, other_label)
        for (axis, label), (_, other_label) in zip(one, other, strict=True)
        if label != other_label
    )
