"""Progress for pipes and CI: a line at once for what matters, and a heartbeat so that silence means trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from orchestrator.engine.events import (
    ExportChanged,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RunEnded,
    RunStarted,
    Told,
)
from orchestrator.progress import alerts
from orchestrator.progress.tally import Tally, failure_of
from orchestrator.progress.words import a_minute, about, clock, clock_in_zone, count, printable, size, span

HEARTBEAT = 30.0
"""Seconds. Some CI services end a job that says nothing for ten minutes; a person gives up much sooner."""
OVERDUE = 2.0
"""An export at Loop is told of when it takes so many times as long as 95 % of them do."""


class PlainProgress:
    """Observer that writes lines to `stream`. `now` gives seconds since the epoch; times are shown in local time."""

    def __init__(self, stream: TextIO, now: Callable[[], float], *, every: float = HEARTBEAT) -> None:
        self.tally = Tally()
        self._stream = stream
        self._now = now
        self._every = every
        self._pauses = 0
        """Short ones since the last heartbeat, which tells of them."""

    async def beat(self) -> None:
        """Writes the heartbeat, every `every` seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(self._every)
            if self.tally.started_at is not None and self.tally.outcome is None:
                pauses = f", {count(self._pauses, 'short pause')} asked for by the service" if self._pauses else ""
                self._pauses = 0
                self._say(self._now(), f"{heartbeat(self.tally, self._now())}{pauses}")

    def tell(self, told: Told) -> None:
        line = _news(told, self.tally)
        if isinstance(told, Paused) and line is not None and self._is_usual(told):
            self._pauses += 1
            line = None
        self.tally.tell(told)
        if line is not None:
            self._say(told.at, line)
        if isinstance(told, RunEnded):
            self._say(told.at, f"{_ENDINGS.get(told.outcome, told.outcome)}: {heartbeat(self.tally, told.at)}")

    def _is_usual(self, told: Paused) -> bool:
        """The next heartbeat comes soon enough for a pause that is short, and not the first one."""
        return self.tally.paused_until > 0 and told.until - told.at < self._every

    def _say(self, at: float, line: str) -> None:
        # A reader that went away (`| head`, a closed terminal) must not end the run.
        with suppress(OSError, ValueError):
            self._stream.write(f"{clock(at)} {line}\n")
            self._stream.flush()


_ENDINGS = {
    "succeeded": "done",
    "failed": "ended with failures",
    "parked": "parked",
    "refused": "stopped, the service refused the account",
    "unreachable": "stopped, the service could not be reached or trusted",
    "storage": "stopped, the storage refused",
    "bug": "stopped by a bug",
}


def heartbeat(tally: Tally, now: float) -> str:
    """Where the run stands, in one line: `7/24 stored, 5 at Loop, 0 failed, 3.2 MB, 12 exports/min, about 6 min left`."""
    pieces = [f"{count(tally.renamed, 'file')} renamed"] if tally.moves else []
    pieces.append(f"{tally.stored:,}/{tally.total:,} stored")
    stages = (
        ("waiting", tally.waiting),
        ("at Loop", tally.at_loop),
        ("ready or downloading" if tally.from_journal else "ready", tally.ready),
        ("downloading", tally.downloading),
    )
    pieces += [f"{n:,} {name}" for name, n in stages if n]
    pieces.append(f"{tally.failed:,} failed")
    pieces += [f"{tally.refused:,} refused before"] if tally.refused else []
    pieces.append(size(tally.bytes_received))
    if (pace := tally.pace(now)) and tally.outcome is None:
        pieces.append(a_minute(pace))
    remaining = tally.remaining(now)
    if remaining is not None:
        pieces.append(f"{about(remaining)} left")
    for told in tally.outages.values():
        silent, *until = alerts.outage(told, now)
        pieces += [silent, *until] if tally.outcome is None else [silent]
    pieces += alerts.pause(tally, now)
    pieces += _overdue(tally, now)
    latest = tally.problems[-1] if tally.problems and tally.outcome is None else None
    if latest is not None and latest.again_at is not None and latest.again_at >= now:
        pieces.append(f"in trouble: {alerts.problem(latest, now)}")
    return ", ".join(pieces)


def _overdue(tally: Tally, now: float) -> list[str]:
    """The export that is at Loop for longest, if that is longer than can be explained by what is known."""
    longest = tally.learned.longest if tally.learned is not None else None
    if longest is None:
        return []
    return [f"{label} at Loop for {span(age)}" for label, age in tally.slowest(1, now) if age > OVERDUE * longest]


def _news(told: Told, before: Tally) -> str | None:
    """What is said at once of an event, given the figures before it; None for all that can wait for the heartbeat."""
    match told:
        case RunStarted():
            job = printable(told.job)
            rest = [f"{told.skipped:,} need nothing"] if told.skipped else []
            rest += [f"{told.refused:,} refused by the service before"] if told.refused else []
            idle = f" ({', '.join(rest)})" if rest else ""
            renames = f"{count(told.moves, 'file')} to rename, " if told.moves else ""
            return f"{job}: {renames}{count(told.todo, 'export')} to do{idle}"
        case Paused() if told.until >= before.paused_until + 1:
            pause = f"the service asks for silence until {clock_in_zone(told.until, told.at)}, for {span(told.until - told.at)}"
            return f"{pause}: {printable(told.detail)}" if told.detail else pause
        case OutageBegan() if told.host not in before.outages:
            silent = f"{alerts.host_name(told.host)} does not answer: {printable(told.detail)}"
            if before.parking is not None:  # nobody probes any more
                return silent
            return f"{silent}; probing until {clock_in_zone(told.gives_up_at, told.at)}"
        case OutageEnded() if told.host in before.outages:
            lasted = span(told.at - before.outages[told.host].at)
            return f"{alerts.host_name(told.host)} answers again, after {lasted}"
        case ExportChanged(event="failed"):
            seen = failure_of(told.record, told.at)
            hint = f" (hint: {seen.hint})" if seen.hint else ""
            return f"{alerts.problem(seen, told.at)}{hint}"
        case Parking():
            return ", ".join(alerts.parking(printable(told.reason)))
        case _:
            return None
