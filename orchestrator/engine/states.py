"""The states of an export, the events that change them, and the one function that folds events into records.

Standard library only. The journal keeps these events for ever, so every event and record has a versioned JSON form.

    export ── parts ── reports
      An export is one cell of the job's expansion. It is asked for in one or more *parts* (one request each; today
      always exactly one). A part may need several *reports* (creations on the service): after a failure, an expiry,
      or when an answer was lost.

A part's life:

    waiting ──intended──▶ creating ──created──▶ generating ──ready──▶ ready ──verified──▶ verified ──stored──▶ stored
       ▲                     │                      │                   │                    │
       └──refused,unanswered─┘◀───────lost──────────┴────────lost───────┘◀─────torn──────────┘ (back to ready)

`failed` can follow any state that is not final, `revived` starts a failed or stored part again with a fresh budget, and
`superseded` says that another export's file has taken the place of this one's. What is not in `MOVES` is an error
and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, cast

VERSION = 1
"""The version of the JSON form of events and records. It grows when an old reader could misread a new event."""


class State(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"
    """No report that could still complete: a creation is due."""
    CREATING = "creating"
    """An intent is durable, and what became of its POST is not known yet."""
    GENERATING = "generating"
    """At least one report id is known that may still complete."""
    READY = "ready"
    """A report was seen completed; its file is not here yet. The signed URL is never journalled: poll for one."""
    VERIFIED = "verified"
    """Whole, checked bytes lie in a temporary file and their hash is journalled; the rename may or may not have happened."""
    STORED = "stored"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """Another export's file was stored at this one's path: this one is stored no longer."""


FINAL = frozenset({State.STORED, State.FAILED, State.SUPERSEDED})


class Cause(StrEnum):
    """Why a report will not give a file any more."""

    FAILED = "failed"
    EXPIRED = "expired"
    MISSING = "missing"
    CORRUPT = "corrupt"
    """Its file was fetched whole again and again, and was never what it should be."""
    STUCK = "stuck"
    """Not final: a stuck report is still polled now and then, and wins if it completes before its successor."""


class IllegalMove(Exception):
    """An event that the table does not allow in this state. The record is unchanged."""


# --------------------------------------------------------------------------------------------------------- records


@dataclass(frozen=True, slots=True)
class Report:
    """One creation that the service gave an id. Times are seconds since the epoch."""

    id: str
    created_at: float
    alive: bool = False
    """A GET has shown it `Processing` or `Completed`. The POST's own reply proves nothing."""
    doubted_at: float | None = None
    """When the running series of reads that say it is gone (`PendingOrExpired`, 404) began; None while none does."""
    cause: Cause | None = None
    """Why it is lost; None while it may still complete."""

    @property
    def live(self) -> bool:
        return self.cause is None


