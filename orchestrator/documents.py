"""The documents that the library gives: the same as `--json` prints, key by key, as types.

Plain mappings and lists, fit for `json.dumps`. Times are RFC 3339 in UTC, sizes bytes. Later versions may add keys; none
is taken away while its `schema` keeps its number.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Failure(TypedDict):
    """Why something failed: a stable code, what happened, and what a person can do about it."""

    code: str
    message: str
    cause: NotRequired[str | None]
    """What the system or the service gave as a reason; of an export that failed, what usually stands behind the code."""
    hint: str | None


class Timings(TypedDict):
    submitted_at: str | None
    ready_at: str | None
    stored_at: str | None


class ExportReport(TypedDict):
    """What became of one export in a run."""

    key: str
    coordinates: dict[str, str]
    """By axis, in the order of the job file: `{"team": "support", "window": "2024-01"}`."""
    state: Literal["stored", "skipped", "failed", "pending"]
    action: str
    """What the plan had in mind for it: `run`, `replace`, `move`, `skip` …, and `reason` why."""
    reason: str
    report_ids: list[str]
    path: str
    """Of its file, below the job's output folder."""
    bytes: int | None
    sha256: str | None
    rows: int | None
    partial: bool
    """Its window had not ended yet; it is exported again when it has."""
    attempts: int
    polls: int
    possible_duplicates: int
    timings: Timings
    stages: list[list[Any]]
    """Pairs: what it waited for from when on, in seconds since the run began: `["service", 1.25]`."""
    error: Failure | None


class RunCounts(TypedDict):
    """`stored` by this run; `skipped` need nothing now; `pending` are unfinished."""

    planned: int
    stored: int
    skipped: int
    failed: int
    pending: int


class Requests(TypedDict):
    """Requests to the service. `possible_duplicates` counts those of earlier runs as well."""

    posts: int
    polls: int
    throttled: int
    errors: int
    possible_duplicates: int


class Stretch(TypedDict):
    """One of the equal stretches of time that a run is cut into, with what was counted in it. Seconds."""

    at: int | float
    seconds: int | float
    posts: int
    polls: int
    downloads: int
    throttled: int
    bytes: int
    paused: int | float


class FoundLimits(TypedDict):
    """Limits of the service as refusals have shown them; None for one that nothing has shown."""

    requests_per_second: float | None
    unfinished: int | None


class RunReport(TypedDict):
    """`orchestrator.run/1`: how a run ended, and what became of each export."""

    schema: str
    command: Literal["run", "submit", "collect"]
    job: str | None
    run_id: str | None
    outcome: Literal["succeeded", "failed", "parked", "refused", "unreachable", "storage", "bug"]
    reason: str | None
    """Why it was parked, in words."""
    error: Failure | None
    """What ended it early."""
    resume_after: str | None
    """Of a run that was parked: before this moment (RFC 3339) the next one would park at once, for the service wants silence."""
    started_at: str
    finished_at: str
    counts: RunCounts
    api: Requests
    found: FoundLimits
    bytes: int
    rows: int
    history: list[Stretch]
    exports: list[ExportReport]


class Window(TypedDict):
    """Seconds since the epoch; `end` is where the next window begins."""

    start: int
    end: int


class PlannedExport(TypedDict):
    """What a run would do about one export, and why."""

    key: str
    coordinates: dict[str, str]
    action: str
    """`run`, `replace`, `move`, `wait`, `skip`, `refused`, `left_over` or `not_in_this_job`."""
    reason: str
    path: str
    moved_from: str | None
    request: dict[str, Any] | None
    """The body that would be POSTed; None for what the job does not name."""
    impersonate: str | None
    window: Window | None


class LeftOut(TypedDict):
    """What the selection leaves out of the job, by where it stands."""

    exports: int
    counts: dict[str, int]


class Range(TypedDict):
    """Between what and what, most likely."""

    low: int
    high: int


class Grounds(TypedDict):
    """What a forecast rests on: how many durations and sizes have been seen, and whose limits it assumes."""

    durations_of: int
    same_length_of_window: bool
    sizes_of: int
    limits: str


class Forecast(TypedDict):
    """What a run will take. `posts` creations, `collected` that an earlier run has begun; `bytes` None if none was seen."""

    posts: int
    collected: int
    polls: Range
    requests: Range
    seconds: Range
    bytes: Range | None
    paused_until: str | None
    rests_on: Grounds


class JobPlan(TypedDict):
    """`orchestrator.plan/1`: what a run would do."""

    schema: str
    job: str
    output: str
    proxy: str | None
    counts: dict[str, int]
    """How many exports for each `action`."""
    left_out: LeftOut
    forecast: Forecast | None
    """None if nothing is to be asked of the service."""
    exports: list[PlannedExport]


class ExportStatus(TypedDict):
    """Where one export stands."""

    key: str
    coordinates: dict[str, str]
    state: Literal["stored", "failed", "pending", "new"]
    step: str | None
    path: str
    report_ids: list[str]
    bytes: int | None
    rows: int | None
    since: str | None
    """When what is at work on the service was asked for."""
    error: Failure | None


class JobStatus(TypedDict):
    """`orchestrator.status/1`: where a job stands, as its journal has it."""

    schema: str
    job: str
    active_run: str | None
    """Who runs it right now; None if nobody does."""
    counts: dict[str, int]
    possible_duplicates: int
    last_run: dict[str, Any] | None
    cut_off_at: str | None
    """When a run that did not end in its own words wrote its last."""
    only_in_manifest: int
    exports: list[ExportStatus]


class VerifiedExport(TypedDict):
    """A stored file, read again."""

    key: str
    coordinates: dict[str, str]
    path: str
    state: Literal["equal", "wrong", "missing", "moved on"]
    detail: str
    in_manifest: bool
    run_exports_again: bool
    """A run notices by itself that it is gone or changed; otherwise `only="all"` exports it again."""


class VerifyCounts(TypedDict):
    equal: int
    wrong: int
    missing: int


class JobVerification(TypedDict):
    """`orchestrator.verify/1`: each stored file against manifest and journal."""

    schema: str
    counts: VerifyCounts
    not_in_manifest: int
    exports: list[VerifiedExport]
