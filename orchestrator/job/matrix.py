"""Axes to coordinates: the lazy product of a matrix, and the one pattern language that picks from it.

A pattern is one of these, for `exclude`, `include` (labels only) and `--select` alike:

    support             the label itself
    sup*  s?les  [ab]*  a glob over labels; the case counts
    2024                for windows also: every window within that year (quarter, month, week, day)
    2023-01..2024-Q2    a range of windows, both ends included; `..2023-05` and `2024..` are open at one end
    [a, b*]             a list of them: any one has to match

A window lies in a range when all its days do, whatever kind of label the ends are.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias, TypeVar

from orchestrator.errors import JobError, Problem
from orchestrator.job.axes import AXES
from orchestrator.job.misfit import Misfit, did_you_mean, gather
from orchestrator.job.periods import meant, span
from orchestrator.job.scalars import text

T = TypeVar("T")
Coordinates: TypeAlias = tuple[tuple[str, str], ...]
"""(axis, label) pairs in the matrix's order."""
Rule: TypeAlias = Mapping[str, tuple[str, ...]]
"""Axis → patterns; a cell falls under the rule when each axis matches one of its patterns."""
Cell: TypeAlias = Mapping[str, str]
"""Axis → label."""


# --------------------------------------------------------------------------------------------------------- patterns


def matcher(axis: str, pattern: str) -> Callable[[str], bool]:
    """A test of labels against one pattern. Raises `Misfit` for a range that names no dates."""
    pattern = unicodedata.normalize("NFC", pattern)
    inside = _within(pattern) if axis == "window" else None
    if inside is not None:
        return inside
    glob = re.compile(fnmatch.translate(pattern)).match
    return lambda label: label == pattern or glob(label) is not None


def _within(pattern: str) -> Callable[[str], bool] | None:
    """A test whether a window lies within the days that a pattern names; None if it names none."""
    named = span(pattern)
    first: date | None
    last: date | None
    if named is not None:
        first, last = named.first, named.last
    elif ".." in pattern:
        first, last = _range(pattern)
    else:
        return None

    def inside(label: str) -> bool:
        window = span(label)
        return window is not None and (first is None or first <= window.first) and (last is None or window.last <= last)

    return inside


def _range(pattern: str) -> tuple[date | None, date | None]:
    begin, _, end = pattern.partition("..")
    first, last = span(begin), span(end)
    if (begin and first is None) or (end and last is None) or not (first or last):
        begin, end = meant(begin) or begin, meant(end) or end
        readable = (begin or end) and all(span(each) for each in (begin, end) if each)
        raise Misfit(
            "a range of windows names its ends by their labels",
            hint=f"write {begin}..{end}" if readable else "write 2023-01..2024-06, ..2023-05 or 2024-01..",
        )
    if first and last and last.last < first.first:
        raise Misfit("this range ends before it begins")
    return first.first if first else None, last.last if last else None


def rules(value: object) -> tuple[Rule, ...]:
    """`exclude`: a list of mappings from axis to pattern, or to a list of patterns. Raises `Misfits`."""
    return tuple(gather(enumerate(_list(value)), lambda _, entry: _rule(entry, _patterns)))


def cells(value: object) -> tuple[Cell, ...]:
    """`include`: a list of mappings from axis to label. Raises `Misfits`."""

    def label(axis: str, entry: object) -> str:
        _known(axis)
        return unicodedata.normalize("NFC", text(entry, "a label"))

    return tuple(gather(enumerate(_list(value)), lambda _, entry: _rule(entry, label)))


def _rule(entry: object, read: Callable[[str, object], T]) -> Mapping[str, T]:
    if not isinstance(entry, Mapping) or not entry:
        raise Misfit("a mapping from axes to labels is due here", hint="write {team: sales, window: 2024-01}")
    return dict(zip(entry, gather(entry.items(), read), strict=True))


def _patterns(axis: str, entry: object) -> tuple[str, ...]:
    _known(axis)
    if not isinstance(entry, list | tuple):
        return _patterns(axis, [entry])
    if not entry:
        raise Misfit("at least one pattern is due here")

    def read(_: int, one: object) -> str:
        pattern = text(one, "a pattern")
        matcher(axis, pattern)
        return pattern

    return tuple(gather(enumerate(entry), read))


def _known(axis: str) -> None:
    if axis not in AXES:
        raise Misfit(f"there is no axis {axis!r}", hint=did_you_mean(axis, AXES), show=False, on_key=True)


def _list(value: object) -> Iterable[object]:
    if not isinstance(value, list | tuple):
        raise Misfit("a list of mappings is due here", hint="write [{team: sales, window: 2024-01}]")
    return value


# --------------------------------------------------------------------------------------------------------- products


def product(axes: Sequence[Sequence[T]], excluded: Sequence[Sequence[frozenset[T] | None]]) -> Iterator[tuple[T, ...]]:
    """The cells of the product, the first axis slowest, without those that a rule excludes.

    A rule holds for each axis the values that it covers; None covers all.
    """
    cells = itertools.product(*axes)
    yield from (cell for cell in cells if not covered(cell, excluded)) if excluded else cells