@dataclass(frozen=True, slots=True)
class File:
    """Verified bytes. `path` is where they are stored, relative to the output; `temp` names the temporary file."""

    report_id: str
    bytes: int
    sha256: str
    rows: int | None
    exported_at: float
    """When the report that gave these bytes was created: what lies after it can't be in them."""
    partial: bool
    """The window had not ended when the report was created."""
    path: str = ""
    temp: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One request of an export and all that became of it."""

    index: int
    request: Mapping[str, Any]
    state: State = State.WAITING
    reports: tuple[Report, ...] = ()
    intents: int = 0
    """POSTs intended so far, over all runs: the number of the last intent."""
    intended_at: float | None = None
    """When the open intent was made; None when no intent is open."""
    spent: int = 0
    """Reports lost since the budget was last fresh; `retry.exports` bounds it."""
    duplicates: int = 0
    """Intents whose answer was lost: each may have created an export that nobody collects."""
    ghosts: tuple[float, ...] = ()
    """When creations were made that nobody follows but that may still run on the service."""
    file: File | None = None
    """Verified bytes on their way to their final name."""
    stored: File | None = None
    """What is stored now; it stays while a newer export of the same question is under way."""
    moving: str | None = None
    """Where the stored file is about to be renamed to: until that is known to be done, it may lie at either name."""
    failure: Failure | None = None
    submitted_at: float | None = None
    ready_at: float | None = None
    stored_at: float | None = None

    def report(self, report_id: str) -> Report | None:
        return next((r for r in self.reports if r.id == report_id), None)

    @property
    def doubtful(self) -> int:
        """`duplicates` when no run is at work: an intent that is open then is as ambiguous as one whose answer was lost."""
        return self.duplicates + (self.state is State.CREATING)

    @property
    def live(self) -> tuple[Report, ...]:
        """Reports that may still complete (stuck ones not counted)."""
        return tuple(r for r in self.reports if r.live)


@dataclass(frozen=True, slots=True)
class Record:
    """One export as the journal knows it."""

    key: str
    coordinates: Mapping[str, str]
    """Axis → label, in the order of the job's matrix."""
    path: str
    impersonate: str | None
    window: tuple[int, int]
    """First instant and first instant after, seconds since the epoch."""
    parts: tuple[Part, ...]

    @property
    def state(self) -> State:
        """The export's state: that of its least advanced part; failed as soon as one part is."""
        if len(self.parts) == 1:  # as good as always, and asked for some times an event
            return self.parts[0].state
        states = [p.state for p in self.parts]
        return State.FAILED if State.FAILED in states else min(states, key=_ORDER.__getitem__)

    @property
    def stored(self) -> tuple[File, ...] | None:
        """What is stored of it, a file a part; None unless all parts are."""
        files = tuple(p.stored for p in self.parts if p.stored is not None)
        return files if len(files) == len(self.parts) and self.state is not State.SUPERSEDED else None


_ORDER = {state: n for n, state in enumerate(State)}


# ---------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a part. `at` is seconds since the epoch."""

    kind: ClassVar[str] = ""
    key: str
    at: float
    part: int = 0


@dataclass(frozen=True, slots=True)
class Planned(Event):
    """The export entered the journal, or its labels changed. Everything a later run needs is in here."""

    kind: ClassVar[str] = "planned"
    coordinates: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    impersonate: str | None = None
    window: tuple[int, int] = (0, 0)
    requests: tuple[Mapping[str, Any], ...] = ()
    """One a part."""


@dataclass(frozen=True, slots=True)
class Revived(Event):
    """To be exported (again) with a fresh budget: failed before, its file is gone, or a newer one is wanted."""

    kind: ClassVar[str] = "revived"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Intended(Event):
    """A POST is about to be sent."""

    kind: ClassVar[str] = "intended"
    n: int = 0


@dataclass(frozen=True, slots=True)
class Created(Event):
    kind: ClassVar[str] = "created"
    n: int = 0
    report_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """The POST certainly created nothing."""

    kind: ClassVar[str] = "refused"
    n: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered(Event):
    """The POST may have created an export whose id nobody knows: a possible duplicate."""

    kind: ClassVar[str] = "unanswered"
    n: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alive(Event):
    """A GET showed the report `Processing` or `Completed` (still without a URL) for the first time, or again after a doubt."""

    kind: ClassVar[str] = "alive"
    report_id: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Doubted(Event):
    """A GET says that the report may be gone; only a second one, apart from it, decides."""

    kind: ClassVar[str] = "doubted"
    report_id: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Lost(Event):
    kind: ClassVar[str] = "lost"
    report_id: str = ""
    cause: Cause = Cause.FAILED


@dataclass(frozen=True, slots=True)
class Ready(Event):
    kind: ClassVar[str] = "ready"
    report_id: str = ""


@dataclass(frozen=True, slots=True)
class Verified(Event):
    kind: ClassVar[str] = "verified"
    file: File = field(default_factory=lambda: File("", 0, "", None, 0.0, partial=False))


@dataclass(frozen=True, slots=True)
class Torn(Event):
    """Verified bytes are neither at the temporary name nor at the final one: they must be fetched again."""

    kind: ClassVar[str] = "torn"


