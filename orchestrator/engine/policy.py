"""The figures that the engine decides by, as the job file gives them. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be used at most. A limit with a start of its own begins there and finds itself (see `finding`); one without
    begins at its most.
    """

    unfinished: int = 16
    """Exports created and not yet finished."""
    requests_per_second: float = 5.0
    """All requests to the API host together."""
    downloads: int = 4
    unfinished_start: int | None = None
    requests_start: float | None = None
    downloads_start: int | None = None
    longest_pause: float = 900.0
    """A `Retry-After` beyond this parks the run."""


AUTO = {
    "unfinished": (4, 256),
    "requests_per_second": (4.0, 100.0),
    "downloads": (4, 16),
}
"""Where a limit that is left to find itself starts, and the most that is asked of a service that never refuses."""


@dataclass(frozen=True, slots=True)
class Polling:
    policy: Literal["adaptive", "backoff", "steady"] = "adaptive"
    first: float = 10.0
    every: float = 10.0
    max: float = 60.0
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class Retry:
    attempts: int = 6
    """Tries of one request that the host answers badly while it answers others well."""
    base: float = 1.0
    max: float = 60.0
    exports: int = 3
    """New creations of one part after a report was lost."""
    stuck_after: float = 7200.0
    outage: float = 900.0
    """A host that answers nobody for so long parks the run."""
    ambiguous: Literal["recreate", "stop"] = "recreate"


@dataclass(frozen=True, slots=True)
class Policy:
    limits: Limits = field(default_factory=Limits)
    polling: Polling = field(default_factory=Polling)
    retry: Retry = field(default_factory=Retry)
    fail_fast: bool = False
