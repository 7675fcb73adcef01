"""Which cells a job has at a moment: the values of its axes, what is excluded of their product, and what is included.

Nothing here is raised for a single pattern or cell: what is wrong is handed back, so that all of it is told together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.errors import JobError, Problem
from orchestrator.job.axes import Value
from orchestrator.job.matrix import Coordinates, covered, matcher
from orchestrator.job.misfit import Misfit, Misfits, did_you_mean
from orchestrator.job.periods import meant
from orchestrator.job.windows import Window, window, windows, zone

if TYPE_CHECKING:  # the loader imports pydantic, which a frozen plan needs not
    from orchestrator.job.loader import Job


MAX_SHOWN = 60


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One value of one axis; compared by identity, so that sets of them are cheap."""

    pair: tuple[str, str]
    ids: tuple[str, ...]
    window: Window | None = None


Cell: TypeAlias = tuple[Choice, ...]
Rules: TypeAlias = list[list[frozenset[Choice] | None]]
"""For each rule of `exclude` the values that it covers on each axis; None covers all."""


def coordinates(cell: Cell) -> Coordinates:
    return tuple([choice.pair for choice in cell])


def shown(coordinates: Coordinates) -> str:
    """A cell's coordinates, for messages."""
    return " ".join(
        f"{axis}={label if len(label) <= MAX_SHOWN else label[:MAX_SHOWN] + '…'}" for axis, label in coordinates
    )


def axes(job: Job, now: float, most: int) -> list[list[Choice]]:
    """The values of each axis in the matrix's order; of the windows at most `most` + 1. Raises JobError if there are
    no windows.
    """
    matrix, tz = job.model.matrix, zone(job.model.request.timezone)
    found: list[list[Choice]] = []
    for axis in matrix.order:
        if axis == "window":
            try:
                cut = list(itertools.islice(windows(matrix.window.range, tz, now), most + 1))
            except (Misfit, Misfits) as error:
                raise JobError(*(job.misfit(("matrix", "window"), misfit) for misfit in error.all)) from None
            if not cut:
                raise JobError(
                    job.problem(
                        ("matrix", "window"), f"there is no such day in {tz.key}", hint="its clocks jumped over it"
                    )
                )
            found.append([Choice(("window", each.label), (), each) for each in cut])
        else:
            values: Sequence[Value] = getattr(matrix, axis)
            found.append([Choice((axis, value.label), value.ids) for value in values])
    return found


def excluded(job: Job, axes: Sequence[Sequence[Choice]]) -> tuple[Rules, list[Problem]]:
    """What `exclude` covers, and its patterns that match nothing."""
    order = job.model.matrix.order
    rules: Rules = []
    wrong: list[Problem] = []
    for n, rule in enumerate(job.model.matrix.exclude):
        covers: list[frozenset[Choice] | None] = [None] * len(order)
        for axis, patterns in rule.items():
            choices = axes[order.index(axis)]
            matched: set[Choice] = set()
            for k, pattern in enumerate(patterns):
                test = matcher(axis, pattern)
                hits = [choice for choice in choices if test(choice.pair[1])]
                matched.update(hits)
                if not hits:
                    hint = nearest_label(axis, pattern, [choice.pair[1] for choice in choices])
                    misfit = Misfit(f"this pattern matches no {axis} of the job", hint=hint)
                    wrong.append(job.misfit(("matrix", "exclude", n, axis, k), misfit))
            covers[order.index(axis)] = frozenset(matched)
        rules.append(covers)
    return rules, wrong


def included(job: Job, axes: Sequence[Sequence[Choice]], rules: Rules) -> tuple[list[Cell], list[Problem]]:
    """The cells that `include` adds, and what is wrong with those that can't be. An axis of one value may be left out.

    A cell that is there anyway is an error where the windows are fixed. Rolling ones (`last`, or no `to`) reach an
    included cell one day without anybody's doing, so there it adds nothing and nothing is said.
    """
    if not job.model.matrix.include:
        return [], []
    by_label = [{choice.pair[1]: choice for choice in choices} for choices in axes]
    rolling = job.model.matrix.window.range.last is None
    found: dict[Coordinates, Cell] = {}
    wrong: list[Problem] = []
    for n, named in enumerate(job.model.matrix.include):
        at = ("matrix", "include", n)
        picked: list[Choice] = []
        for axis, choices in zip(job.model.matrix.order, by_label, strict=True):
            try:
                picked.append(_choice(job, axis, named.get(axis), choices))
            except Misfit as misfit:
                wrong.append(job.misfit((*at, axis) if axis in named else at, misfit))
        if len(picked) < len(by_label):
            continue
        cell = tuple(picked)
        where = coordinates(cell)
        product_has_it = not covered(cell, rules) and all(
            choices.get(choice.pair[1]) is choice for choice, choices in zip(cell, by_label, strict=True)
        )
        if not product_has_it and where not in found:
            found[where] = cell
        elif not rolling:
            message = "the product has this cell anyway" if product_has_it else "this cell is included twice"
            hint = "leave it out here: include is for cells outside the product" if product_has_it else "leave one out"
            wrong.append(job.problem(at, f"{message}: {shown(where)}", hint=hint, code="job.collision"))
    return list(found.values()), wrong


def _choice(job: Job, axis: str, label: str | None, choices: dict[str, Choice]) -> Choice:
    """The value that an included cell names. A window may be any of the job's kind. Raises `Misfit`."""
    if label is None:
        first = next(iter(choices.values()))
        if len(choices) > 1:
            raise Misfit(f"this cell names no {axis}", hint=f"add {axis}: {first.pair[1]}", show=False)
        return first
    if axis == "window" and label not in choices:
        matrix, tz = job.model.matrix, zone(job.model.request.timezone)
        try:
            found = window(matrix.window.range.every, label, tz)
        except Misfit as misfit:
            misfit.hint = misfit.hint or "include names cells one by one, by their labels"
            raise
        return choices.get(found.label) or Choice(("window", found.label), (), found)
    if label not in choices:
        raise Misfit(f"the axis {axis!r} has no such label", hint=nearest_label(axis, label, choices))
    return choices[label]


def nearest_label(axis: str, pattern: str, labels: Iterable[str]) -> str:
    """A hint for a pattern that matches none of the labels."""
    names = list(labels)
    window = meant(pattern) if axis == "window" else None
    if window is not None:
        return f"write {window}"
    extent = f"there are {len(names):,}, from {names[0]} to {names[-1]}"
    if axis == "window" and ".." in pattern:
        return f"{extent}, and a range covers those that lie in it with all their days"
    return did_you_mean(pattern, names) or extent