@dataclass(frozen=True, slots=True)
class Stored(Event):
    kind: ClassVar[str] = "stored"


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    """The manifest knows a stored file that the journal had forgotten."""

    kind: ClassVar[str] = "adopted"
    file: File = field(default_factory=lambda: File("", 0, "", None, 0.0, partial=False))


@dataclass(frozen=True, slots=True)
class Moving(Event):
    """The stored file is about to be renamed because the job's labels or path changed."""

    kind: ClassVar[str] = "moving"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Moved(Event):
    """The stored file lies at `path`, and is on its way no longer."""

    kind: ClassVar[str] = "moved"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Failed(Event):
    kind: ClassVar[str] = "failed"
    code: str = ""
    message: str = ""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Superseded(Event):
    """Another export's file, or somebody else's, has taken the name `path`, which was this one's."""

    kind: ClassVar[str] = "superseded"
    by: str = ""
    path: str = ""


EVENTS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        Planned, Revived, Intended, Created, Refused, Unanswered, Alive, Doubted, Lost, Ready, Verified, Torn, Stored,
        Adopted, Moving, Moved, Failed, Superseded,
    )
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- the table of moves

ALL = frozenset(State)
OPEN = ALL - FINAL

MOVES: dict[type[Event], frozenset[State]] = {
    Revived: FINAL,
    Intended: frozenset({State.WAITING}),
    Created: frozenset({State.CREATING}),
    Refused: frozenset({State.CREATING}),
    Unanswered: frozenset({State.CREATING}),
    Alive: OPEN,
    Doubted: OPEN,
    Lost: OPEN,
    Ready: frozenset({State.WAITING, State.GENERATING, State.READY}),
    Verified: frozenset({State.READY}),
    Torn: frozenset({State.VERIFIED}),
    Stored: frozenset({State.VERIFIED}),
    Adopted: ALL,
    Moving: ALL,
    Moved: ALL,
    Failed: OPEN,
    Superseded: ALL,
}
"""Which event may come in which state. `Planned` is the only event that may come when there is no record yet."""


def apply(record: Record | None, event: Event) -> Record:
    """The record after `event`.

    Pure, and free of policy: what is decided is decided before an event is made, so the journal of an older version
    folds to the same records. Raises `IllegalMove` for what the table does not list.
    """
    if isinstance(event, Planned):
        return _planned(record, event)
    if record is None:
        raise IllegalMove(f"{event.kind} for {event.key}, which was never planned")
    part = record.parts[event.part]
    if part.state not in MOVES[type(event)]:
        raise IllegalMove(f"{event.kind} for {event.key}, which is {part.state}")
    changed = _CHANGES[type(event)](part, event)
    parts = (*record.parts[: event.part], changed, *record.parts[event.part + 1 :])
    path = event.path if isinstance(event, Moved) else record.path
    return replace(record, parts=parts, path=path)


def _planned(record: Record | None, event: Planned) -> Record:
    if record is not None:
        parts = tuple(_bound_for(part, event.path) for part in record.parts)
        return replace(record, coordinates=event.coordinates, path=event.path, parts=parts)
    parts = tuple(Part(index=n, request=request) for n, request in enumerate(event.requests))
    return Record(event.key, event.coordinates, event.path, event.impersonate, event.window, parts)


def _bound_for(part: Part, path: str) -> Part:
    """Verified bytes go where the labels of today say, not where those of their download said."""
    return part if part.file is None else replace(part, file=replace(part.file, path=path))


def _resting(part: Part) -> State:
    """Where a part rests when no POST is open and no file is at hand."""
    return State.GENERATING if part.live else State.WAITING


def _with_report(part: Part, report: Report) -> Part:
    return replace(part, reports=tuple(report if r.id == report.id else r for r in part.reports))


def _known(part: Part, report_id: str) -> Report:
    report = part.report(report_id)
    if report is None:
        raise IllegalMove(f"report {report_id} is not one of this part's")
    return report


