"""All wants, the budgets and the time give the next action, or the time to look again. Pure.

`Wants` keeps what every part wants, in order of time; `choose` looks at the earliest of each kind only, so a run of
ten thousand exports decides as quickly as one of ten.

The order: verified bytes are placed first (that costs nothing and frees a disk), then free download places are
filled, then the one request that the API's rate allows is given to a creation, for nothing happens on the service that was
not created, but after some creations in a row to a poll. Creations bound themselves by the cap on unfinished exports, and
only polls free that cap; so neither may starve the other.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

from orchestrator.engine.step import Create, Fetch, Place, Poll, Want

Ref = tuple[str, int]
"""A part: the export's key and the part's index."""


class Wants:
    """What every part wants. Entries that a part has since replaced are passed over when they come up."""

    def __init__(self) -> None:
        self._heaps: dict[type[Want], list[tuple[float, int, int, Ref, Want]]] = {
            kind: [] for kind in (Create, Poll, Fetch, Place)
        }
        self._versions: dict[Ref, int] = {}
        self._creations: set[Ref] = set()
        self._due: dict[type[Want], list[tuple[float, int, int, Ref, Want]]] = {Create: [], Fetch: []}
        """Creations and fetches that are due, the most urgent ones first."""
        self._order = itertools.count()

    def put(self, ref: Ref, wants: tuple[Want, ...]) -> None:
        """`ref` wants these now, and nothing else."""
        version = self._versions.get(ref, 0) + 1
        self._versions[ref] = version
        if any(isinstance(want, Create) for want in wants):
            self._creations.add(ref)
        else:
            self._creations.discard(ref)
        for want in wants:
            heapq.heappush(self._heaps[type(want)], (want.at, next(self._order), version, ref, want))

    def drop(self, ref: Ref) -> None:
        """`ref` is done with, for good."""
        self._versions.pop(ref, None)
        self._creations.discard(ref)

    @property
    def creations(self) -> int:
        """How many parts want to be created, now or later."""
        return len(self._creations)

    def first(self, kind: type[Want], now: float) -> tuple[Ref, Want] | None:
        """The earliest want of this kind, or the most urgent one of those that are due: the fetch whose URL dies first, the
        creation of what was begun before, for the run's end waits for its whole duration.
        """
        heap, due = self._heaps[kind], self._due.get(kind)
        if due is None:
            return self._earliest(heap)
        while self._earliest(heap) is not None and heap[0][0] <= now:
            _, order, version, ref, want = heapq.heappop(heap)
            heapq.heappush(due, (_urgency(want), order, version, ref, want))
        return self._earliest(due) or self._earliest(heap)

    def _earliest(self, heap: list[tuple[float, int, int, Ref, Want]]) -> tuple[Ref, Want] | None:
        while heap:
            _, _, version, ref, want = heap[0]
            if self._versions.get(ref) == version:
                return ref, want
            heapq.heappop(heap)
        return None


def _urgency(want: Want) -> float:
    """Of wants of one kind that are due, the least goes first."""
    if isinstance(want, Fetch):
        return want.url.expires_at
    return 0.0 if isinstance(want, Create) and want.again else 1.0


@dataclass(frozen=True, slots=True)
class Budgets:
    """What may be spent at the moment. Times are seconds since the epoch; infinity means: not before something happens."""

    request_at: float
    """When the API host may be sent the next request: its rate, its gate, or the next probe of a host that is down."""
    create_at: float
    """When a place among the unfinished exports is free."""
    fetch_at: float
    """When a download may begin: its places, and the file host's gate or next probe."""
    poll_first: bool
    """A poll's turn, if both a poll and a creation are due."""
    poll_at: float = -math.inf
    """When polls are worth their requests."""
    lost_at: float = math.inf
    """When a turn of the API's rate is lost unless a request goes by then."""


@dataclass(frozen=True, slots=True)
class Go:
    ref: Ref
    want: Want


@dataclass(frozen=True, slots=True)
class Wait:
    until: float
    """Infinity: only something that happens can change the answer."""


def choose(wants: Wants, budgets: Budgets, now: float) -> Go | Wait:
    """The next action, or until when there is none."""
    until = math.inf
    kinds: tuple[type[Want], ...] = (Poll, Create) if budgets.poll_first else (Create, Poll)
    for kind in (Place, Fetch, *kinds):
        first = wants.first(kind, now)
        if first is None:
            continue
        ref, want = first
        allowed = _allowed(kind, budgets)
        at = max(want.at, allowed)
        if isinstance(want, Poll):
            # A turn that nothing else is due at costs nobody anything.
            at = min(at, max(want.early, budgets.lost_at, allowed))
        if at <= now:
            return Go(ref, want)
        until = min(until, at)
    return Wait(until)


def _allowed(kind: type[Want], budgets: Budgets) -> float:
    if kind is Create:
        return max(budgets.request_at, budgets.create_at)
    if kind is Poll:
        return max(budgets.request_at, budgets.poll_at)
    if kind is Fetch:
        return budgets.fetch_at
    return -math.inf
