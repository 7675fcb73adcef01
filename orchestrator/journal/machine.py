"""What all runs of one account on this machine share: one row of requests, one gate, one cap on unfinished exports, and what each
has learned of the account's limits.

The service counts by account, not by process: two jobs that run at one time with the same token would together ask twice as
fast as either believes. So each run takes its requests' turns from a small file that all of them lock for an instant. It
holds no token and no data, only times and counts, and lies where the system keeps what is not to outlive it; a run that
can't use it goes on alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import orjson

from orchestrator.engine.ports import NOTHING_FOUND, Blamed, Found, How, Turn

FORGOTTEN = 120.0
"""Seconds after which a run that nothing was heard of is taken for gone."""
LATENESS = 0.05
"""Seconds by which the row may catch up, as a run's own pace may."""
FARTHEST = 60.0
"""Seconds ahead in which a turn is believed."""
AHEAD = 10.0
"""Seconds ahead beyond which what another run has noted was noted by another clock; less is the time that lies between two runs'
looks at the same one.
"""
KEPT = 8
"""Refusals of which the others can hear: who has taken no turn for so long has missed as much else."""
_LARGEST = 64 * 1024


def place(host: str, token: str, environ: Mapping[str, str]) -> Path:
    """The file for an account: in the user's runtime folder, or in one of their own below the one for temporary files."""
    name = hashlib.sha256(f"orchestrator\0{host}\0{token}".encode()).hexdigest()[:32]
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "orchestrator" / f"{name}.json"
    # Not `tempfile.gettempdir`, which tries the folders by writing, and raises when no disk lets it.
    return Path(environ.get("TMPDIR") or "/tmp") / f"orchestrator-{os.getuid()}" / f"{name}.json"  # noqa: S108  see `_open`


def look(path: Path, now: float) -> tuple[int, float]:
    """How many runs of the account are at work on this machine, and until when the service wants silence (0: it does not).

    Only looks: nothing is made, and nobody is held up.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0, 0.0
    try:
        known = _Known.read(fd)
    finally:
        os.close(fd)
    active = [seen for _, seen in known.runs.values() if now - FORGOTTEN < seen < now + FORGOTTEN]
    return len(active), known.pause(now)


class Machine:
    """Implements `Shared` on a file. Never raises: what can't be read or written is as if nobody else were there.

    The last run of an account takes the file away with it, and the folder if nothing else is in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._me = secrets.token_hex(8)
        self._fd: int | None = None
        self._seen_at = 0.0
        self._asked: int | None = None
        """How many turns were taken in all, as of this run's latest; None before its first."""
        self._heard = 0
        """The number of the latest refusal that it has heard of."""

    def take(self, now: float, interval: float, unfinished: int, kept: int = 0, found: Found = NOTHING_FOUND) -> Turn:
        with self._held() as known:
            asked, blamed = self._news(known, now)
            # A turn that lies far ahead was left by a run with another idea of the time.
            farthest = max(FARTHEST, (len(known.runs) + 1) * interval)
            row = known.next if known.next <= now + farthest else now
            known.next = max(row, now - max(LATENESS, kept * interval)) + interval
            others = self._others(known, unfinished, now)
            # Noted as this clock has it: another clock's pause would else begin anew with each turn.
            known.closed_until, known.closed_at = known.pause(now), min(known.closed_at, now)
            runs = len(known.runs) - 1
            theirs = known.found if runs else NOTHING_FOUND
            known.found = Found(found.per_second or theirs.per_second, found.unfinished or theirs.unfinished)
            return Turn(max(row, now), known.closed_until, others, runs, asked, blamed, theirs, row if runs else 0.0)

    def _others(self, known: _Known, unfinished: int, now: float) -> int:
        """Notes this run, and gives how many exports the others have under way; those that were not heard of are forgotten."""
        self._seen_at = now
        known.runs[self._me] = unfinished, now
        known.runs = {name: run for name, run in known.runs.items() if now - FORGOTTEN < run[1] < now + FORGOTTEN}
        return sum(count for name, (count, _) in known.runs.items() if name != self._me)

    def _news(self, known: _Known, now: float) -> tuple[int, tuple[Blamed, ...]]:
        """How many turns the others have taken since this run's latest, which is counted, and what they have made of refusals.

        None before its first: what they had learned by then is in what they have found.
        """
        known.asked += 1
        since, heard = self._asked, self._heard
        self._asked, self._heard = known.asked, known.told
        if since is None:
            return 0, ()
        blamed = (each for n, name, each in known.blamed if n > heard and name != self._me)
        # What another clock has noted can't be compared with what this one has.
        return max(0, known.asked - since - 1), tuple(b for b in blamed if now - FORGOTTEN < b.at < now + AHEAD)

    def tell(self, blamed: Blamed) -> None:
        with self._held() as known:
            known.told += 1
            known.blamed = [*known.blamed[1 - KEPT :], (known.told, self._me, blamed)]

    def stay(self, now: float, unfinished: int) -> int:
        with self._held() as known:
            return self._others(known, unfinished, now)

    def close_until(self, until: float, now: float) -> None:
        with self._held() as known:
            self._seen_at = now
            if until > known.pause(now):
                known.closed_until, known.closed_at = until, now

    def close(self) -> None:
        """The run is over."""
        with self._held() as known:
            known.runs.pop(self._me, None)
            # A pause outlives the runs: some may only be silent, because of it, and the next one must hear of it.
            if not known.runs and not known.pause(self._seen_at):
                with contextlib.suppress(OSError):
                    self._path.unlink()
                    self._path.parent.rmdir()  # unless it holds another account's
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextlib.contextmanager
    def _held(self) -> Iterator[_Known]:
        """What is known, written back at the end. What is done to it is lost if the file can't be used."""
        known = _Known()
        try:
            fd = self._locked()
        except OSError:
            yield known
            return
        try:
            known = _Known.read(fd)
            yield known
            with contextlib.suppress(OSError):
                known.write(fd)
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _locked(self) -> int:
        """The file's descriptor, locked, and surely that of the file that has its name now."""
        while True:
            if self._fd is None:
                self._fd = _open(self._path)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                    return self._fd
            os.close(self._fd)
            self._fd = None


