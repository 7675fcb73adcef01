"""The figures of a run, folded from what the engine tells. Printers read them; this file prints nothing.

Every event costs O(1), however many exports there are, and time is whatever the caller says it is.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from heapq import nsmallest

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Standing,
    Told,
    Troubled,
)
from orchestrator.engine.states import Record, State
from orchestrator.progress import eta
from orchestrator.progress.meter import Meter
from orchestrator.progress.words import label, printable

RATE_WINDOW = 10.0
"""Seconds over which bytes and requests a second are taken."""
PACE_WINDOW = (60.0, 900.0)
"""The same for exports that are finished: at least, and at most."""
PACE_TURNS = 4
"""How often an export's duration fits into that window: less would see a wave, or the trough between two."""
ESTIMATE_AFTER = 3
"""Exports that must have finished before an ETA is ventured from them alone."""
ESTIMATE_FROM = 10.0
"""Seconds that must have passed before one is: the first finishes come in a burst."""
PROBLEMS_KEPT = 3
FETCHES = 50
"""Downloads whose durations are kept."""
REQUESTS_GUESS = 3.0
"""Requests that an export needs, while hardly any has told: a creation and two polls."""

# They tell of files that were stored before this run: none of its work.
_BOOKKEEPING = frozenset({"planned", "adopted", "moving", "moved", "superseded"})
_UNBEGUN = frozenset({State.WAITING, State.STORED, State.FAILED, State.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class ProblemSeen:
    """Something that went wrong, once or several times in the same words. `at` and `label` are of the last time."""

    at: float
    label: str
    message: str
    again_at: float | None
    """When it is tried again; None if the export has failed for good."""
    hint: str | None = None
    times: int = 1


class Tally:
    """Observer of a run. Counts are of this run's exports, `at` of what it is told is the only clock it knows."""

    def __init__(self) -> None:
        self.job = ""
        self.todo = 0
        self.skipped = 0
        self.moves = 0
        """Files to be renamed."""
        self.refused = 0
        """What the service refused in an earlier run, and is not asked for."""
        self.stored_before = 0
        """Exports of the plan that earlier runs have stored, and that need nothing now. None of this run's work."""
        self.started_at: float | None = None
        self.outcome: str | None = None
        self.parking: str | None = None
        self.paused_until = 0.0
        self.outages: dict[str, OutageBegan] = {}
        self.requests: Counter[str] = Counter()
        """Requests sent, by kind: `create`, `poll`, `fetch`."""
        self.learned: Learned | None = None
        self.from_journal = False
        """What it is told comes from the journal of another process: which files are on their way, nobody says."""
        self.problems: deque[ProblemSeen] = deque(maxlen=PROBLEMS_KEPT)
        self._states: dict[str, State] = {}
        self._counts: Counter[State] = Counter()
        self._labels: dict[str, str] = {}
        self._begun: dict[str, float] = {}
        """When those at Loop were asked for."""
        self._renamed: set[str] = set()
        self._fetching: dict[str, float] = {}
        """Downloads under way, and when they began."""
        self._fetched: deque[float] = deque(maxlen=FETCHES)
        self._received: dict[str, int] = {}
        self._bytes = Meter(RATE_WINDOW)
        self._asked = Meter(RATE_WINDOW)
        self._finished = Meter(PACE_WINDOW[1])
        self._generated = 0
        self._to_the_end = True

    # ------------------------------------------------------------------------------------------------- figures

    @property
    def total(self) -> int:
        """Exports that this run works on."""
        return max(self.todo, len(self._states))

    @property
    def waiting(self) -> int:
        """To be asked for. Those that no event has told of yet are among them."""
        return self.total - len(self._states) + self._counts[State.WAITING]

    @property
    def at_loop(self) -> int:
        """Asked for, and in progress on the service."""
        return self._counts[State.CREATING] + self._counts[State.GENERATING]

    @property
    def ready(self) -> int:
        """Generated; their files wait for a place among the downloads."""
        return self._counts[State.READY] - len(self._fetching)

    @property
    def downloading(self) -> int:
        """Files on their way, up to their final name."""
        return len(self._fetching) + self._counts[State.VERIFIED]

    @property
    def stored(self) -> int:
        return self._counts[State.STORED]

    @property
    def failed(self) -> int:
        return self._counts[State.FAILED]

    @property
    def renamed(self) -> int:
        """Files that have another name now, their labels having changed."""
        return len(self._renamed)

    def label(self, key: str) -> str:
        """The export's name for people; the start of its key while its coordinates were never told."""
        return self._labels.get(key, key[:12])

    @property
    def bytes_received(self) -> int:
        """Bytes of files that came over the wire, those of broken transfers included."""
        return self._bytes.total

    def rate(self, now: float) -> float:
        """Bytes a second over the last seconds."""
        return self._bytes.rate(now)

    def requests_a_second(self, now: float) -> float:
        """To the API host, over the last seconds."""
        return self._asked.rate(now, self.started_at)

    def pace(self, now: float) -> float:
        """Exports that are finished in a second, over the last minutes."""
        return self._finished.rate(now, self._lately(now))

    def _lately(self, now: float) -> float:
        """Since when the run's pace is taken."""
        duration = self.learned.seconds if self.learned is not None else None
        least, most = PACE_WINDOW
        window = min(most, max(least, PACE_TURNS * (duration or 0.0)))
        return max(now - window, self.started_at or 0.0)

    def slowest(self, most: int, now: float) -> list[tuple[str, float]]:
        """Of the exports at Loop those that were asked for first: names, and ages in seconds."""
        oldest = nsmallest(most, self._begun.items(), key=lambda each: each[1])
        return [(self.label(key), now - at) for key, at in oldest]

    def remaining(self, now: float) -> float | None:
        """Seconds that the rest may take; None while nobody can know."""
        rest = self.total - self.stored - self.failed
        if self.started_at is None or not self._to_the_end or not rest:
            return None
        if self.outcome is not None or self.parking is not None or self.outages:
            return None
        pause = max(0.0, self.paused_until - now)
        learned = self.learned
        if learned is not None and learned.seconds is not None:
            return self._reckoned(learned, learned.seconds, now) + pause
        finished, elapsed = self.stored + self.failed, now - self.started_at
        if finished < ESTIMATE_AFTER or elapsed < ESTIMATE_FROM:
            return None
        return rest * elapsed / finished + pause

    def _reckoned(self, learned: Learned, seconds: float, now: float) -> float:
        asked = self.requests["create"] + self.requests["poll"]
        # As if it had been guessed once before: the first export's polls alone are no measure.
        each = (REQUESTS_GUESS + asked) / (1 + self._generated) if self._generated else REQUESTS_GUESS
        return eta.remaining(
            eta.Rest(
                waiting=self.waiting,
                ages=[now - at for at in self._begun.values()],
                coming=self.ready + self.downloading,
                places=learned.unfinished,
                per_second=learned.per_second,
                downloads=learned.downloads,
                seconds=seconds,
                longest=learned.longest or seconds,
                requests=max(1.0, each),
                fetching=sum(self._fetched) / len(self._fetched) if self._fetched else 0.0,
                finished=self._finished.lately(now, self._lately(now)),
                pace=self.pace(now),
            )
        )

    # -------------------------------------------------------------------------------------------------- events

    def tell(self, told: Told) -> None:
        match told:
            case ExportChanged():
                self._changed(told)
            case RequestSent():
                self._sent(told)
            case BytesReceived():
                self._received_bytes(told)
            case Learned():
                self.learned = told
            case Troubled():
                self._fetching.pop(told.key, None)
                self._problem(ProblemSeen(told.at, self.label(told.key), printable(told.message), told.again_at))
            case Paused():
                self.paused_until = max(self.paused_until, told.until)
            case OutageBegan():
                # One that is told again (a later end) still began when it began.
                began = self.outages.get(told.host, told).at
                self.outages[told.host] = replace(told, at=began, detail=printable(told.detail))
            case OutageEnded():
                self.outages.pop(told.host, None)
            case Parking():
                self.parking = printable(told.reason)
            case RunStarted():
                self.job = printable(told.job)
                self.todo, self.skipped, self.moves = told.todo, told.skipped, told.moves
                self.refused = told.refused
                self.started_at, self._to_the_end = told.at, told.to_the_end
                for standing in told.exports:
                    self._found(standing)
            case RunEnded():
                self.outcome = told.outcome
            case _:
                pass  # a kind that a later engine tells is no concern of the figures

    def _changed(self, told: ExportChanged) -> None:
        record, key = told.record, told.record.key
        if told.event == "moved":
            self._renamed.add(key)  # once, though in a ring a file may be moved twice
        if told.event in _BOOKKEEPING and key not in self._states:
            return
        if key not in self._labels or told.event == "planned":
            self._labels[key] = label(record.coordinates)
        before = self._states.get(key)
        if told.event == "verified" and key in self._fetching:
            self._fetched.append(told.at - self._fetching[key])
        self._generated += told.event == "ready"
        self._enter(key, record)
        if record.state in (State.STORED, State.FAILED) and before is not record.state:
            self._finished.add(told.at, 1)
        if record.state is State.FAILED and told.event == "failed":
            self._problem(failure_of(record, told.at))

    def _found(self, standing: Standing) -> None:
        """What an earlier run left begun, or stored, says nothing until it changes."""
        record = standing.record
        self.stored_before += not standing.todo and record is not None and record.stored is not None
        if standing.todo and record is not None and record.state not in _UNBEGUN:
            self._labels[record.key] = label(dict(standing.coordinates))
            self._enter(record.key, record)

    def _enter(self, key: str, record: Record) -> None:
        before, state = self._states.get(key), record.state
        if before is not None:
            self._counts[before] -= 1
        self._states[key] = state
        self._counts[state] += 1
        begun = begun_at(record)
        if begun is None:
            self._begun.pop(key, None)
        else:
            self._begun[key] = begun
        if state is not State.READY:
            self._fetching.pop(key, None)
        if state in (State.STORED, State.FAILED):  # nothing more is said of it
            self._received.pop(key, None)
            self._labels.pop(key, None)

    def _sent(self, told: RequestSent) -> None:
        self.requests[told.kind] += 1
        if told.kind != "fetch":
            self._asked.add(told.at, 1)
            self._fetching.pop(told.key, None)
        elif self._states.get(told.key) is State.READY:
            self._fetching[told.key] = told.at

    def _received_bytes(self, told: BytesReceived) -> None:
        before = self._received.get(told.key, 0)
        # Fewer than before: the transfer began anew, and all of these came over the wire once more.
        fresh = told.received - before if told.received >= before else told.received
        self._received[told.key] = told.received
        self._bytes.add(told.at, fresh)

    def _problem(self, new: ProblemSeen) -> None:
        # A host in trouble says the same of every export: one line that counts leaves room for what else went wrong.
        for old in self.problems:
            if old.message == new.message and (old.again_at is None) == (new.again_at is None):
                self.problems.remove(old)
                new = replace(new, times=old.times + 1)
                break
        self.problems.append(new)


def begun_at(record: Record) -> float | None:
    """When the creation was made that an export waits for at Loop, seconds since the epoch; None if it waits for none."""
    if record.state not in (State.CREATING, State.GENERATING):
        return None
    moments = [report.created_at for part in record.parts if part.state is State.GENERATING for report in part.live]
    moments += [part.intended_at for part in record.parts if part.intended_at is not None]
    return min(moments, default=None)


def failure_of(record: Record, at: float) -> ProblemSeen:
    """Why an export that is failed is so: the first of its parts that says it."""
    failure = next((part.failure for part in record.parts if part.failure is not None), None)
    if failure is None:
        return ProblemSeen(at, label(record.coordinates), "it failed, and no reason was kept", None)
    hint = printable(failure.hint) if failure.hint else None
    return ProblemSeen(at, label(record.coordinates), printable(failure.message), None, hint)
