"""The figures that the engine decides by, as the job file gives them. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    unfinished: int = 16
    """Exports created and not yet finished, at most."""
    requests_per_second: float = 5.0
    """All requests to the API host together."""
    downloads: int = 4
    longest_pause: float = 900.0
    """A `Retry-After` beyond this parks the run."""


@dataclass(frozen=True, slots=True)
class Polling:
    policy: Literal["backoff", "steady"] = "backoff"
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
