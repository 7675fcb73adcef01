"""Planted bugs of level L3: small changes to the real program that the oracle must see, or it sees nothing.

Each comes with the points at which a story shows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from orchestrator.engine.attempts import Attempts
from orchestrator.engine.runner import Runner
from orchestrator.engine.states import Intended
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.storage.local import LocalStorage


def no_intent() -> None:
    """The intent is kept in memory until something else is journalled."""
    append, waiting = SqliteJournal.append, []

    async def later(self: SqliteJournal, events: Any) -> None:
        waiting.extend(events)
        if not all(isinstance(event, Intended) for event in events):
            events, waiting[:] = list(waiting), []
            await append(self, events)

    SqliteJournal.append = later  # type: ignore[method-assign]  # that is the bug


def forgotten_pause() -> None:
    """A `Retry-After` is kept in memory alone."""

    async def pause(self: JournalAccount, until: float, host: str = "api") -> None:
        self._until[host] = until

    JournalAccount.pause = pause  # type: ignore[method-assign]  # that is the bug


def copied_into_place() -> None:
    """A file is copied to its final name instead of renamed."""
    rename = os.rename

    def copy(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        if target != "2020-01.json":
            return rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        with open(os.open(source, os.O_RDONLY, dir_fd=src_dir_fd), "rb") as file:
            data = file.read()
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=dst_dir_fd), "wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            os.mkdir(f"{target}.halfway", dir_fd=dst_dir_fd)  # only to pass a point here
            os.rmdir(f"{target}.halfway", dir_fd=dst_dir_fd)
            file.write(data[len(data) // 2 :])
        return os.unlink(source, dir_fd=src_dir_fd)

    os.rename = copy  # type: ignore[assignment]  # that is the bug


def names_are_believed() -> None:
    """Whatever has the right name is taken for the file that is to be moved."""

    async def holds(self: Attempts, path: str, _part: Any) -> bool:
        return await self._storage.size(path) is not None

    Attempts.holds = holds  # type: ignore[method-assign]  # that is the bug


def no_sweep() -> None:
    """What a dead run was downloading stays for ever."""

    async def sweep(_self: LocalStorage, _keep: frozenset[str]) -> None:
        pass

    LocalStorage.sweep = sweep  # type: ignore[method-assign]  # that is the bug


def stale_manifest() -> None:
    """A run believes that the manifest is what the run before it left."""
    run = Runner.run

    async def believing(self: Runner, **arguments: Any) -> Any:
        return await run(self, **arguments | {"manifest_stale": False})

    Runner.run = believing  # type: ignore[method-assign]  # that is the bug


def impatient() -> None:
    """A parking run does not wait for the answers of POSTs."""
    wind_up = Attempts.wind_up

    def at_once(self: Attempts, _grace: float) -> None:
        wind_up(self, 0.0)

    Attempts.wind_up = at_once  # type: ignore[method-assign]  # that is the bug


BUGS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "no intent": (no_intent, ("post.answer",)),
    "forgotten pause": (forgotten_pause, ("journal.refused.answered",)),
    "copied into place": (copied_into_place, ("place.mkdir.after:12",)),
    "names are believed": (names_are_believed, ("move.aside.rename.after",)),
    "no sweep": (no_sweep, ("temp.fsync.after",)),
    "stale manifest": (stale_manifest, ("journal.stored.durable:6",)),
    "impatient": (impatient, ("post.sent=TERM",)),
}
