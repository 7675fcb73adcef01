"""The engine's neighbours, as protocols. Their docstrings are contracts: `tests/contract/` holds every implementation to them.

Each call that reaches the outside makes exactly one attempt. Whether it is made again is the engine's decision, never a
neighbour's. Errors that are part of a contract are values or errors named here; anything else that comes out of a
neighbour is a bug.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol, TypeVar

from orchestrator.content.digest import Digest
from orchestrator.engine.events import Told
from orchestrator.engine.states import Event, Record

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch that never step back or jump within one process.

        The wall clock is read once, at the start; from then on the monotonic clock carries it. Another process may
        have had another idea of the time: nothing may trust a difference between two processes' times blindly.
        """


class Observer(Protocol):
    def tell(self, told: Told) -> None:
        """Hears what the engine does. Must return at once and must not raise."""


# ------------------------------------------------------------------------------------------------------- the service


_EXPIRES = re.compile(r"[?&]Expires=([0-9]{1,15})(?![0-9])")


class SignedUrl:
    """A URL that is a secret: whoever has it has the file. `str`, `repr` and `format` show scheme, host and path only."""

    __slots__ = ("_secret",)

    def __init__(self, url: str) -> None:
        self._secret = url

    def reveal(self) -> str:
        """The URL as it was given, for the one request that needs it."""
        return self._secret

    @property
    def expires_at(self) -> float:
        """When it dies by its own account (`Expires`, seconds since the epoch, loop-api.md); infinity if it does not say."""
        found = _EXPIRES.search(self._secret)
        return float(found[1]) if found else math.inf

    def __str__(self) -> str:
        scheme, slashes, rest = self._secret.partition("?")[0].partition("#")[0].rpartition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"

    def __repr__(self) -> str:
        return f"SignedUrl({str(self)!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signed URL is not to be written anywhere")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service created an export. `status` is what it said of it; it proves nothing."""

    report_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Status:
    """An answer about a report: the status as the service spells it, and the URL if it gave one."""

    status: str
    url: SignedUrl | None = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """404: the report id is unknown, or gone."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """429, or 503 with `Retry-After`: nothing was done. `wait` is in seconds from now, never negative; None if the
    service named no time. `unavailable` marks the 503: the host is alive but serves nobody.
    """

    wait: float | None
    detail: str
    unavailable: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """401, 403 or 451: the account, or this call, is refused. `status` is the HTTP status."""

    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """400: the request itself is at fault. `detail` holds the service's own words, cleaned and shortened."""

    detail: str


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer that can be used: 5xx, reset, timeout, an answer that is not what it should be.

    `sent`: the request may have reached the service (false only if no connection ever opened).
    `trusted`: false if the host may not be the one it should be (a TLS error, an answer that redirects).
    `wait`: what a `Retry-After` asked for, in seconds. `absent`: the host knows no such call (404, 405).
    """

    detail: str
    sent: bool = True
    trusted: bool = True
    wait: float | None = None
    absent: bool = False


CreateAnswer = Accepted | Throttled | Denied | Invalid | Broken
StatusAnswer = Status | NotFound | Throttled | Denied | Broken
# A 400 to a bare report id is no fault of ours: the call's answer is then `Broken`.


class ExportApi(Protocol):
    """The service's two calls. `identity` is the user on whose behalf the call is made, or None.

    Neither raises for anything that the network or the service does. A cancelled call may have reached the service.
    The counters are of requests that really went out, hidden repetitions of the HTTP library included.
    """

    @property
    def posts_sent(self) -> int: ...

    @property
    def gets_sent(self) -> int: ...

    async def create(self, request: Mapping[str, Any], identity: str | None) -> CreateAnswer: ...

    async def get(self, report_id: str, identity: str | None) -> StatusAnswer: ...

    async def renew_credentials(self) -> bool:
        """Reads the token's source once more; true if the token is another one now."""


# ------------------------------------------------------------------------------------------------------------- files


class FileRefused(Exception):
    """The file host refuses this URL (403, 404, 410 …): it has died. `status` is the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the file host answered {status}")
        self.status = status


class FileBroken(Exception):
    """The transfer broke: cut, reset, too slow, 5xx. What was received so far may be gone on from.

    `trusted`: as in `Broken`; an address that file hosts must not have counts as not trusted.
    `wait`: what a `Retry-After` asked for, in seconds. `reached`: the host answered, and the trouble is this file's
    alone (not so a 5xx).
    """

    def __init__(self, detail: str, *, trusted: bool = True, wait: float | None = None, reached: bool = False) -> None:
        super().__init__(detail)
        self.trusted = trusted
        self.wait = wait
        self.reached = reached


@dataclass(frozen=True, slots=True)
class Body:
    """An open answer of the file host."""

    offset: int
    """Where its first byte belongs: the offset asked for if the host resumed (and proved that the file is the same), else 0."""
    length: int | None
    """Bytes that `blocks` will give, None if the host did not say (chunked)."""
    encoding: str | None
    """`Content-Encoding`, lower case; None for identity."""
    content_type: str | None
    validator: str | None
    """A strong ETag by which a later call may resume; None if there is none."""
    blocks: AsyncIterator[bytes]
    """The bytes as sent, undecoded. Raises `FileBroken` unless they arrive exactly as announced: a body with neither
    a length nor chunks is refused before its first byte, for its end can't be told from a cut."""