def _revived(part: Part, _event: Revived) -> Part:
    # What failed may still be collected; what is stored is wanted anew, so its reports have had their day.
    reports = part.reports if part.state is State.FAILED else ()
    fresh = replace(
        part,
        reports=reports,
        spent=0,
        file=None,
        failure=None,
        submitted_at=None,
        ready_at=None,
    )
    return replace(fresh, state=_resting(fresh))


def _intended(part: Part, event: Intended) -> Part:
    submitted_at = part.submitted_at if part.submitted_at is not None else event.at
    return replace(part, state=State.CREATING, intents=event.n, intended_at=event.at, submitted_at=submitted_at)


def _created(part: Part, event: Created) -> Part:
    report = Report(event.report_id, created_at=part.intended_at if part.intended_at is not None else event.at)
    others = tuple(r for r in part.reports if r.id != event.report_id)
    return replace(part, state=State.GENERATING, reports=(*others, report), intended_at=None)


def _refused(part: Part, _event: Refused) -> Part:
    return replace(part, state=_resting(part), intended_at=None)


def _unanswered(part: Part, event: Unanswered) -> Part:
    ghost = part.intended_at if part.intended_at is not None else event.at
    return replace(
        part,
        state=_resting(part),
        intended_at=None,
        duplicates=part.duplicates + 1,
        ghosts=(*part.ghosts, ghost),
    )


def _alive(part: Part, event: Alive) -> Part:
    return _with_report(part, replace(_known(part, event.report_id), alive=True, doubted_at=None))


def _doubted(part: Part, event: Doubted) -> Part:
    return _with_report(part, replace(_known(part, event.report_id), doubted_at=event.at))


def _lost(part: Part, event: Lost) -> Part:
    report = _known(part, event.report_id)
    after = _with_report(part, replace(report, cause=event.cause))
    if report.live:  # a report that was given up as stuck has been paid for already
        after = replace(after, spent=part.spent + 1)
    if event.cause is Cause.STUCK:
        after = replace(after, ghosts=(*part.ghosts, report.created_at))
    if report.live and part.state in (State.GENERATING, State.READY):
        after = replace(after, state=_resting(after))
    return after


def _ready(part: Part, event: Ready) -> Part:
    report = replace(_known(part, event.report_id), alive=True, doubted_at=None, cause=None)
    ready_at = part.ready_at if part.ready_at is not None else event.at
    # Whoever else was being made runs on with nobody to wait for it.
    rivals = tuple(r.created_at for r in part.live if r.id != report.id) if part.state is not State.READY else ()
    return replace(_with_report(part, report), state=State.READY, ready_at=ready_at, ghosts=part.ghosts + rivals)


def _verified(part: Part, event: Verified) -> Part:
    return replace(part, state=State.VERIFIED, file=event.file)


def _torn(part: Part, _event: Torn) -> Part:
    assert part.file is not None, "a verified part has a file"
    fetched = part.report(part.file.report_id)
    state = State.READY if fetched is not None and fetched.live else _resting(part)
    return replace(part, state=state, file=None)


def _stored(part: Part, event: Stored) -> Part:
    assert part.file is not None, "a verified part has a file"
    stored = replace(part.file, temp=None)
    return replace(part, state=State.STORED, stored=stored, moving=None, file=None, stored_at=event.at)


def _adopted(part: Part, event: Adopted) -> Part:
    return replace(
        part,
        state=State.STORED,
        stored=event.file,
        moving=None,
        file=None,
        failure=None,
        intended_at=None,
        stored_at=event.at,
    )


def _moving(part: Part, event: Moving) -> Part:
    _something_stored(part, event)
    return replace(part, moving=event.path)


def _moved(part: Part, event: Moved) -> Part:
    return replace(part, stored=replace(_something_stored(part, event), path=event.path), moving=None)


def _something_stored(part: Part, event: Event) -> File:
    if part.stored is None:
        raise IllegalMove(f"{event.kind} for {event.key}, of which nothing is stored")
    return part.stored


