"""What happened at the wire: one entry for each request that arrived, whatever became of it.

Tests hold clients to it, so it is kept apart from how answers are made. Times are seconds since the server started.
Tokens are never noted, only whether they were good.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Entry:
    """`status` is None when nothing was answered; `fault` is the planted fault or outage that struck.

    `early` is set on a request inside an announced Retry-After: how long ago that announcement had been made.
    """

    at: float
    status: int | None = None
    fault: str | None = None
    early: float | None = None


@dataclass(slots=True, kw_only=True)
class Post(Entry):
    """A request to create. `created` is the id of the export that exists since, also when nobody was told of it."""

    body: Any = None
    impersonate: str | None = None
    token_ok: bool = False
    created: str | None = None


@dataclass(slots=True, kw_only=True)
class Poll(Entry):
    """A request for an export's state. `state` is what the export was in truth, whatever a fault told."""

    export: str
    impersonate: str | None = None
    token_ok: bool = False
    state: str | None = None


@dataclass(slots=True, kw_only=True)
class Download(Entry):
    """A request to the file host. `headers` are those of the request, lower case; `sent` counts bytes of the body.

    `ended` is when the last of them was handed to the network; None when that never came.
    """

    export: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    ended: float | None = None

    @property
    def credentials(self) -> bool:
        """Whether it came with what does not belong on this host."""
        return "authorization" in self.headers or "cookie" in self.headers


class Ledger:
    """All entries, and what follows from them."""

    def __init__(self, early_grace: float) -> None:
        self.posts: list[Post] = []
        self.polls: list[Poll] = []
        self.downloads: list[Download] = []
        self.strays: list[Entry] = []
        self.unfinished_peak = 0
        self.early_grace = early_grace
        self._announced: deque[tuple[float, float]] = deque()

    def announce(self, now: float, until: float) -> None:
        """Note that a client was told to come back at `until`, not earlier."""
        # One that ends no later than an older one forbids nothing more; so both columns of the queue only rise.
        if not self._announced or until > self._announced[-1][1]:
            self._announced.append((now, until))

    def early(self, now: float) -> float | None:
        """How long ago the oldest announcement was made that still forbids a request; None when none does."""
        while self._announced and self._announced[0][1] <= now:
            self._announced.popleft()
        return now - self._announced[0][0] if self._announced else None

    @property
    def api(self) -> list[Entry]:
        """All requests to the API host in the order of their arrival."""
        return sorted([*self.posts, *self.polls, *self.strays], key=lambda entry: entry.at)

    @property
    def created(self) -> list[str]:
        """The ids of all exports that were created, in order."""
        return [post.created for post in self.posts if post.created is not None]

    @property
    def throttled(self) -> int:
        """429s given, planted ones too."""
        return sum(entry.status == 429 for entry in self.api)

    @property
    def early_requests(self) -> list[Entry]:
        """Requests to the API host inside an announced Retry-After, later than the grace after its announcement."""
        return [entry for entry in self.api if entry.early is not None and entry.early >= self.early_grace]

    @property
    def requests_per_second_peak(self) -> int:
        """The most requests to the API host within any one second."""
        window: deque[float] = deque()
        peak = 0
        for entry in self.api:
            window.append(entry.at)
            while window[0] <= entry.at - 1:
                window.popleft()
            peak = max(peak, len(window))
        return peak

    @property
    def with_credentials(self) -> int:
        """Requests to the file host that carried Authorization or a cookie."""
        return sum(download.credentials for download in self.downloads)

    def as_json(self) -> dict[str, Any]:
        """What GET /_sim/stats answers."""
        return {
            "schema": "orchestrator.simulator/1",
            "counts": {
                "posts": len(self.posts),
                "polls": len(self.polls),
                "downloads": len(self.downloads),
                "created": len(self.created),
                "throttled": self.throttled,
                "early": len(self.early_requests),
                "with_credentials": self.with_credentials,
                "unfinished_peak": self.unfinished_peak,
                "requests_per_second_peak": self.requests_per_second_peak,
                "bytes_sent": sum(download.sent for download in self.downloads),
            },
            "posts": [dataclasses.asdict(entry) for entry in self.posts],
            "polls": [dataclasses.asdict(entry) for entry in self.polls],
            "downloads": [dataclasses.asdict(entry) for entry in self.downloads],
            "strays": [dataclasses.asdict(entry) for entry in self.strays],
        }
