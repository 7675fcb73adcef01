"""The service's memory: exports and how they fare, the account's limits, and the clock. No HTTP in here."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import heapq
import math
import uuid
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal

from orchestrator.simulator.chance import chance
from orchestrator.simulator.ledger import Ledger
from orchestrator.simulator.question import Question
from orchestrator.simulator.rules import Rules
from orchestrator.simulator.scenario import Outage, Scenario

Fate = Literal["completed", "failed", "stuck", "expire"]


@dataclass(slots=True, kw_only=True, eq=False)
class Export:
    """A created export. Times are seconds since the server started; `ends_at` is when it leaves Processing."""

    id: str
    file_id: str
    owner: str = field(repr=False)
    subject: str = field(repr=False)
    question: Question
    impersonate: str | None
    scenario: Scenario = field(repr=False)
    starts_at: float
    ends_at: float
    fate: Fate
    revision: int = 0

    def status(self, now: float) -> str:
        if now < self.starts_at:
            return "PendingOrExpired"
        if now < self.ends_at or self.fate == "stuck":
            return "Processing"
        if self.fate == "failed":
            return "Failed"
        gone = self.fate == "expire" or (
            self.scenario.expires_after is not None and now >= self.ends_at + self.scenario.expires_after
        )
        return "PendingOrExpired" if gone else "Completed"

    def etag(self) -> str:
        name = repr((self.question.name, self.scenario.seed, self.scenario.encoding, self.revision))
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


class World:
    """Everything that the two listeners share."""

    def __init__(self, scenario: Scenario) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._epoch = dt.datetime.now(tz=dt.UTC).timestamp()
        self.ledger = Ledger(scenario.early_grace)
        self.exports: dict[str, Export] = {}
        self.files: dict[str, Export] = {}
        self._creations: Counter[str] = Counter()
        self._unfinished: list[float] = []
        self._requests = 0
        self.swap(scenario)

    def swap(self, scenario: Scenario) -> None:
        """Go on under another scenario: its rules count from zero and its outages from now. Exports keep their fate."""
        self.scenario = scenario
        self.rules = Rules(scenario.faults, scenario.seed)
        self._swapped_at = self.now()
        self.ledger.early_grace = scenario.early_grace
        self._bucket = float(scenario.rate_limit.burst) if scenario.rate_limit else 0.0
        self._filled_at = self._swapped_at

    def now(self) -> float:
        """Seconds since the server started."""
        return self._loop.time() - self._began

    def elapsed(self) -> float:
        """Seconds since the scenario came into force; outages count from there."""
        return self.now() - self._swapped_at

    def wall(self) -> float:
        """Seconds since the epoch, in step with `now` (also where a test plays the loop's time)."""
        return self._epoch + self.now()

    def outage(self, listener: Literal["api", "files"]) -> Outage | None:
        """The outage that this listener is in, but for those in which nobody listens."""
        elapsed = self.elapsed()
        for outage in self.scenario.outages:
            if outage.mode != "refuse" and outage.covers(listener, elapsed):
                return outage
        return None

    def accepts(self, token: str) -> bool:
        return token in self.scenario.tokens if self.scenario.tokens is not None else bool(token)

    def admit(self) -> bool:
        """Take one request out of the rate limit's bucket; False when it is empty."""
        limit = self.scenario.rate_limit
        if limit is None:
            return True
        now = self.now()
        self._bucket = min(limit.burst, self._bucket + (now - self._filled_at) * limit.per_second)
        self._filled_at = now
        if self._bucket < 1:
            return False
        self._bucket -= 1
        return True

    def latency(self) -> float:
        self._requests += 1
        return self.scenario.latency.seconds(chance(self.scenario.seed, "latency", self._requests))

    def unfinished(self) -> int:
        """Exports that are pending or processing now."""
        now = self.now()
        while self._unfinished and self._unfinished[0] <= now:
            heapq.heappop(self._unfinished)
        return len(self._unfinished)

    def has_room(self) -> bool:
        return self.scenario.max_unfinished is None or self.unfinished() < self.scenario.max_unfinished

    def subject(self, question: Question, impersonate: str | None) -> str:
        """What rules and chance call an export that is yet to be created."""
        return f"{question.name} {impersonate or ''}"

    def create(self, question: Question, impersonate: str | None, token: str, fate: Fate) -> Export:
        subject = self.subject(question, impersonate)
        self._creations[subject] += 1
        subject = f"{subject} {self._creations[subject]}"
        scenario = self.scenario
        now = self.now()
        starts_at = now + scenario.pending.seconds(chance(scenario.seed, "pending", subject))
        ends_at = starts_at + scenario.duration.seconds(chance(scenario.seed, "duration", subject))
        export = Export(
            # Ids come from no seed: a server that was started anew must not know those of its predecessor.
            id=str(uuid.uuid4()),
            file_id=str(uuid.uuid4()),
            owner=token,
            subject=subject,
            question=question,
            impersonate=impersonate,
            scenario=scenario,
            starts_at=starts_at,
            ends_at=ends_at,
            fate=fate,
        )
        self.exports[export.id] = self.files[export.file_id] = export
        heapq.heappush(self._unfinished, float("inf") if fate == "stuck" else ends_at)
        self.ledger.unfinished_peak = max(self.ledger.unfinished_peak, self.unfinished())
        return export

    def announce(self, seconds: float, form: Literal["seconds", "date"]) -> dict[str, str]:
        """Note that a client is told now to wait so long, and give the headers that tell it."""
        now = self.now()
        if form == "seconds":
            self.ledger.announce(now, now + seconds)
            return {"Retry-After": str(int(seconds) if float(seconds).is_integer() else seconds)}
        wall = self.wall()
        until = math.ceil(wall + seconds)  # a date has whole seconds only
        self.ledger.announce(now, now + until - wall)
        return {"Retry-After": formatdate(until, usegmt=True), "Date": formatdate(wall, usegmt=True)}
