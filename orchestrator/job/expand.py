"""Coordinates to exports: what is asked for, where it goes, and the key that says whether it is the same question.

Lazy and in a fixed order: the matrix's product with the first axis slowest, then the included cells. The whole product
is walked even when a selection picks a few cells of it, because two cells with one key or one path are an error of the
job and must not wait for the day when both are selected.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import JobError, Problem
from orchestrator.job import paths
from orchestrator.job.axes import Value
from orchestrator.job.matrix import Coordinates, Selection, matcher, product
from orchestrator.job.misfit import Misfit, Misfits, did_you_mean
from orchestrator.job.windows import Window, window, windows, zone

if TYPE_CHECKING:  # the loader imports pydantic, which a frozen plan needs not
    from orchestrator.job.loader import Job

MAX_EXPORTS = 1_000_000
RESULT_FORMATS = {"json": "Json", "xlsx": "Xlsx"}
FILTERS = {"tag": "tags", "team": "teams", "teammate": "teammates", "customer": "customers"}
"""Axis → the key under `request` whose filter it replaces."""

_SENT_AS = {"tags": "tagIds", "teams": "teamIds", "teammates": "teammateIds", "customers": "customerIds"}
_ASKED = ("timezone", "start", "end", "format", *_SENT_AS)

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Export:
    """One cell of the expansion. `start` and `end` are sent as they are; `window` ends exclusively, whatever is sent."""

    key: str
    coordinates: Coordinates
    path: str
    impersonate: str | None
    window: Window
    timezone: str
    start: int
    end: int
    format: str
    tags: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    teammates: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()

    @property
    def closes_at(self) -> int:
        """When the window has ended, in seconds since the epoch: before that, what is exported is partial."""
        return self.window.end

    @property
    def request(self) -> dict[str, Any]:
        """The JSON body exactly as it is POSTed: ids sorted and unique, empty filters left out."""
        return _body({name: getattr(self, name) for name in _ASKED})

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """The requests that together give the export: today always one."""
        return (self.request,)

    def to_json(self) -> dict[str, Any]:
        """For a frozen plan; `from_json` rebuilds the export."""
        return {
            "key": self.key,
            "coordinates": dict(self.coordinates),
            "path": self.path,
            "impersonate": self.impersonate,
            "window": {"label": self.window.label, "start": self.window.start, "end": self.window.end},
            "request": self.request,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Export:
        """Raises JobError (`plan.invalid`) if that is no export, or its path would leave the output folder."""
        try:
            body = data["request"]
            formats = {sent: name for name, sent in RESULT_FORMATS.items()}
            paths.check(data["path"])
            return cls(
                key=data["key"],
                coordinates=tuple(data["coordinates"].items()),
                path=data["path"],
                impersonate=data["impersonate"],
                window=Window(data["window"]["label"], data["window"]["start"], data["window"]["end"]),
                timezone=body["timezone"],
                start=body["start"],
                end=body["end"],
                format=formats[body["resultFormat"]],
                tags=tuple(body.get("tagIds", ())),
                teams=tuple(body.get("teamIds", ())),
                teammates=tuple(body.get("teammateIds", ())),
                customers=tuple(body.get("customerIds", ())),
            )
        except (KeyError, TypeError, AttributeError, Misfit):
            problem = Problem(
                "this plan holds an entry that is no export",
                code="plan.invalid",
                hint="make the plan anew: `plan JOB --out FILE`",
            )
            raise JobError(problem) from None


def export_key(base_url: str, impersonate: str | None, request: Mapping[str, Any]) -> str:
    """`k1-` and the first 40 hex digits of the SHA-256 of the question. Golden tests hold it still across versions.

    `base_url` as the job's model normalises it.
    """
    question = _canonical({"base_url": base_url, "impersonate": impersonate, "request": request})
    return f"k1-{hashlib.sha256(question.encode()).hexdigest()[:40]}"


# -------------------------------------------------------------------------------------------------------- expansion


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """One value of one axis; compared by identity, so that sets of them are cheap."""

    pair: tuple[str, str]
    ids: tuple[str, ...]
    window: Window | None = None


def expand(
    job: Job,
    now: float,
    selection: Selection | None = None,
    max_exports: int = MAX_EXPORTS,
) -> Iterator[Export]:
    """The exports of the job at `now`, in their order.

    Open windows are among them, and future ones if the job names them: what to do about those is the plan's decision.
    Raises JobError: at once for a pattern that matches nothing, an included cell that can't be, or more than
    `max_exports` cells (`plan.too-many`); on the way for two cells with one key or path (`job.collision`) and for a
    path that can't be stored; at the end if nothing was selected (`select.empty`) or all was excluded (`job.empty`).
    """
    order = job.model.matrix.order
    if selection is not None:
        selection.check(order)
    axes = _axes(job, now, max_exports)
    count = math.prod(len(axis) for axis in axes) + len(job.model.matrix.include)
    if count > max_exports:
        problem = job.problem(
            ("matrix",),
            f"the matrix has {count:,} cells, and at most {max_exports:,} are expanded",
            hint="make the windows longer or split the job; --max-exports lifts the limit",
            code="plan.too-many",
        )
        raise JobError(problem)
    excluded, wrong = _excluded(job, axes)
    included, wrong_too = _included(job, axes)
    if wrong or wrong_too:
        raise JobError(*wrong, *wrong_too)
    return _exports(job, itertools.chain(product(axes, excluded), included), selection)


def _axes(job: Job, now: float, max_exports: int) -> list[list[_Choice]]:
    matrix, tz = job.model.matrix, zone(job.model.request.timezone)
    found: list[list[_Choice]] = []
    for axis in matrix.order:
        if axis == "window":
            try:
                cut = list(itertools.islice(windows(matrix.window.range, tz, now), max_exports + 1))
            except (Misfit, Misfits) as error:
                raise JobError(*(job.misfit(("matrix", "window"), misfit) for misfit in error.all)) from None
            if not cut:
                raise JobError(
                    job.problem(
                        ("matrix", "window"), f"there is no such day in {tz.key}", hint="its clocks jumped over it"
                    )
                )
            found.append([_Choice(("window", each.label), (), each) for each in cut])
        else:
            values: Sequence[Value] = getattr(matrix, axis)
            found.append([_Choice((axis, value.label), value.ids) for value in values])
    return found


def _excluded(
    job: Job, axes: Sequence[Sequence[_Choice]]
) -> tuple[list[list[frozenset[_Choice] | None]], list[Problem]]:
    """For each rule the values that it covers on each axis, and the patterns that match nothing."""
    order = job.model.matrix.order
    rules: list[list[frozenset[_Choice] | None]] = []
    wrong: list[Problem] = []
    for n, rule in enumerate(job.model.matrix.exclude):
        covered: list[frozenset[_Choice] | None] = [None] * len(order)
        for axis, patterns in rule.items():
            at = ("matrix", "exclude", n, axis)
            if axis not in order:
                wrong.append(job.misfit(at, _no_axis(axis, order)))
                continue
            choices = axes[order.index(axis)]
            matched: set[_Choice] = set()
            for k, pattern in enumerate(patterns):
                test = matcher(axis, pattern)
                hits = [choice for choice in choices if test(choice.pair[1])]
                matched.update(hits)
                if not hits:
                    near = did_you_mean(pattern, [choice.pair[1] for choice in choices])
                    wrong.append(
                        job.misfit(
                            (*at, k),
                            Misfit(f"this pattern matches no {axis} of the job", hint=near or _extent(choices)),
                        )
                    )
            covered[order.index(axis)] = frozenset(matched)
        rules.append(covered)
    return rules, wrong


def _extent(choices: Sequence[_Choice]) -> str:
    return f"there are {len(choices)}, from {choices[0].pair[1]} to {choices[-1].pair[1]}"


def _no_axis(axis: str, order: Iterable[str]) -> Misfit:
    return Misfit(f"the matrix has no axis {axis!r}", hint=did_you_mean(axis, order), show=False)


def _included(job: Job, axes: Sequence[Sequence[_Choice]]) -> tuple[list[tuple[_Choice, ...]], list[Problem]]:
    """The included cells, and what is wrong with those that can't be. An axis of one value may be left out."""
    matrix, tz = job.model.matrix, zone(job.model.request.timezone)
    every = matrix.window.range.every
    found: list[tuple[_Choice, ...]] = []
    wrong: list[Problem] = []
    for n, cell in enumerate(matrix.include):
        at = ("matrix", "include", n)
        wrong += [job.misfit((*at, axis), _no_axis(axis, matrix.order)) for axis in cell if axis not in matrix.order]
        picked: list[_Choice] = []
        for axis, choices in zip(matrix.order, axes, strict=True):
            label = cell.get(axis, choices[0].pair[1] if len(choices) == 1 else None)
            known = next((choice for choice in choices if choice.pair[1] == label), None)
            try:
                if label is None:
                    raise Misfit(f"this cell names no {axis}", hint=f"add {axis}: {choices[0].pair[1]}", show=False)
                if known is None and axis == "window":
                    known = _Choice(("window", label), (), window(every, label, tz))
                if known is None:
                    near = did_you_mean(label, [choice.pair[1] for choice in choices])
                    raise Misfit(f"the axis {axis!r} has no such label", hint=near or _extent(choices))
                picked.append(known)
            except Misfit as misfit:
                wrong.append(job.misfit((*at, axis) if axis in cell else at, misfit))
        found.append(tuple(picked))
    return found, wrong


