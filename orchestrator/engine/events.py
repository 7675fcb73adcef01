"""What the engine tells while it works: frozen facts. Progress, log, report and tests all read these.

They are for people and pictures; the journal's events (`states.py`) are what later runs go on from. None holds a
secret. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.engine.states import Record

NOT_CREATED = "what is left has to be created first"
"""The reason of a `collect` that has nothing more to bring home, and is not done."""


@dataclass(frozen=True, slots=True)
class Told:
    """The root of all of them."""

    at: float


class Standing(NamedTuple):
    """Where an export of the plan stands when a run begins."""

    key: str
    coordinates: Sequence[tuple[str, str]]
    """(axis, label) pairs in the order of the matrix."""
    record: Record | None
    """None: the journal knows nothing of it."""
    todo: bool
    """The run works on it."""


@dataclass(frozen=True, slots=True)
class RunStarted(Told):
    job: str
    run_id: str
    todo: int
    """Exports to be asked for, or to be brought home."""
    skipped: int
    """Exports of the plan that need nothing now."""
    unfinished_limit: int
    downloads_limit: int
    refused: int = 0
    """Exports of the plan that the service refused in an earlier run, and that are not asked for again."""
    moves: int = 0
    """Files to be renamed before anything else. What needs no more than that is not among `todo`."""
    exports: Sequence[Standing] = ()
    to_the_end: bool = True
    """It ends when all is stored; not so `submit`, which ends when all is asked for."""


@dataclass(frozen=True, slots=True)
class ExportChanged(Told):
    """An export's record changed; `event` is the kind of the journal event that did it."""

    record: Record
    event: str


@dataclass(frozen=True, slots=True)
class RequestSent(Told):
    """`kind` is `create`, `poll` or `fetch`."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class RequestRefused(Told):
    """The API host answered 429."""


@dataclass(frozen=True, slots=True)
class BytesReceived(Told):
    key: str
    received: int
    """Bytes of this export's file so far, as sent by the host."""
    total: int | None
    """As announced; None if the host did not say."""


@dataclass(frozen=True, slots=True)
class Troubled(Told):
    """Something went wrong that will be tried again."""

    key: str
    code: str
    message: str
    again_at: float


@dataclass(frozen=True, slots=True)
class Paused(Told):
    """The service asked for silence."""

    until: float
    detail: str


@dataclass(frozen=True, slots=True)
class Learned(Told):
    """What the run goes by that no job file says; told when it has changed noticeably."""

    seconds: float | None
    """That an export takes on the service, on average; None while nobody knows."""
    longest: float | None
    """Seconds within which 95 % of them are finished."""
    per_second: float
    """Requests to the API host that may be sent in a second at the moment."""
    unfinished: int
    """Exports that may be unfinished at once at the moment."""
    downloads: int
    rate_found: bool
    """A refusal has shown that `per_second` is about what the service admits."""
    cap_found: bool
    """The same of `unfinished`."""


@dataclass(frozen=True, slots=True)
class OutageBegan(Told):
    """`host` (`api` or `files`) answers nobody."""

    host: str
    detail: str
    gives_up_at: float


@dataclass(frozen=True, slots=True)
class OutageEnded(Told):
    host: str


@dataclass(frozen=True, slots=True)
class Parking(Told):
    """No new request is started any more; what is under way is given a few seconds."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded(Told):
    outcome: str
