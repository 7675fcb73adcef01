"""What is known of each export while a journal is written: in memory for those that something becomes of, else in the file.

Of ten thousand exports a few dozen are under way at a time. The others would be held twice, by the engine and by its journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from orchestrator.engine.states import FINAL, Record, State
from orchestrator.errors import LeaseLostError
from orchestrator.journal.records import record_from_text

AT_REST = FINAL | {State.WAITING}


def lost(why: str) -> LeaseLostError:
    return LeaseLostError(
        f"the journal is not this run's any more: {why}",
        hint="What was journalled is safe. See that one run at a time works on this job, and run again.",
    )


class Shelf(Mapping[str, Record]):
    """Raises `LeaseLostError` for a record that is not in the file as it was last written."""

    def __init__(self, connection: sqlite3.Connection, records: Mapping[str, Record]) -> None:
        self._connection = connection
        self.versions: dict[str, int] = dict(connection.execute("SELECT key, version FROM exports"))
        self._at_work = {key: record for key, record in records.items() if record.state not in AT_REST}

    def __getitem__(self, key: str) -> Record:
        if key in self._at_work:
            return self._at_work[key]
        version = self.versions[key]
        found = self._connection.execute("SELECT version, record FROM exports WHERE key = ?", (key,)).fetchone()
        if found is None or found[0] != version:
            raise lost("its records were changed by another run")
        return record_from_text(found[1])

    def __contains__(self, key: object) -> bool:
        return key in self.versions

    def __iter__(self) -> Iterator[str]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)

    def written(self, changed: Mapping[str, Record]) -> None:
        """These are in the file now."""
        for key, record in changed.items():
            self.versions[key] = self.versions.get(key, 0) + 1
            if record.state in AT_REST:
                self._at_work.pop(key, None)
            else:
                self._at_work[key] = record
