"""The journal in memory, with the promises of the real one: for tests and for simulation.

What is committed lives in a `Disk`, which outlives the journal: a crash is to drop the journal and open a new one on
the same disk. Whoever opens a disk takes its lease.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.engine.ports import Snapshot
from orchestrator.engine.states import Event, Record
from orchestrator.errors import LeaseLostError
from orchestrator.journal.records import event_row, fold, record_from_text, record_text, report_head, to_text


@dataclass(slots=True)
class Disk:
    """Everything as text, as a real disk would have it: what does not survive its JSON form is seen in tests."""

    records: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, int, str, float, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    account: dict[str, str] = field(default_factory=dict)
    lease: object = None


class MemoryJournal:
    """Implements `Journal`, and keeps the account's values (see `account.py`)."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        self.account: dict[str, Any] = {}
        self._records: dict[str, Record] = {}
        self._open = False

    async def open(self) -> Snapshot:
        self.disk.lease = self
        self._open = True
        self._records = {key: record_from_text(text) for key, text in self.disk.records.items()}
        self.account = {name: json.loads(text) for name, text in self.disk.account.items()}
        return Snapshot(dict(self._records), json.loads(self.disk.runs[-1]) if self.disk.runs else None)

    async def append(self, events: Sequence[Event]) -> None:
        await asyncio.sleep(0)  # a cancellation here finds nothing written …
        self._check_lease()
        rows = [event_row(event) for event in events]
        changed = fold(events, self._records.get)
        self._records.update(changed)
        self.disk.records.update((key, record_text(record)) for key, record in changed.items())
        self.disk.events += rows
        await asyncio.sleep(0)  # … and here, everything

    async def finish_run(self, report: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)
        self._check_lease()
        self.disk.runs.append(report_head(report))

    async def remember(self, name: str, value: Any) -> None:
        await asyncio.sleep(0)
        self._check_lease()
        self.note(name, value)

    def note(self, name: str, value: Any) -> None:
        self.account[name] = value
        if self.disk.lease is self:
            self.disk.account[name] = to_text(value)

    async def close(self) -> None:
        self._open = False

    def _check_lease(self) -> None:
        if not self._open:
            raise RuntimeError("the journal is not open")
        if self.disk.lease is not self:
            raise LeaseLostError("the journal is not this run's any more: another run has taken it over")