class Files(Protocol):
    def open(
        self, url: SignedUrl, *, offset: int = 0, validator: str | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """One GET of a signed URL, without credentials, the URL sent as it was given.

        With `offset` and `validator` it asks for the rest only (`Range`, `If-Range`). Raises `FileRefused`, `FileBroken`.
        """


# ----------------------------------------------------------------------------------------------------------- content


class Checker(Protocol):
    """Checks one body while it passes through."""

    @property
    def resumable(self) -> bool:
        """After a cut, feeding may go on at the byte where it stopped."""

    @property
    def inspect(self) -> Callable[[BinaryIO], int | None] | None:
        """What must still be looked at in the finished file: gives its rows, raises `ContentError`."""

    def feed(self, raw: bytes) -> Iterable[bytes]:
        """Takes bytes as received, gives the decoded bytes to store. Raises `ContentError`."""

    def finish(self) -> tuple[int, int | None]:
        """The body is whole: the bytes given, and the rows in them. Raises `ContentError` if its content is not."""


class Contents(Protocol):
    def checker(self, format: str, encoding: str | None, content_type: str | None) -> Checker:  # noqa: A002  the job file's word
        """A checker for one body of `format` (`json` or `xlsx`). Raises `ContentError` for what can't be taken at all."""

    def digest(self, format: str) -> Callable[[BinaryIO], Digest]:  # noqa: A002  the job file's word
        """Reads a whole stored file again with the same checks. The function raises `ContentError`."""


# ----------------------------------------------------------------------------------------------------------- storage


class Writer(Protocol):
    """A temporary file that is being written, known to nobody but the storage under `temp`."""

    @property
    def temp(self) -> str: ...

    async def write(self, data: bytes) -> None:
        """Appends. Small pieces are gathered into blocks; bytes may wait in memory until `finish`, and so may the word that
        the place refused them.
        """

    async def restart(self) -> None:
        """Forgets everything written."""

    async def finish(self) -> str:
        """Everything written is durable under the temporary name when this returns, and the handle is given back: the file is
        complete. Gives the sha256 of it.
        """

    async def close(self) -> None:
        """Gives the handle back, whatever state the file is in, after any write still under way has ended."""


class Storage(Protocol):
    """Where the files go. Paths are relative, with `/`. Every call raises `StorageError` if the place refuses."""

    async def create(self) -> Writer:
        """A new temporary file with a name that nobody else uses. It may come into being only with its first bytes."""

    async def place(self, temp: str, path: str) -> None:
        """Makes a finished temporary file appear at `path`, whole or not at all, durable when this returns.

        Replaces what is there. Folders are made. A symlink in the way is refused.
        """

    async def secure(self, path: str) -> None:
        """The name of a stored file is durable when this returns: a run may have been killed between a rename and that."""

    async def move(self, source: str, target: str, *, replace: bool = False) -> None:
        """Renames a stored file, durable when this returns.

        Refuses to replace another file (`StorageError`) unless `replace` says so.
        """

    async def size(self, path: str) -> int | None:
        """The size of the stored file in bytes; None if there is none."""

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        """`size` of many, in one go."""

    async def inspect(self, path: str, look: Callable[[BinaryIO], T]) -> T | None:
        """What `look` makes of the stored file, read on a thread of the storage's own; None if there is none."""

    async def inspect_temp(self, temp: str, look: Callable[[BinaryIO], T]) -> T | None:
        """The same for a temporary file."""

    async def discard(self, temp: str) -> None:
        """Removes a temporary file; it is no error if there is none."""

    async def sweep(self, keep: frozenset[str]) -> None:
        """Removes all temporary files but those named. Only while the job's lock is held."""

    async def read_manifest(self) -> Manifest | None:
        """The manifest as last written; None if there is none. Raises `StorageError` if it can't be understood."""

    async def write_manifest(self, manifest: Manifest) -> None:
        """Replaces the manifest, whole or not at all."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is stored, as `manifest.json` tells it: the job's name and a JSON object an export (see `engine/manifest.py`)."""

    job: str
    exports: Sequence[Mapping[str, Any]] = ()


# ----------------------------------------------------------------------------------------------------------- journal


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the journal knows when it is opened."""

    records: Mapping[str, Record] = field(default_factory=dict)
    last_run: Mapping[str, Any] | None = None
    """The report of the last run that ended in its own words (`orchestrator.run/1`) without its exports, or None."""
    cut_off_at: float | None = None
    """When the last event came, if no run has told its end since: a run is active, or was killed. None if one has, or
    nobody can tell."""


class Journal(Protocol):
    """The durable record. Only one process writes it at a time: the one that holds the job's lock."""

    async def open(self) -> Snapshot:
        """Raises `JournalError` if a newer version wrote it or its place can't be used."""

    async def append(self, events: Sequence[Event]) -> None:
        """Durable when it returns; all of `events` or none. Many callers' events may share one commit.

        Raises `LeaseLostError` when somebody else has taken the journal over, `StorageError` when its disk refuses,
        `IllegalMove` for what the table of states does not allow (nothing is written then). A caller that is
        cancelled while it waits may or may not find its events written: they are never written in part.
        """

    async def finish_run(self, report: Mapping[str, Any]) -> None:
        """Keeps a run's report."""

    async def close(self) -> None:
        """Leaves the journal as one file. No call may follow."""


class Found(NamedTuple):
    """What a run has learned of an account's limits, for the next one. None: nothing yet."""

    per_second: float | None = None
    unfinished: int | None = None


NOTHING_FOUND = Found()


@dataclass(frozen=True, slots=True)
class Turn:
    """Times are seconds since the epoch."""

    at: float
    """When this run may send its next request."""
    closed_until: float
    """Until when some run of the account was asked for silence."""
    others: int
    """Exports that other runs have unfinished."""
    runs: int = 0
    """Other runs of the account that are at work."""
    asked: int = 0
    """Turns that they have taken since this run's one before."""
    blamed: tuple[Blamed, ...] = ()
    """What they have made of refusals since then."""
    found: Found = NOTHING_FOUND
    """The limits as they have found them."""
    free_at: float = 0.0
    """Since when nobody else was to go before, if any are at work: it may be long past."""


How = Literal["surely", "in doubt", "not after all"]
"""How sure a run is of whom it blames; `not after all` takes back what was said of the latest refusal."""


class Blamed(NamedTuple):
    """What a run has made of a refusal, for the other runs of its account. Times are seconds since the epoch."""

    limit: Literal["rate", "cap"]
    how: How
    sent_at: float
    """When the request was sent that was refused."""
    at: float
    beside: int = 0
    """Where the cap is blamed: unfinished exports of the account that it was to be created beside."""


class Shared(Protocol):
    """What runs of one account on one machine share. Returns at once, and never raises."""

    def take(self, now: float, interval: float, unfinished: int, kept: int = 0, found: Found = NOTHING_FOUND) -> Turn:
        """A turn in the row of all requests, after which the next one comes `interval` seconds later.

        Of turns that nobody took in time, so many are `kept` and may still be taken. `unfinished` tells the others how many
        exports this run has under way, `found` what it knows of the limits.
        """

    def tell(self, blamed: Blamed) -> None:
        """For the other runs: what this one has made of a refusal."""

    def stay(self, now: float, unfinished: int) -> int:
        """The run takes no turn, but goes on: its exports are still under way. Gives how many other runs have."""

    def close_until(self, until: float, now: float) -> None:
        """The service asks for silence."""


class Lesson(NamedTuple):
    """An export of a size (`durations.size_of`) was unfinished at the age `low` and finished at `high`, in seconds."""

    size: int
    created_at: float
    """Seconds since the epoch."""
    low: float
    high: float


class Account(Protocol):
    """What is known of an account and its hosts, `api` and `files`. It outlives jobs, and jobs share it."""

    async def paused_until(self, host: str = "api") -> float:
        """Until when the host asked for silence (seconds since the epoch, this process's clock); 0 if it did not."""

    async def pause(self, until: float, host: str = "api") -> None:
        """The host asks for silence. Durable when it returns; a later call never shortens an earlier one."""

    async def lessons(self) -> tuple[Lesson, ...]:
        """How long the latest exports took, oldest first, a few hundred at most."""

    async def learn(self, lessons: Sequence[Lesson]) -> None:
        """Adds to what is known; need not be durable at once."""

    async def found(self) -> Found:
        """The limits as earlier runs have found them."""

    async def keep(self, found: Found) -> None:
        """Replaces the limits by those that are known now; need not be durable at once."""
