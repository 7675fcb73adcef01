"""Planted bugs of level L3: small changes to the real program that the oracle must see, or it sees nothing.

Each comes with the points at which a story shows it, and the rule that must say so.
"""

from __future__ import annotations

import base64
import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio

from orchestrator.cli import exits
from orchestrator.cli.session import Session
from orchestrator.cli.signals import Signals
from orchestrator.engine import memory
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.rate import Rate
from orchestrator.engine.runner import Runner
from orchestrator.engine.spending import Spending
from orchestrator.engine.states import Created, Intended
from orchestrator.engine.step import NotThere
from orchestrator.engine.transfer import Transfers
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.machine import Machine
from orchestrator.journal.reserve import Reserve
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.storage import folders
from orchestrator.storage.local import LocalStorage
from orchestrator.storage.refusals import Place


def _keeping_back(kind: type) -> None:
    append, waiting = SqliteJournal.append, []

    async def later(self: SqliteJournal, events: Any) -> None:
        waiting.extend(events)
        if not all(isinstance(event, kind) for event in events):
            events, waiting[:] = list(waiting), []
            await append(self, events)

    SqliteJournal.append = later  # type: ignore[method-assign]  # that is the bug


def no_intent() -> None:
    """The intent is kept in memory until something else is journalled."""
    _keeping_back(Intended)


def late_id() -> None:
    """The id of a report is kept in memory until something else is journalled."""
    _keeping_back(Created)


def stored_too_early() -> None:
    """A file is called stored before it is renamed."""
    place, late = LocalStorage.place, []

    async def later(_self: LocalStorage, temp: str, path: str) -> None:
        late.append((temp, path))

    async def manifest(self: LocalStorage, _manifest: Any) -> None:
        while late:
            await place(self, *late.pop(0))

    LocalStorage.place = later  # type: ignore[method-assign]  # that is the bug
    LocalStorage.write_manifest = manifest  # type: ignore[method-assign]  # this, too


def thrown_away() -> None:
    """What a dead run had verified is not looked for."""
    place = Attempts.place

    async def forgetful(self: Attempts, ref: Any, part: Any) -> Any:
        if ref in self._verified_here:
            return await place(self, ref, part)
        await self._storage.discard(part.file.temp)
        return NotThere()

    Attempts.place = forgetful  # type: ignore[method-assign]  # that is the bug


def open_gate() -> None:
    """A `Retry-After` is noted down, and not obeyed."""
    Rate.close = lambda _self, _until, _now: None  # type: ignore[method-assign]  # that is the bug


def no_cap() -> None:
    """As many exports are created as there are."""
    Spending._create_at = lambda _self: -math.inf  # type: ignore[method-assign]  # that is the bug


def forgotten_pause() -> None:
    """A `Retry-After` is kept in memory alone."""

    async def pause(self: JournalAccount, until: float, host: str = "api") -> None:
        self._until[host] = until

    JournalAccount.pause = pause  # type: ignore[method-assign]  # that is the bug
    Machine.close_until = lambda _self, _until, _now: None  # type: ignore[method-assign]  # what other runs know would hide it


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
    """Whatever has the right name is taken for the file that is meant, although a move was under way."""
    memory.disputed = lambda *_: []


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


def all_downloads_at_once() -> None:
    """As many files are fetched as are ready."""
    Spending._fetch_at = lambda _self: -math.inf  # type: ignore[method-assign]  # that is the bug
    Spending._create_at = lambda _self: -math.inf  # type: ignore[method-assign]  # only that many are ready
    fetch = Transfers.fetch

    async def slowly(self: Transfers, *arguments: Any) -> Any:
        await anyio.sleep(1.0 - anyio.current_time() % 1.0)  # only that they meet, however far apart they became ready
        return await fetch(self, *arguments)

    Transfers.fetch = slowly  # type: ignore[method-assign]


