"""What comes into a journal while another process writes it, look by look.

Each look is one short reading of what was written since the one before, so it costs the same however long the journal is, and
the writer never waits for it (in WAL mode; without it, for the moment of a look). Nothing is held open in between: the
writer's end must be able to leave the journal as one file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.engine.ports import Snapshot
from orchestrator.engine.states import Event, event_from_json
from orchestrator.journal.account import understood
from orchestrator.journal.reader import load, undisturbed

_Trace: TypeAlias = tuple[str, str, float, str] | None


@dataclass(frozen=True, slots=True)
class News:
    events: Sequence[Event] = ()
    """In their order."""
    account: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the account, by name."""
    last_run: Mapping[str, Any] | None = None
    """The report of a run that has ended since the beginning, without its exports."""
    anew: bool = False
    """It is another journal than before, and `events` are all of its events."""


class Follower:
    """Follows the journal in `state_dir`. Every call raises `JournalError` as `read_snapshot` does."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._seen = 0
        self._last: _Trace = None
        self._runs = 0

    def begin(self, since: float) -> tuple[Snapshot, Sequence[tuple[str, str, float]]]:
        """What is known now, and what has come since that moment: (kind, key, seconds since the epoch) of each event."""

        def look(connection: sqlite3.Connection) -> tuple[Snapshot, list[tuple[str, str, float]]]:
            self._seen, self._runs = _last(connection, "events"), _last(connection, "runs")
            self._last = _trace(connection, self._seen)
            rows = connection.execute("SELECT kind, key, at FROM events WHERE at >= ? ORDER BY seq", (since,))
            return load(connection), list(rows)

        return undisturbed(self._state_dir, look) or (Snapshot(), [])

    def news(self) -> News:
        """What has come since the last look."""
        return undisturbed(self._state_dir, self._look) or News()

    def _look(self, connection: sqlite3.Connection) -> News:
        # Where it was moved aside or taken away, another one may have grown beyond what was seen of it by now.
        anew = _trace(connection, self._seen) != self._last
        if anew:
            self._seen = self._runs = 0
        last = _last(connection, "events")
        rows = connection.execute(
            "SELECT kind, key, part, at, data FROM events WHERE seq > ? ORDER BY seq", (self._seen,)
        )
        events = [event_from_json(kind, key, part, at, json.loads(data)) for kind, key, part, at, data in rows]
        self._seen, self._last = last, _trace(connection, last)
        account = understood(connection.execute("SELECT name, value FROM account"))
        run = connection.execute("SELECT seq, head FROM runs WHERE seq > ? ORDER BY seq DESC LIMIT 1", (self._runs,))
        ended = run.fetchone()
        if ended is not None:
            self._runs = ended[0]
        return News(events, account, json.loads(ended[1]) if ended is not None else None, anew)


def _trace(connection: sqlite3.Connection, seq: int) -> _Trace:
    """What tells the event of that number from any other journal's; None if there is none."""
    found: _Trace = connection.execute("SELECT kind, key, at, data FROM events WHERE seq = ?", (seq,)).fetchone()
    return found


def _last(connection: sqlite3.Connection, table: str) -> int:
    found = connection.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]  # noqa: S608  one of two names above
    return int(found or 0)
