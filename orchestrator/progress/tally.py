"""The figures of a run, folded from what the engine tells. Printers read them; this file prints nothing.

Every event costs O(1), however many exports there are, and time is whatever the caller says it is.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Told,
    Troubled,
)
from orchestrator.engine.states import Record, State
from orchestrator.progress.words import label, printable

RATE_WINDOW = 10
"""Seconds over which the throughput is taken."""
ESTIMATE_AFTER = 3
"""Exports that must have finished before an ETA is ventured."""
ESTIMATE_FROM = 10.0
"""Seconds that must have passed before one is: the first finishes come in a burst."""
PROBLEMS_KEPT = 3

# They tell of files that were stored before this run: none of its work.
_BOOKKEEPING = frozenset({"planned", "adopted", "moving", "moved", "superseded"})


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
        self.started_at: float | None = None
        self.outcome: str | None = None
        self.parking: str | None = None
        self.paused_until = 0.0
        self.pause_detail = ""
        self.outages: dict[str, OutageBegan] = {}
        self.requests: Counter[str] = Counter()
        """Requests sent, by kind: `create`, `poll`, `fetch`."""
        self.bytes_received = 0
        """Bytes of files that came over the wire, those of broken transfers included."""
        self.problems: deque[ProblemSeen] = deque(maxlen=PROBLEMS_KEPT)
        self._states: dict[str, State] = {}
        self._counts: Counter[State] = Counter()
        self._labels: dict[str, str] = {}
        self._renamed: set[str] = set()
        self._fetching: set[str] = set()
        self._received: dict[str, int] = {}
        self._seconds: deque[tuple[int, int]] = deque()

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

    def state(self, key: str) -> State | None:
        """The state in which the export was last seen; None if nothing was told of it."""
        return self._states.get(key)

    def label(self, key: str) -> str:
        """The export's name for people; the start of its key while its coordinates were never told."""
        return self._labels.get(key, key[:12])

    def rate(self, now: float) -> float:
        """Bytes a second over the last seconds."""
        self._forget_before(now)
        if not self._seconds:
            return 0.0
        return sum(n for _, n in self._seconds) / max(1.0, now - self._seconds[0][0])

    def remaining(self, now: float) -> float | None:
        """Seconds that the rest may take, at the pace of the run so far; None while nobody can know."""
        finished = self.stored + self.failed
        rest = self.total - finished
        if self.started_at is None or self.outcome is not None or self.parking is not None or self.outages or not rest:
            return None
        elapsed = now - self.started_at
        if finished < ESTIMATE_AFTER or elapsed < ESTIMATE_FROM:
            return None
        return rest * elapsed / finished + max(0.0, self.paused_until - now)

    # -------------------------------------------------------------------------------------------------- events

    def tell(self, told: Told) -> None:
        match told:
            case ExportChanged():
                self._changed(told)
            case RequestSent():
                self._sent(told)
            case BytesReceived():
                self._bytes(told)
            case Troubled():
                self._fetching.discard(told.key)
                self._problem(ProblemSeen(told.at, self.label(told.key), printable(told.message), told.again_at))
            case Paused():
                if told.until > self.paused_until:
                    self.paused_until, self.pause_detail = told.until, printable(told.detail)
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
                self.started_at = told.at
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
        self._enter(key, record.state)
        if record.state is State.FAILED and told.event == "failed":
            self._problem(failure_of(record, told.at))

    def _enter(self, key: str, state: State) -> None:
        before = self._states.get(key)
        if before is not None:
            self._counts[before] -= 1
        self._states[key] = state
        self._counts[state] += 1
        if state is not State.READY:
            self._fetching.discard(key)
        if state in (State.STORED, State.FAILED):  # nothing more is said of it
            self._received.pop(key, None)
            self._labels.pop(key, None)

    def _sent(self, told: RequestSent) -> None:
        self.requests[told.kind] += 1
        # What an earlier run left unfinished says nothing until it changes, but its requests tell where it stands.
        if told.kind == "poll" and told.key not in self._states:
            self._enter(told.key, State.GENERATING)
        if told.kind == "fetch":
            if self._states.get(told.key) is not State.READY:
                self._enter(told.key, State.READY)
            self._fetching.add(told.key)
        else:
            self._fetching.discard(told.key)

    def _bytes(self, told: BytesReceived) -> None:
        before = self._received.get(told.key, 0)
        # Fewer than before: the transfer began anew, and all of these came over the wire once more.
        fresh = told.received - before if told.received >= before else told.received
        self._received[told.key] = told.received
        if self._states.get(told.key) is State.READY:
            self._fetching.add(told.key)
        self.bytes_received += fresh
        second = int(told.at)
        if self._seconds and self._seconds[-1][0] >= second:
            last, n = self._seconds.pop()
            self._seconds.append((last, n + fresh))
        else:
            self._seconds.append((second, fresh))
        self._forget_before(told.at)

    def _forget_before(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - RATE_WINDOW:
            self._seconds.popleft()

    def _problem(self, new: ProblemSeen) -> None:
        # A host in trouble says the same of every export: one line that counts leaves room for what else went wrong.
        for old in self.problems:
            if old.message == new.message and (old.again_at is None) == (new.again_at is None):
                self.problems.remove(old)
                new = replace(new, times=old.times + 1)
                break
        self.problems.append(new)


def failure_of(record: Record, at: float) -> ProblemSeen:
    """Why an export that is failed is so: the first of its parts that says it."""
    failure = next((part.failure for part in record.parts if part.failure is not None), None)
    if failure is None:
        return ProblemSeen(at, label(record.coordinates), "it failed, and no reason was kept", None)
    hint = printable(failure.hint) if failure.hint else None
    return ProblemSeen(at, label(record.coordinates), printable(failure.message), None, hint)
