"""What may be spent at the moment: requests, places among the unfinished exports, downloads. No I/O.

It counts what the run does and turns the count into `choose.Budgets`.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable
from typing import Literal

from orchestrator.engine import backoff
from orchestrator.engine.blame import Blame
from orchestrator.engine.choose import Budgets
from orchestrator.engine.events import OutageBegan, OutageEnded
from orchestrator.engine.finding import CapFinder, RateFinder
from orchestrator.engine.health import Health, Streak
from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import Found, Observer, Shared, Turn
from orchestrator.engine.rate import Rate
from orchestrator.engine.states import Part, State

Host = Literal["api", "files"]

DURATIONS = 300
"""Durations kept: enough for a quantile, few enough to follow a service that changes its pace."""
CREATIONS_IN_A_ROW = 3
"""Creations that go before a poll that is due: they keep the service at work, but only polls free their places."""
_ENOUGH_CREATIONS = 0.36
"""Where such a share of the requests are creations and they fill the rate, it is the rate that holds the run up: polls can
hardly be saved."""
_SMOOTHING = 0.02
"""The weight of a request in that share: some fifty of them count."""
SIGN_EVERY = 30.0
"""Seconds without a turn after which the other runs of the account are told that this one is still at work."""
ENOUGH_TO_LEARN = 5
"""Durations known, from which their 95 % quantile says how long a ghost may run."""


class Spending:
    def __init__(
        self, policy: Policy, observer: Observer, *, found: Found | None = None, shared: Shared | None = None
    ) -> None:
        """`found`: the limits as earlier runs have found them; `shared`: with other runs of the account, if there may be some."""
        found = found or Found()
        self._shared = shared
        self._turn: float | None = None
        self._row = 0.0
        """When the row of all runs would have let the latest request go, if others are at work."""
        self._others = 0
        self.sign_at = math.inf
        """When the other runs of the account are to hear of this one again."""
        self._policy = policy
        self._observer = observer
        self._durations: deque[float] = deque(maxlen=DURATIONS)
        self._health: dict[Host, Health] = {"api": Health(), "files": Health()}
        self._probe_at: dict[Host, float] = {"api": 0.0, "files": 0.0}
        self._told_down: set[Host] = set()
        self.files_closed_until = 0.0
        self._unfinished = 0
        self._ghosts: list[float] = []
        self._creations_in_a_row = 0
        self._creating = 1.0
        """The share of the requests that are creations, of late."""
        limits = policy.limits
        self.pace = RateFinder(limits.requests_per_second, limits.requests_start, found.per_second)
        self.cap = CapFinder(limits.unfinished, limits.unfinished_start, found.unfinished)
        self.places = CapFinder(limits.downloads, limits.downloads_start)
        """For downloads."""
        self.rate = Rate(self.pace)
        self._blame = Blame(self.pace, self.rate.burst, self.cap, None if shared is None else shared.tell)
        self.asking = 0
        """Requests to the API host under way."""
        self.starting = 0
        """Creations decided whose intent is not journalled yet."""
        self.downloading = 0
        self.doubted = False
        """The account may be another one than that of earlier runs: nothing is created until that is known."""
        self.errors = 0
        """Bad answers of the API host."""

    # ---------------------------------------------------------------------------------------------------- budgets

    def budgets(self, now: float) -> Budgets:
        while self._ghosts and self._ghosts[0] <= now:
            heapq.heappop(self._ghosts)
        return Budgets(
            request_at=max(self.rate.next_at(), self._turn or 0.0, self._host_at("api", self.asking)),
            create_at=self._create_at(),
            fetch_at=self._fetch_at(),
            # A probe of a host that is down had better be a GET: it can't leave anything behind.
            poll_first=self._creations_in_a_row >= CREATIONS_IN_A_ROW or self._health["api"].down,
            # What this run leaves of the row of all runs is taken by the others.
            lost_at=math.inf if self._others else self.rate.lost_at(),
        )

    def _host_at(self, host: Host, under_way: int) -> float:
        if not self._health[host].down:
            return -math.inf
        return math.inf if under_way else self._probe_at[host]

    def _create_at(self) -> float:
        if self.doubted:
            return math.inf
        # However many others have under way, one is always this run's: their end is seen by asking about it.
        free = self.cap.most - self.unfinished - self._others
        if free > 0 or not self.unfinished:
            return -math.inf
        return self._ghosts[0] if self._ghosts else math.inf

    def _fetch_at(self) -> float:
        if self.downloading >= self.places.most:
            return math.inf
        return max(self.files_closed_until, self._host_at("files", self.downloading))

    def has_turn(self, now: float, *, creates: bool = False) -> bool:
        """Whether a request may go now, in the row of all runs of the account; it is to go then. `creates`: it is a creation."""
        if self._shared is None:
            return True
        # A turn that has passed while the gate was shut is void, or all runs would go at once when it opens.
        if self._turn is None or self._turn < self.rate.closed_until:
            turn = self._shared.take(
                now, self.rate.gap(now), self.unfinished + creates, self.rate.burst.kept, self.found()
            )
            self._turn, self._others = turn.at, turn.others
            self.rate.burst.alone = not turn.runs
            self._learn(turn, now)
            self.sign_at = now + SIGN_EVERY
            self._row = turn.free_at
            self.rate.close(turn.closed_until, now)
        if max(self._turn, self.rate.closed_until) > now:
            return False
        self._turn = None
        return True

    def sign(self, now: float) -> None:
        """Lets the other runs of the account know of this one, if it is time for that."""
        if self._shared is not None and self.sign_at <= now:
            self._others = self._shared.stay(now, self.unfinished)
            self.sign_at = now + SIGN_EVERY

    def reserve(self, now: float) -> None:
        """A request is decided on."""
        self.rate.reserve(now, self._row)

    def took_turn(self, *, polled: bool) -> None:
        self._creations_in_a_row = 0 if polled else self._creations_in_a_row + 1
        self._creating += _SMOOTHING * ((not polled) - self._creating)

    # ------------------------------------------------------------------------------------------ unfinished exports

    @property
    def unfinished(self) -> int:
        """Places among the unfinished exports that are taken, by creations that have been decided on as well."""
        return self._unfinished + self.starting + len(self._ghosts)

    @property
    def beside(self) -> int:
        """Unfinished exports of the account besides one that this run is about to create."""
        return self.unfinished - 1 + self._others

    def accepted(self, beside: int) -> None:
        """A creation was accepted beside so many unfinished exports."""
        self.cap.accepted(beside)

    def refused(self, now: float, sent_at: float, beside: int | None = None) -> None:
        """The API host answered 429 to a request of that time: a poll, or a creation beside so many unfinished exports."""
        self._blame.refused(now, sent_at, beside)

    def finished(self, now: float, *, waiting: bool) -> None:
        """An export is not generating any more; `waiting`: others are still to be created."""
        held_by_rate = self.pace.presses and self._creating > _ENOUGH_CREATIONS
        self.cap.finished(now, pressed=waiting and not held_by_rate)

    def found(self) -> Found:
        """What this run has learned of the limits."""
        return Found(self.pace.found, self.cap.found)

    def _learn(self, turn: Turn, now: float) -> None:
        """What other runs have done and found; where this one has found a limit itself, it knows better."""
        if turn.found.per_second is not None:
            self.pace.learn(turn.found.per_second)
        if turn.found.unfinished is not None:
            self.cap.learn(turn.found.unfinished)
        self.pace.asked_by_others(turn.asked)
        for blamed in turn.blamed:
            self._blame.heard(blamed, now)

    def changed(self, before: Part | None, after: Part, now: float) -> None:
        """A part's record changed: count what it holds among the unfinished exports."""
        self._unfinished += _held(after) - (_held(before) if before else 0)
        self._haunt(after.ghosts[len(before.ghosts) if before else 0 :], now)

    def left(self, part: Part, now: float) -> None:
        """A part that this run has no work with: what was begun for it may still run on the service."""
        begun = [report.created_at for report in part.live] if part.state is State.GENERATING else []
        if part.intended_at is not None:
            begun.append(part.intended_at)
        self._haunt((*part.ghosts, *begun), now)

    def recall(self, durations: Iterable[float]) -> None:
        """What earlier runs have learned."""
        self._durations.extend(durations)

    def learn(self, duration: float) -> None:
        """An export took so many seconds from its creation to its completion."""
        self._durations.append(duration)

    def _haunt(self, created: Iterable[float], now: float) -> None:
        """These creations hold a place each, for as long as they may run; one in the future is another clock's."""
        for created_at in created:
            heapq.heappush(self._ghosts, min(created_at, now) + self._ghost_time())

    def _ghost_time(self) -> float:
        """Seconds for which a creation that nobody follows may still run on the service."""
        if len(self._durations) < ENOUGH_TO_LEARN:
            return 3 * max(self._policy.polling.first, self._policy.polling.every)
        known = sorted(self._durations)
        return known[math.ceil(0.95 * len(known)) - 1]

    # ------------------------------------------------------------------------------------------------------- hosts

    def health(self, host: Host) -> Health:
        return self._health[host]

    def well(self, host: Host, now: float) -> None:
        """The host gave a usable answer."""
        self._health[host] = self._health[host].answered()
        if host in self._told_down:
            self._told_down.discard(host)
            self._observer.tell(OutageEnded(now, host))

    def badly(self, host: Host, streak: Streak | None, now: float, detail: str) -> Streak:
        """The host gave a bad answer, or none, to a subject whose failures so far are `streak`."""
        health, streak = self._health[host].failed(streak, now, detail)
        self._health[host] = health
        self.errors += host == "api"
        if health.down:
            self._probe_at[host] = now + backoff.probe_wait(self._policy.retry)
            if host not in self._told_down:
                self._told_down.add(host)
                self._observer.tell(OutageBegan(now, host, detail, self.gives_up_at(host)))
        return streak

    def gives_up_at(self, host: Host) -> float:
        """When an outage of this host parks the run; infinity while it answers."""
        health = self._health[host]
        if not health.down or health.bad_since is None:
            return math.inf
        return health.bad_since + self._policy.retry.outage

    def close(self, host: Host, until: float, now: float) -> None:
        """The host asked for silence."""
        if host == "api":
            self.rate.close(until, now)
            if self._shared is not None:
                self._shared.close_until(until, now)
        else:
            self.files_closed_until = max(self.files_closed_until, until)


def _held(part: Part) -> int:
    """Places that a part holds among the unfinished exports (ghosts are counted apart, for they end by time)."""
    generating = len(part.live) if part.state in (State.GENERATING, State.CREATING) else 0
    return generating + (part.state is State.CREATING)