def fetched_twice() -> None:
    """A file is fetched once more, to be sure."""
    fetch = Attempts.fetch

    async def again(self: Attempts, *arguments: Any) -> Any:
        await fetch(self, *arguments)
        return await fetch(self, *arguments)

    Attempts.fetch = again  # type: ignore[method-assign]  # that is the bug


def deaf() -> None:
    """A second signal is not obeyed."""
    received = Signals._received

    def once(self: Signals, number: int, frame: Any) -> None:
        if self.first is None:
            received(self, number, frame)

    Signals._received = once  # type: ignore[method-assign]  # that is the bug


def all_is_well() -> None:
    """A parked run ends with status 0."""
    exits._OUTCOMES["parked"] = exits.OK


def token_in_base64() -> None:
    """A header is shown as it is sent."""
    init = Session.__init__

    def shown(self: Session, task: Any, token: str, *more: Any) -> None:
        sys.stderr.write(f"Authorization: Basic {base64.b64encode(b'me:' + token.encode()).decode()}\n")
        init(self, task, token, *more)

    Session.__init__ = shown  # type: ignore[method-assign]  # that is the bug


def url_in_the_journal() -> None:
    """The signed URL is kept for the next run."""
    fetch = Attempts.fetch

    async def keeping(self: Attempts, ref: Any, want: Any, *more: Any) -> Any:
        await self._account._keeper.remember("url", want.url.reveal())  # type: ignore[attr-defined]
        fact = await fetch(self, ref, want, *more)
        await self._account._keeper.remember("url", None)  # type: ignore[attr-defined]
        return fact

    Attempts.fetch = keeping  # type: ignore[method-assign]  # that is the bug


def no_reserve() -> None:
    """The journal has no room left on a full disk."""
    Reserve.release = lambda _self: False  # type: ignore[method-assign]  # that is the bug


def unmapped() -> None:
    """An error of the system is not told as one of the storage."""

    @contextlib.contextmanager
    def refusing(_path: str, _place: Place) -> Iterator[None]:
        yield

    folders.refusing = refusing


BUGS: dict[str, tuple[Callable[[], None], tuple[str, ...], str]] = {
    "no intent": (no_intent, ("post.answer",), "intent before post"),
    "late id": (late_id, ("recall/post.after=TERM",), "ids are kept"),
    "stored too early": (stored_too_early, ("journal.stored.durable",), "stored stays"),
    "thrown away": (thrown_away, ("journal.verified.durable",), "verified files are kept"),
    "forgotten pause": (forgotten_pause, ("journal.refused.answered",), "silence is kept"),
    "open gate": (open_gate, ("unlock.after",), "silence is kept in the run"),
    "no cap": (no_cap, ("unlock.after",), "unfinished is kept"),
    "all downloads at once": (all_downloads_at_once, ("unlock.after",), "downloads at once are kept"),
    "fetched twice": (fetched_twice, ("unlock.after",), "downloads are paid once"),
    "copied into place": (copied_into_place, ("place.mkdir.after:12",), "no final name shows less"),
    "names are believed": (names_are_believed, ("move.aside.rename.after",), "exports are paid once"),
    "no sweep": (no_sweep, ("temp.fsync.after",), "nothing else lies about"),
    "stale manifest": (stale_manifest, ("manifest.before",), "manifest is current"),
    "impatient": (impatient, ("post.sent=TERM",), "a signal doubles nothing"),
    "deaf": (deaf, ("post.sent=TERM+INT",), "a second signal is obeyed at once"),
    "all is well": (all_is_well, ("post.sent=TERM",), "a signal parks"),
    "token in base64": (token_in_base64, ("post.sent",), "secrets stay secret"),
    "URL in the journal": (url_in_the_journal, ("fetch.before:2",), "secrets stay secret"),
    "no reserve": (no_reserve, ("disk.sqlite.write.created=ENOSPC",), "a full disk doubles nothing"),
    "unmapped": (unmapped, ("disk.rename.place=ENOSPC",), "a refusing disk is told"),
}
