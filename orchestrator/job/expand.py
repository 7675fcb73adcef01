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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import JobError, Problem
from orchestrator.job import cells, paths
from orchestrator.job.axes import AXES
from orchestrator.job.clashes import Clashes
from orchestrator.job.matrix import Coordinates, Selection, matcher, product
from orchestrator.job.misfit import Misfit
from orchestrator.job.scalars import text
from orchestrator.job.windows import Window, zone

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
    def from_json(cls, data: Mapping[str, Any], base_url: str) -> Export:
        """Raises JobError (`plan.invalid`) if that is no export of `base_url`, or its path would leave the output folder."""
        try:
            body = data["request"]
            formats = {sent: name for name, sent in RESULT_FORMATS.items()}
            labels = {axis: text(label) for axis, label in data["coordinates"].items() if axis in AXES}
            paths.check(data["path"])
            found = cls(
                key=data["key"],
                coordinates=tuple(labels.items()),
                path=data["path"],
                impersonate=data["impersonate"],
                window=Window(labels["window"], data["window"]["start"], data["window"]["end"]),
                timezone=zone(body["timezone"]).key,
                start=body["start"],
                end=body["end"],
                format=formats[body["resultFormat"]],
                tags=tuple(body.get("tagIds", ())),
                teams=tuple(body.get("teamIds", ())),
                teammates=tuple(body.get("teammateIds", ())),
                customers=tuple(body.get("customerIds", ())),
            )
            # The key tells whether all that is asked for is as it was frozen; what it does not cover is held to it.
            whole = found.to_json() == data and found.key == export_key(base_url, found.impersonate, found.request)
            if not whole or found.window.start != found.start or found.window.end - found.end not in (0, 1):
                raise Misfit("it is not as it was frozen")
        except (KeyError, TypeError, ValueError, AttributeError):
            problem = Problem(
                "this plan holds an entry that is no export",
                code="plan.invalid",
                hint="make the plan anew: `plan JOB --out FILE`",
            )
            raise JobError(problem) from None
        return found


def export_key(base_url: str, impersonate: str | None, request: Mapping[str, Any]) -> str:
    """`k1-` and the first 40 hex digits of the SHA-256 of the question. Golden tests hold it still across versions.

    `base_url` as the job's model normalises it.
    """
    question = _canonical({"base_url": base_url, "impersonate": impersonate, "request": request})
    return f"k1-{hashlib.sha256(question.encode()).hexdigest()[:40]}"


# -------------------------------------------------------------------------------------------------------- expansion


def expand(
    job: Job,
    now: float,
    selection: Selection | None = None,
    max_exports: int = MAX_EXPORTS,
) -> Iterator[Export]:
    """The exports of the job at `now`, in their order.

    Open windows are among them, and future ones if the job names them: what to do about those is the plan's decision.
    An included cell that the product has anyway is an error when the windows are fixed (`from` and `to`); rolling
    windows may reach it by themselves, so there it is dropped in silence.

    Raises JobError with all that is wrong, so nothing is to be done with the first exports before the last one has
    come. At once for windows that can't be or more than `max_exports` cells (`plan.too-many`), for patterns that match
    nothing, included cells that can't be and axes that a selection names in vain, together with all that follows; at
    the end for cells with one key or path (`job.collision`), paths that can't be stored, and if nothing was selected
    (`select.empty`), a pattern of the selection matches nothing (`select.invalid`) or all was excluded (`job.empty`).
    """
    matrix = job.model.matrix
    options = selection.unknown_axes(matrix.order) if selection is not None else []
    try:
        axes = cells.axes(job, now, max_exports)
    except JobError as error:
        raise JobError(*error.problems, *options) from None
    count = math.prod(len(axis) for axis in axes) + len(matrix.include)
    if count > max_exports:
        least = "at least " if max(map(len, axes)) > max_exports else ""
        problem = job.problem(
            ("matrix",),
            f"the matrix has {least}{count:,} cells, and at most {max_exports:,} are expanded",
            hint="make the windows longer or split the job; --max-exports lifts the limit",
            code="plan.too-many",
        )
        raise JobError(problem, *options)
    rules, wrong = cells.excluded(job, axes)
    included, more = cells.included(job, axes, rules)
    wrong += more
    walk = _exports(job, itertools.chain(product(axes, rules), included), selection, wrong, options)
    if wrong or options:  # the rest is looked through for what else is wrong, and then it raises
        for _ in walk:
            pass
    return walk