def _exports(job: Job, cells: Iterable[tuple[_Choice, ...]], selection: Selection | None) -> Iterator[Export]:
    model = job.model
    request, end_less = model.request, int(model.request.end == "inclusive")
    template = (
        paths.Template.parse(model.output.path) if model.output.path else paths.Template.default(model.matrix.order)
    )
    base = {"format": request.format, "impersonate": model.api.impersonate}
    base |= {name: getattr(request, name) for name in FILTERS.values()}
    by_key: dict[str, Coordinates] = {}
    by_path: dict[str, Coordinates] = {}
    yielded = 0
    for cell in cells:
        coordinates = tuple([choice.pair for choice in cell])
        asked: dict[str, Any] = base.copy()
        for choice in cell:
            axis = choice.pair[0]
            if choice.window is not None:
                asked["window"] = choice.window
            elif axis in FILTERS:
                asked[FILTERS[axis]] = choice.ids
            else:
                asked[axis] = choice.ids[0]
        asked |= {
            "timezone": request.timezone,
            "start": asked["window"].start,
            "end": asked["window"].end - end_less,
        }
        body = _body(asked)
        key = export_key(model.api.base_url, asked["impersonate"], body)
        earlier = by_key.setdefault(key, coordinates)
        if earlier is not coordinates:
            if earlier == coordinates:  # an included cell that the product has anyway, as rolling windows reach it
                continue
            raise JobError(_same_question(job, earlier, coordinates))
        try:
            path = template.render(dict(coordinates, ext=asked["format"], name=model.name, key=key))
        except Misfit as misfit:
            misfit.message = f"{_cell(coordinates)}: {misfit.message}"
            raise JobError(job.misfit(("output", "path"), misfit)) from None
        earlier = by_path.setdefault(paths.collision_key(path), coordinates)
        if earlier is not coordinates:
            raise JobError(_same_path(job, path, earlier, coordinates, template))
        if selection is None or selection.matches(coordinates):
            yielded += 1
            yield Export(key=key, coordinates=coordinates, path=path, **asked)
    if not by_key:
        problem = job.problem(("matrix", "exclude"), "every cell of the matrix is excluded", code="job.empty")
        raise JobError(problem)
    if selection is not None and not yielded:
        options = ", ".join(selection.options)
        hint = f"{options} leaves none of {len(by_key):,}; `plan` without --select shows all"
        raise JobError(Problem("nothing is selected", code="select.empty", hint=hint))


