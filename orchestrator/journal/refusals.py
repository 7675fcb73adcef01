"""What the system's and SQLite's errors mean to a person, as errors of the journal's room."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from orchestrator.errors import JournalError, StorageError, said_by_system

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

ELSEWHERE = "or put the job's state on another disk with `--state DIR`"

OWN_NAME = ".orchestrator"
"""The state folder's name when it lies in the output folder, as it does by default."""


def disk_refusal(error: OSError, path: Path) -> StorageError:
    """The `StorageError` for an error of the system at `path`, a file or folder of the job's state."""
    if error.errno in FULL:
        return full(path, said_by_system(error))
    if error.errno == errno.EROFS:
        return StorageError(
            f"{path} is on a read-only file system",
            code="storage.read-only",
            cause=said_by_system(error),
            hint=f"Mount it writable, {_elsewhere(path)}; then run again.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return StorageError(
            f"no permission to write {path}",
            code="storage.permission",
            cause=said_by_system(error),
            hint=f"Give this user the right to write there, {_elsewhere(path)}; then run again.",
        )
    if error.errno == errno.ELOOP:
        return symlink(path)
    return StorageError(
        f"{path} can't be used",
        code="storage.io",
        hint=f"Look what the system says of that disk (`dmesg`), {ELSEWHERE}; then run again.",
        cause=said_by_system(error) or str(error),
    )


def _elsewhere(path: Path) -> str:
    """Another state folder is of no help to a job whose output folder refuses as well."""
    outputs = [folder.parent for folder in (path, *path.parents) if folder.name == OWN_NAME]
    return ELSEWHERE if all(os.access(output, os.W_OK) for output in outputs) else "or change `output.to`"


def full(path: Path, cause: str | None = None) -> StorageError:
    return StorageError(
        f"the disk is full: {path} can't be written",
        code="storage.full",
        hint=f"Free some space (or raise the quota) and run again, {ELSEWHERE}.",
        cause=cause,
    )


def symlink(path: Path) -> StorageError:
    return StorageError(
        f"{path} is a symbolic link; the job's state must be real files and folders",
        code="storage.symlink",
        hint="Remove the link, or name the real folder with `--state DIR`.",
    )


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 if it is Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def says_full(error: sqlite3.Error) -> bool:
    """The disk has no room. SQLite tells only ENOSPC so; over a quota or a size limit, a write just fails."""
    code = getattr(error, "sqlite_errorcode", 0)
    return primary_code(error) == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE


def write_refusal(error: sqlite3.Error, path: Path) -> StorageError:
    """The `StorageError` for a journal that could not be written."""
    if says_full(error):
        return full(path, str(error))
    return StorageError(
        f"{path} could not be written",
        code="storage.io",
        cause=str(error),
        hint=f"Look what the system says of that disk (`dmesg`), {ELSEWHERE}; then run again: what was journalled before stays.",
    )


def open_refusal(error: sqlite3.Error, path: Path) -> JournalError:
    """The `JournalError` for a journal that is whole, as far as is known, but can't be opened."""
    if primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalError(
            f"{path} is held by another program", hint="Close whatever has it open, and run again.", cause=str(error)
        )
    hint = f"See to its permissions (`ls -l`) and its disk (`dmesg`), {ELSEWHERE}; then run again."
    return JournalError(f"{path} can't be opened", hint=hint, cause=str(error))