def _exports(
    job: Job,
    walked: Iterable[cells.Cell],
    selection: Selection | None,
    wrong: Sequence[Problem],
    options: Sequence[Problem],
) -> Iterator[Export]:
    """The cells as exports. Raises all problems at the end: those found before, in the file or in options, and its own."""
    model = job.model
    request, end_less = model.request, int(model.request.end == "inclusive")
    template = (
        paths.Template.parse(model.output.path) if model.output.path else paths.Template.default(model.matrix.order)
    )
    base = {"format": request.format, "impersonate": model.api.impersonate}
    base |= {name: getattr(request, name) for name in FILTERS.values()}
    clashes = Clashes(job, template)
    by_key: dict[str, Coordinates] = {}
    by_path: dict[str, Coordinates] = {}
    yielded = 0
    for cell in walked:
        coordinates = cells.coordinates(cell)
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
        key = export_key(model.api.base_url, asked["impersonate"], _body(asked))
        twin = by_key.setdefault(key, coordinates)
        if twin is not coordinates:
            clashes.same_question(twin, coordinates)
        try:
            path = template.render(dict(coordinates, ext=asked["format"], name=model.name, key=key))
        except Misfit as misfit:
            clashes.unstorable(coordinates, misfit)
            continue
        holder = by_path.setdefault(paths.collision_key(path), coordinates)
        if holder is not coordinates and holder is not twin:
            clashes.same_path(path, holder, coordinates)
        elif holder is twin is coordinates and (selection is None or selection.matches(coordinates)):
            yielded += 1
            yield Export(key=key, coordinates=coordinates, path=path, **asked)
    found = [*wrong, *clashes.problems()]
    if not by_key and not model.matrix.include:
        found.append(
            job.problem(
                ("matrix", "exclude"),
                "every cell of the matrix is excluded",
                code="job.empty",
                hint="remove a pattern, or make it narrower",
            )
        )
    if found or options:
        raise JobError(*sorted(found, key=job.order), *options)
    if selection is not None:
        labels = _labels(by_key.values())
        problems = list(_in_vain(selection, labels))
        if not yielded:
            empty = _nothing_selected(selection, labels, len(by_key))
            problems = [empty, *(problem for problem in problems if str(problem.file) not in str(empty.file))]
        if problems:
            raise JobError(*problems)


def _labels(all_cells: Iterable[Coordinates]) -> Mapping[str, Collection[str]]:
    """Of each axis those that a cell has, in their order."""
    labels: dict[str, dict[str, None]] = {}
    for cell in all_cells:
        for axis, label in cell:
            labels.setdefault(axis, {})[label] = None
    return labels


def _in_vain(selection: Selection, labels: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Patterns that match nothing, though others of the selection do: slips that would go unnoticed."""
    for option, axis, pattern in selection.unknown_labels(labels):
        hint = cells.nearest_label(axis, pattern, labels[axis])
        yield Problem(f"no {axis} of the job matches {pattern}", code="select.invalid", file=option, hint=hint)


def _nothing_selected(selection: Selection, labels: Mapping[str, Collection[str]], exports: int) -> Problem:
    """Which option has emptied the selection; if none alone has, which of them leave nothing together."""
    for axis, patterns in selection.wanted:
        if not any(matcher(axis, pattern)(label) for pattern in patterns for label in labels[axis]):
            message = f"no {axis} of the job matches {','.join(patterns)}"
            hint = cells.nearest_label(axis, patterns[0], labels[axis])
            return _empty(selection.said(axis), message, hint)
    for axis, known in labels.items():
        if not any(selection.matches([(axis, label)]) for label in known):
            message = f"no {axis} of the job is left"
            return _empty(selection.said(axis), message, cells.nearest_label(axis, "", known))
    message = f"none of the job's {exports:,} exports has all that is asked for"
    return _empty(selection.said(), message, "leave one of the options out; `plan` without them shows what there is")


def _empty(options: str, message: str, hint: str) -> Problem:
    return Problem(f"nothing is selected: {message}", code="select.empty", file=options, hint=hint)


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
