"""What the oracle judges by: what was asked for, what the service truly did, what was journalled, what lay on the disk.

It knows no simulator: the wire and the process level fill the same sheets. Times are the service's own (true) time in
seconds; `seq` orders everything that happened, also within one moment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import Broken, CreateAnswer, StatusAnswer
from orchestrator.engine.states import Event, Record


@dataclass
class Made:
    """A report as the service has it."""

    id: str
    key: str
    created_at: float
    starts_at: float
    done_at: float
    """When it completes or fails; infinity for one that is stuck."""
    failed: bool
    gone_at: float
    gone_as: str
    versions: list[bytes] = field(default_factory=list)
    """The file's bytes, decoded: several if the object changed."""
    corrupt: bool = False
    """Its file is never what it should be."""

    def unfinished(self, now: float) -> bool:
        return now < self.done_at

    @property
    def hashes(self) -> set[str]:
        return {sha(data) for data in self.versions}


@dataclass
class Call:
    """A request to the API host."""

    seq: int
    at: float
    process: int
    kind: str
    """`POST` or `GET`."""
    key: str | None
    report_id: str | None = None
    answered_seq: int | None = None
    answered_at: float | None = None
    answer: CreateAnswer | StatusAnswer | None = None
    """None: nobody was there any more to hear one."""
    made: str | None = None
    """The report that a POST created, heard of or not."""
    claimed: int = 0
    """Places among the unfinished that the journal could account for when it was sent, its own included."""
    live: tuple[str, ...] = ()
    """Report ids that the journal knew for this key and had not given up."""
    token: int = 0
    """The generation of the token that it carried."""
    sent: int = 1
    """Requests that really went out for it: none if no connection opened, two if the library repeats one by itself."""

    @property
    def ambiguous(self) -> bool:
        return self.answer is None or (isinstance(self.answer, Broken) and self.answer.sent and self.sent > 0)


@dataclass
class Download:
    seq: int
    at: float
    process: int
    report_id: str
    outcome: str = "under way"
    """`whole`, `refused`, `broken`, `corrupt`, `let go`."""


@dataclass
class Gate:
    """A `Retry-After` that was heard."""

    seq: int
    at: float
    until: float
    process: int
    host: str
    durable: bool = True
    """False if the disk could not keep it, or the process died within a moment of hearing it."""


@dataclass
class Commit:
    seq: int
    at: float
    process: int
    era: int
    event: Event


@dataclass
class Process:
    n: int
    started_at: float
    offset: float
    """By how much its idea of the time differs from the truth."""
    era: int
    calm: bool
    """No faults any more while it ran."""
    named: frozenset[str]
    first_seq: int
    exports: tuple[Any, ...] = ()
    only: str = "missing"
    ended_at: float = 0.0
    how: str = "alive"
    """`ended` in its own words, `refused to start`, `kill`, `power cut`, `spinning`, `deadlock`, `bug`."""
    report: Mapping[str, Any] | None = None
    error: BaseException | None = None
    parked_by: str | None = None
    disk_trouble: bool = False
    api_trouble: bool = False
    files_trouble: bool = False
    refusals: int = 0
    downloads_at_once: int = 0
    starts_clean: bool = True
    """Everything was stored already, and nothing was changed since."""
    steps: int = 0


@dataclass
class Census:
    """Final names and the hashes of what lay there, when a process had ended; `records` as the journal had them."""

    seq: int
    process: int
    files: Mapping[str, str]
    records: Mapping[str, Record]
    trusted: bool
    """The journal is the newest there ever was (no older copy was put in its place, or a run has ended since)."""
    unlooked: frozenset[str] = frozenset()
    """Exports of which that can't be said: none of the runs that have ended since was asked for them."""
    temps: frozenset[str] = frozenset()
    """Names of the temporary files that were left."""


@dataclass
class Evidence:
    seed: int
    policy: Policy
    reports: dict[str, Made] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    census: list[Census] = field(default_factory=list)
    shown: list[tuple[int, str, str]] = field(default_factory=list)
    """(seq, final name, hash of what was seen there), each time a file appeared or survived a death."""
    forgotten: list[tuple[int, str]] = field(default_factory=list)
    """(seq, what): the state folder was removed or an older one restored."""
    blind_since: float = math.inf
    """Since when (seq) bytes lie somewhere of which no memory that was left could know: only reading all files would tell."""
    older_manifests: list[int] = field(default_factory=list)
    """When (seq) an older manifest was put in the place of the newest."""
    removed: set[str] = field(default_factory=set)
    """Hashes of files that somebody took away."""
    emptied: dict[str, int] = field(default_factory=dict)
    """The names that they had then, and when (seq)."""
    paths: dict[str, set[str]] = field(default_factory=dict)
    """Final name → keys of all exports that any version of the job has put there."""
    poisoned: dict[str, str] = field(default_factory=dict)
    """Key → what is wrong with it for good."""
    manifest: Mapping[str, Any] | None = None
    manifest_at_ends: list[tuple[int, Mapping[str, Any] | None]] = field(default_factory=list)
    heard: dict[str, bytearray] = field(default_factory=dict)
    """Host → every byte that it was sent; `api` is the service's own. Empty where nothing goes over a wire."""
    strayed: list[str] = field(default_factory=list)
    """Addresses that somebody wanted to connect to and nobody may."""
    texts: list[str] = field(default_factory=list)
    """Everything that people or files may show."""
    faultless: bool = False
    finished: bool = False
    """The last run had nothing left to do."""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