@dataclass(slots=True)
class _Known:
    """What the file says. Times are seconds since the epoch."""

    next: float = 0.0
    closed_until: float = 0.0
    closed_at: float = 0.0
    """When that was said."""
    runs: dict[str, tuple[int, float]] = field(default_factory=dict)
    """For each run its unfinished exports, and when it was seen last."""
    asked: int = 0
    """Turns taken in all."""
    found: Found = NOTHING_FOUND
    """The limits as runs have found them."""
    told: int = 0
    blamed: list[tuple[int, str, Blamed]] = field(default_factory=list)
    """What runs have made of refusals, the latest of so many that were `told`: number, run, what."""
    length: int = _LARGEST
    """Bytes that it said it in, at most."""

    @classmethod
    def read(cls, fd: int) -> _Known:
        """Nothing if the file says what no run has written."""
        try:
            data = os.pread(fd, _LARGEST, 0)
            said = orjson.loads(data)
            runs = {str(name): (int(count), float(seen)) for name, (count, seen) in said["runs"].items()}
            return cls(
                next=float(said["next"]),
                closed_until=float(said["closed_until"]),
                closed_at=float(said["closed_at"]),
                runs=runs,
                asked=int(said["asked"]),
                found=_found(*said["found"]),
                told=int(said["told"]),
                blamed=[(int(n), str(name), _blamed(*what)) for n, name, what in said["blamed"]],
                length=len(data),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return cls()

    def pause(self, now: float) -> float:
        """Until when the service wants silence; 0 if it does not. One that began in the future is another clock's: it lasts as
        long from now.
        """
        until = self.closed_until if self.closed_at <= now + AHEAD else now + self.closed_until - self.closed_at
        return until if until > now else 0.0

    def write(self, fd: int) -> None:
        # Each request comes by here: `asdict` would copy what is only to be read, and take longer than all else together.
        data = orjson.dumps(
            {
                "next": self.next,
                "closed_until": self.closed_until,
                "closed_at": self.closed_at,
                "runs": self.runs,
                "asked": self.asked,
                "found": [*self.found],
                "told": self.told,
                "blamed": [(n, name, [*each]) for n, name, each in self.blamed],
            }
        )
        os.pwrite(fd, data, 0)
        if len(data) < self.length:
            os.ftruncate(fd, len(data))


def _found(per_second: float | None, unfinished: int | None) -> Found:
    """Raises TypeError or ValueError for what can't be limits."""
    if (per_second is not None and not 0 < per_second < math.inf) or (unfinished is not None and unfinished < 1):
        raise ValueError("no limits")
    return Found(per_second and float(per_second), unfinished and int(unfinished))


def _blamed(limit: Literal["rate", "cap"], how: How, sent_at: float, at: float, beside: int) -> Blamed:
    """Raises TypeError or ValueError for what no run has written."""
    if limit not in ("rate", "cap") or how not in get_args(How):
        raise ValueError("no blame")
    return Blamed(limit, how, float(sent_at), float(at), int(beside))


def _open(path: Path) -> int:
    """Raises OSError if the folder is not this user's own: anybody may make one of that name below a shared folder."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{path.parent} belongs to somebody else")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
