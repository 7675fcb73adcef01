"""What a run has spent its time on, for reports: each export's way through the stages, and requests over time. No I/O.

It hears all that the run tells, and hands it on. Memory does not grow with the run's length: an export has `LONGEST`
stages at the most, and time is cut into `BUCKETS` stretches that become twice as long whenever they are used up.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from orchestrator.engine.events import ExportChanged, Paused, RequestRefused, RequestSent, RunStarted, Told
from orchestrator.engine.ports import Observer
from orchestrator.engine.states import Record, State

BUCKETS = 240
LONGEST = 16
"""Stages kept of one export: of one that is created anew for ever, the first ones and the last one."""


class Stage(IntEnum):
    """What an export is waiting for. It begins when the one before ends."""

    QUEUED = 0
    """To be created: for a place among the unfinished exports, or for the rate."""
    SERVICE = 1
    """The service is at work on it."""
    NOTICE = 2
    """Finished at some moment in here: the last answer that said otherwise was at its begin, the one that told at its end."""
    READY = 3
    """Finished, and waiting for a place among the downloads."""
    TRANSFER = 4
    """Downloaded, checked, and put to its place."""
    END = 5
    """Stored or failed."""


_STAGES: Mapping[State, Stage] = {
    State.WAITING: Stage.QUEUED,
    State.CREATING: Stage.QUEUED,
    State.GENERATING: Stage.SERVICE,
    State.READY: Stage.READY,
    State.VERIFIED: Stage.TRANSFER,
    State.STORED: Stage.END,
    State.FAILED: Stage.END,
    State.SUPERSEDED: Stage.END,
}
_COUNTED = {"create": "posts", "poll": "polls", "fetch": "downloads"}
SERIES = ("posts", "polls", "downloads", "throttled", "bytes", "paused")
"""What is counted over time: requests by kind, refusals (429), bytes when they are stored, seconds of silence asked for."""


class History:
    """Observer of a run that passes on what it hears to `observer`. Times are seconds since the epoch."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._began = 0.0
        self._width = 1.0
        self._series = {name: array("d") for name in SERIES}
        self._pause = (-math.inf, -math.inf)
        self._stages: dict[str, array[float]] = {}
        """Stage and seconds since the run's begin, in turn."""
        self._unfinished: dict[str, float] = {}
        """When an export at the service was last known not to be finished, in seconds since the run's begin."""

    def tell(self, told: Told) -> None:
        match told:
            case RunStarted(at):
                self._began = at
            case RequestSent(at, kind, key):
                self._count(_COUNTED[kind], at)
                if kind == "fetch" and self._stage(key) is Stage.READY:
                    self._enters(key, Stage.TRANSFER, at)
            case RequestRefused(at):
                self._count("throttled", at)
            case Paused(at, until):
                self._pauses(at, until)
            case ExportChanged(at, record, event):
                self._changed(record, event, at)
            case _:
                pass
        self._observer.tell(told)

    def begins(self, record: Record, at: float) -> None:
        """The run works on this export from now on."""
        self._enters(record.key, _STAGES[record.state], at)

    def unfinished(self, key: str, at: float) -> None:
        """The service was still at work on the export then."""
        self._unfinished[key] = at - self._began

    # ---------------------------------------------------------------------------------------------------- stages

    def stages(self, key: str) -> list[tuple[str, float]]:
        """Each stage's name and its begin in seconds since the run's begin; empty for an export that the run did not touch."""
        flat = self._stages.get(key, ())
        return [(Stage(int(flat[n])).name.lower(), round(flat[n + 1], 3)) for n in range(0, len(flat), 2)]

    def _stage(self, key: str) -> Stage | None:
        flat = self._stages.get(key)
        return Stage(int(flat[-2])) if flat else None

    def _changed(self, record: Record, event: str, at: float) -> None:
        before, after = self._stage(record.key), _STAGES[record.state]
        if event == "stored":
            self._count("bytes", at, sum(file.bytes for file in record.stored or ()))
        # What is not worked on yet is taken up with `begins`; a download is ready until it is verified.
        if before is None or after is before or (before, after) == (Stage.TRANSFER, Stage.READY):
            return
        seen = self._unfinished.pop(record.key, None)
        if before is Stage.SERVICE and after is Stage.READY and seen is not None:
            self._enters(record.key, Stage.NOTICE, self._began + seen)
        self._enters(record.key, after, at)

    def _enters(self, key: str, stage: Stage, at: float) -> None:
        flat = self._stages.setdefault(key, array("f"))
        if len(flat) >= 2 * LONGEST:
            del flat[-2:]
        # A moment of the service's clock, or of another attempt, may lie before the stage that it follows.
        after = max(at - self._began, flat[-1] if flat else 0.0)
        flat.extend((stage, after))

    # ------------------------------------------------------------------------------------------------------- time

    def buckets(self, ended: float) -> Sequence[Mapping[str, Any]]:
        """The run from its begin to `ended` in equal stretches: `at` and `seconds` of each, and what was counted in it."""
        self._pauses(ended, ended)
        while (length := math.floor(max(0.0, ended - self._began) / self._width) + 1) > BUCKETS:
            self._coarsen()
        counted = {name: [*series, *([0.0] * (length - len(series)))] for name, series in self._series.items()}
        return [
            {
                "at": n * self._width,
                "seconds": self._width,
                **{
                    name: round(values[n], 3) if name == "paused" else int(values[n])
                    for name, values in counted.items()
                },
            }
            for n in range(length)
        ]

    def _count(self, name: str, at: float, amount: float = 1.0) -> None:
        index = int(max(0.0, at - self._began) / self._width)
        while index >= BUCKETS:
            self._coarsen()
            index //= 2
        series = self._series[name]
        series.extend([0.0] * (index + 1 - len(series)))
        series[index] += amount

    def _coarsen(self) -> None:
        self._width *= 2
        for name, series in self._series.items():
            pairs = zip(series[::2], [*series[1::2], 0.0], strict=False)
            self._series[name] = array("d", map(sum, pairs))

    def _pauses(self, at: float, until: float) -> None:
        """A pause is counted when the next one begins, or the run ends: it may be lengthened, or cut short."""
        began, ends = self._pause
        if at < ends and until > at:
            self._pause = began, max(ends, until)
            return
        self._pause = at, until
        ends = min(ends, at)
        while began < ends:
            seconds = min(ends - began, self._width)
            self._count("paused", began, seconds)
            began += seconds