def _failed(part: Part, event: Failed) -> Part:
    running = tuple(r.created_at for r in part.live) if part.state is State.GENERATING else ()
    return replace(
        part,
        state=State.FAILED,
        failure=Failure(event.code, event.message, event.hint),
        file=None,
        intended_at=None,
        ghosts=part.ghosts + running,
    )


def _superseded(part: Part, event: Superseded) -> Part:
    if event.path and (part.stored is None or part.stored.path != event.path):
        return part  # it has got another file, or another name, since
    if part.state in OPEN or part.state is State.FAILED:
        return replace(
            part, stored=None, moving=None
        )  # a newer one is under way and goes on, or failed and is to be told
    # `stored_at` tells since when this is so.
    return replace(
        part,
        state=State.SUPERSEDED,
        stored=None,
        moving=None,
        file=None,
        failure=None,
        intended_at=None,
        stored_at=event.at,
    )


# Each function takes the event class that is its key; the cast says so once instead of an `isinstance` in each.
_CHANGES = cast(
    "dict[type[Event], Callable[[Part, Event], Part]]",
    {
        Revived: _revived,
        Intended: _intended,
        Created: _created,
        Refused: _refused,
        Unanswered: _unanswered,
        Alive: _alive,
        Doubted: _doubted,
        Lost: _lost,
        Ready: _ready,
        Verified: _verified,
        Torn: _torn,
        Stored: _stored,
        Adopted: _adopted,
        Moving: _moving,
        Moved: _moved,
        Failed: _failed,
        Superseded: _superseded,
    },
)


# ------------------------------------------------------------------------------------------------------- JSON forms


def _fields(value: Any) -> dict[str, Any]:
    """What a dataclass itself declares. `asdict` would look into all that is in it and copy it: ten times the work."""
    return {name: getattr(value, name) for name in value.__slots__}


def event_to_json(event: Event) -> dict[str, Any]:
    """The event's own fields (kind, key, part and at are columns of the journal's log). What they hold is not copied."""
    data = _fields(event)
    if "file" in data:
        data["file"] = _fields(data["file"])
    return data


def event_from_json(kind: str, key: str, part: int, at: float, data: Mapping[str, Any]) -> Event:
    """The inverse of `event_to_json`. Raises `KeyError` for a kind this version does not know."""
    values = dict(data)
    if "file" in values:
        values["file"] = File(**values["file"])
    if "cause" in values:
        values["cause"] = Cause(values["cause"])
    if "window" in values:
        values["window"] = tuple(values["window"])
    if "requests" in values:
        values["requests"] = tuple(values["requests"])
    return EVENTS[kind](key=key, part=part, at=at, **values)


def record_to_json(record: Record) -> dict[str, Any]:
    """What it holds is not copied."""
    return {**_fields(record), "parts": [_part_to_json(part) for part in record.parts]}


def _part_to_json(part: Part) -> dict[str, Any]:
    data = _fields(part)
    data["reports"] = [_fields(report) for report in part.reports]
    for name in ("file", "stored", "failure"):
        data[name] = _fields(data[name]) if data[name] is not None else None
    return data


def record_from_json(data: Mapping[str, Any]) -> Record:
    start, end = data["window"]
    return Record(
        key=data["key"],
        coordinates=data["coordinates"],
        path=data["path"],
        impersonate=data["impersonate"],
        window=(start, end),
        parts=tuple(_part_from_json(part) for part in data["parts"]),
    )


def _part_from_json(data: Mapping[str, Any]) -> Part:
    values = dict(data)
    values["state"] = State(values["state"])
    values["reports"] = tuple(
        Report(**{**report, "cause": Cause(report["cause"]) if report["cause"] else None}) for report in data["reports"]
    )
    values["ghosts"] = tuple(data["ghosts"])
    for name in ("file", "stored"):
        values[name] = File(**data[name]) if data[name] else None
    values["failure"] = Failure(**data["failure"]) if data["failure"] else None
    return Part(**values)