def _body(asked: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "timezone": asked["timezone"],
        "start": asked["start"],
        "end": asked["end"],
        "resultFormat": RESULT_FORMATS[asked["format"]],
    }
    for name, sent in _SENT_AS.items():
        if asked[name]:
            body[sent] = list(asked[name])
    return body


def _cell(coordinates: Coordinates) -> str:
    return " ".join(f"{axis}={label}" for axis, label in coordinates)


def _differing(one: Coordinates, other: Coordinates) -> list[str]:
    return [axis for (axis, label), (_, other_label) in zip(one, other, strict=True) if label != other_label]


def _same_question(job: Job, one: Coordinates, other: Coordinates) -> Problem:
    axis = _differing(one, other)[0]
    return job.problem(
        ("matrix", axis, dict(other)[axis]),
        f"two cells ask the service the same question: {_cell(one)} and {_cell(other)}",
        hint=f"labels of the axis {axis!r} share their ids, or the service takes them for one: leave one out",
        code="job.collision",
    )


def _same_path(job: Job, path: str, one: Coordinates, other: Coordinates, template: paths.Template) -> Problem:
    missing = [axis for axis in _differing(one, other) if axis not in template.placeholders]
    if missing:
        hint = f"add {' and '.join(f'{{{axis}}}' for axis in missing)} to output.path"
    else:
        hint = (
            "their labels differ only in case, in Unicode form or in characters that no file name can hold: rename one"
        )
    return job.problem(
        ("output", "path"),
        f"two cells have the path {path!r}: {_cell(one)} and {_cell(other)}",
        hint=hint,
        code="job.collision",
    )