def covered(cell: Sequence[T], rules: Iterable[Sequence[frozenset[T] | None]]) -> bool:
    """Whether one of the rules holds for the cell on every axis."""
    return any(
        all(covers is None or value in covers for covers, value in zip(rule, cell, strict=True)) for rule in rules
    )


# -------------------------------------------------------------------------------------------------------- selection


@dataclass(frozen=True, slots=True)
class _Term:
    """One option of the command line. `option` is what it said, for messages."""

    axis: str
    patterns: tuple[str, ...]
    negated: bool
    option: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What `--select`, `--from` and `--to` pick. Without any, everything.

    On one axis, `=` options add up and `!=` options take away; all axes must agree, and so must `--from` and `--to`.
    """

    terms: tuple[_Term, ...] = ()
    bounds: str | None = None
    """The range of windows that `--from` and `--to` name together."""
    _tests: dict[str, Callable[[str], bool]] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, selects: Iterable[str] = (), first: str | None = None, last: str | None = None) -> Selection:
        """From the texts of `--select AXIS=PATTERN` (`!=` excludes, a comma means a list), `--from` and `--to`.

        Raises JobError with all options that can't be read.
        """
        terms: list[_Term] = []
        problems: list[Problem] = []
        bounds = f"{first or ''}..{last or ''}" if first or last else None
        for option in selects:
            try:
                terms.append(_term(option))
            except Misfit as misfit:
                problems.append(_problem(misfit, f"--select {option}"))
        for name, end in (("--from", first), ("--to", last)):
            if end and span(end) is None:
                message = "a window is due here, by its label or a date"
                hint = f"write {meant(end) or '2024-01 or 2024-01-15'}"
                problems.append(_problem(Misfit(message, hint=hint), f"{name} {end}"))
        if bounds and not problems:
            try:
                matcher("window", bounds)
            except Misfit as misfit:
                problems.append(_problem(misfit, f"--from {first} --to {last}"))
        if problems:
            raise JobError(*problems)
        return cls(tuple(terms), bounds)

    def __bool__(self) -> bool:
        return bool(self.terms) or self.bounds is not None

    def said(self, axis: str | None = None) -> str:
        """What was asked for, of one axis or of all, as the command line said it."""
        words = [f"--select {term.option}" for term in self.terms if axis in (None, term.axis)]
        if self.bounds is not None and axis in (None, "window"):
            first, _, last = self.bounds.partition("..")
            words += [f"{name} {end}" for name, end in (("--from", first), ("--to", last)) if end]
        return " ".join(words)

    @property
    def wanted(self) -> list[tuple[str, tuple[str, ...]]]:
        """Axis and patterns, one of which a cell has to match; `--from` and `--to` are a pattern of their own."""
        found: dict[str, tuple[str, ...]] = {}
        for term in self.terms:
            if not term.negated:
                found[term.axis] = (*found.get(term.axis, ()), *term.patterns)
        return [*found.items(), *([("window", (self.bounds,))] if self.bounds else [])]

    def unknown_axes(self, axes: Iterable[str]) -> list[Problem]:
        """What is wrong with options that name an axis which the job's matrix lacks."""
        known = list(axes)
        return [
            _problem(
                Misfit(f"this job has no axis {term.axis!r}", hint=did_you_mean(term.axis, known)),
                f"--select {term.option}",
            )
            for term in self.terms
            if term.axis not in known
        ]

    def unknown_labels(self, labels: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str, str]]:
        """Patterns that match none of the labels of their axis, excluding ones too: option, axis, pattern of each."""
        for term in self.terms:
            for pattern in term.patterns:
                if not any(map(matcher(term.axis, pattern), labels[term.axis])):
                    yield f"--select {term.option}", term.axis, pattern

    def matches(self, coordinates: Iterable[tuple[str, str]]) -> bool:
        """Whether the cell with these (axis, label) pairs is picked."""
        known = self._known
        for pair in coordinates:
            picked = known.get(pair)
            if picked is None:
                picked = known[pair] = self._test(pair[0])(pair[1])
            if not picked:
                return False
        return True

    def _test(self, axis: str) -> Callable[[str], bool]:
        test = self._tests.get(axis)
        if test is None:
            wanted, unwanted = (
                [
                    matcher(axis, p)
                    for term in self.terms
                    if term.axis == axis and term.negated is negated
                    for p in term.patterns
                ]
                for negated in (False, True)
            )
            bounds = matcher(axis, self.bounds) if self.bounds and axis == "window" else None
            test = self._tests[axis] = lambda label: (
                (bounds is None or bounds(label))
                and (not wanted or any(match(label) for match in wanted))
                and not any(match(label) for match in unwanted)
            )
        return test


def _term(option: str) -> _Term:
    left, equals, right = option.partition("=")
    negated = left.endswith("!")
    axis = left.removesuffix("!").strip()
    patterns = tuple(part.strip() for part in right.split(",") if part.strip())
    if not equals or not patterns:
        raise Misfit(
            "AXIS=PATTERN is due here", hint="write --select 'team=sup*' or --select 'window!=2024-01..2024-03'"
        )
    _known(axis)
    for pattern in patterns:
        matcher(axis, pattern)
    return _Term(axis, patterns, negated, option)


def _problem(misfit: Misfit, option: str) -> Problem:
    return Problem(misfit.message, code="select.invalid", file=option, hint=misfit.hint)
