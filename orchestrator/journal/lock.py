"""The job's lock: one run of a job at a time on this machine.

`flock` on a file of its own. The kernel gives it back however the process ends, `kill -9` included, so there are no
stale locks and nothing to clean up. Never the database file: closing a second handle of it would drop SQLite's locks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from orchestrator.engine.ports import Clock
from orchestrator.errors import LockedError, StorageError
from orchestrator.journal.refusals import disk_refusal

NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


LOOKS, BETWEEN = 5, 0.04
"""Tries, and seconds between them: `holder` takes the lock of a killed run for a moment, to see whether it is free."""


class JobLock:
    """A context manager that holds the lock of the job whose state lies in `state_dir` (which must exist)."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._path = state_dir / "lock"
        self._clock = clock
        self._fd: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Raises `LockedError` if another run has it, `StorageError` if the place can't be locked at all."""
        while self._fd is None:
            fd = self._open()
            try:
                self._lock(fd)
                if self._is_current(fd):
                    self._sign(fd)
                    self._fd = fd
            finally:
                if self._fd is None:
                    os.close(fd)

    def release(self) -> None:
        """Gives it back; harmless if it is not held. The file stays: removing it would let two runs hold two files."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):  # who held it is only for messages
                os.ftruncate(fd, 0)
            os.close(fd)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_refusal(error, self._path) from None

    def _lock(self, fd: int) -> None:
        try:
            for _ in range(LOOKS):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                if not _signed_by_the_dead(os.pread(fd, 4096, 0)):
                    break
                time.sleep(BETWEEN)
            raise _locked_by(os.pread(fd, 4096, 0))
        except OSError as error:
            if error.errno not in NO_FLOCK:
                raise disk_refusal(error, self._path) from None
            raise StorageError(
                f"the file system of {self._path} knows no locks, so two runs could not see each other",
                code="storage.no-locks",
                hint="Put the job's state on a local disk with `--state DIR`.",
            ) from None

    def _is_current(self, fd: int) -> bool:
        """Somebody may have removed the file between our opening and locking it: then the lock guards nothing."""
        try:
            return os.path.samestat(os.fstat(fd), self._path.lstat())
        except FileNotFoundError:
            return False

    def _sign(self, fd: int) -> None:
        started = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(holder).encode(), 0)
        except OSError as error:
            raise disk_refusal(error, self._path) from None


class Holder(NamedTuple):
    who: str
    """`pid 123 on host since …`"""
    stop: str
    """How to stop it."""
    since: float
    """Seconds since the epoch."""
    ours: bool
    """It is this process."""


def holder(state_dir: Path) -> str | None:
    """Who holds the job's lock, as `pid 123 on host since …`; None if nobody does. For whoever only looks."""
    found = find_holder(state_dir)
    return found.who if found is not None else None


def find_holder(state_dir: Path) -> Holder | None:
    """All that the lock tells of who holds it; None if nobody does."""
    try:
        fd = os.open(state_dir / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        signed = _signed(os.pread(fd, 4096, 0))
        if signed is None:  # a lock that was given back is unsigned, and need not be tried
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return signed
        else:
            return None  # its holder was killed
    finally:
        os.close(fd)


def _signed(signature: bytes) -> Holder | None:
    """Who signed; None if nobody has."""
    try:
        signed = json.loads(signature)
        pid, host, started = int(signed["pid"]), str(signed["host"]), str(signed["started"])
        since = datetime.fromisoformat(started).timestamp()
        told = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(since))  # as people are told all moments
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    ours = (pid, host) == (os.getpid(), socket.gethostname())
    return Holder(f"pid {pid} on {host} since {told}", f"`kill {pid}` on {host}", since, ours)


def _signed_by_the_dead(signature: bytes) -> bool:
    """Whether the one who signed was killed on this machine: then whoever has the lock only looks at it."""
    try:
        signed = json.loads(signature)
        if signed["host"] != socket.gethostname():
            return False
        os.kill(int(signed["pid"]), 0)
    except ProcessLookupError:
        return True
    except (ValueError, KeyError, TypeError, OSError):
        return False
    return False


def _locked_by(signature: bytes) -> LockedError:
    signed = _signed(signature)
    if signed is None:  # it has the lock but has not signed yet
        return LockedError("another run of this job is active", hint="Wait until it has ended, and run again.")
    if signed.ours:  # a program that uses the library: it is not told to kill itself
        return LockedError(
            f"another run of this job is active: {signed.who}, this very process",
            hint="Wait until it has ended, and run again.",
        )
    return LockedError(
        f"another run of this job is active: {signed.who}",
        hint=f"Wait until it has ended, or stop it ({signed.stop}). The lock frees itself when that process ends.",
    )
