"""What a disk's errors mean to a person: each as a `StorageError` with a code and a hint, about a path in full."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import StorageError, said_by_system

_ELSEWHERE = {"output": "change `output.to`", "state": "name another state folder with `--state DIR`"}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, and whether it lies in the output folder or the state folder."""

    path: str
    folder: Literal["output", "state"]

    def of(self, path: str) -> str:
        """The full path of what lies there; of the folder itself for an empty one."""
        return f"{self.path}/{path}" if path else self.path


_FULL = (
    "storage.full",
    "the disk is full",
    "Free some space (or raise the quota) and run again: what is stored stays.",
)
_PERMISSION = (
    "storage.permission",
    "no permission",
    "Give this user the right to write in the {folder} folder, or {elsewhere}; then run again.",
)
_NAME = (
    "storage.name",
    "the file system refuses this name",
    "Shorten the labels of the matrix, or change `output.path` or `output.to`.",
)
_MOVE_AWAY = "Move away what has this name, or change `output.to` or `output.path`; then run again."


def _blocked(meaning: str) -> tuple[str, str, str]:
    return "storage.in-the-way", meaning, _MOVE_AWAY


_MEANINGS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: (
        "storage.full",
        "the file is larger than may be",
        "Raise the limit on the size of files (`ulimit -f`) and run again: what is stored stays.",
    ),
    errno.EROFS: (
        "storage.read-only",
        "the file system is read-only",
        "Mount it writable, or {elsewhere}; then run again.",
    ),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENAMETOOLONG: _NAME,
    errno.EILSEQ: _NAME,
    errno.ENOTDIR: _blocked("a file is where a folder has to be"),
    errno.EISDIR: _blocked("a folder is where a file has to be"),
    errno.EEXIST: _blocked("something else has this name already"),
    errno.ENOTEMPTY: _blocked("a folder that is not empty is in the way"),
    errno.ENOENT: (
        "storage.gone",
        "a file or folder has vanished",
        "Bring the {folder} folder back (was it removed, or unmounted?), and run again.",
    ),
}


def refusal(error: OSError, path: str, place: Place) -> StorageError:
    """`path` is relative to `place`."""
    if error.errno in _MEANINGS:
        code, meaning, hint = _MEANINGS[error.errno]
        told = hint.format(folder=place.folder, elsewhere=_ELSEWHERE[place.folder])
        return StorageError(f"{place.of(path)}: {meaning}", code=code, hint=told, cause=said_by_system(error))
    return StorageError(
        f"{place.of(path)}: the disk, or the connection to it, gave an error",
        code="storage.io",
        cause=said_by_system(error) or str(error),
        hint="Look what the system says of the disk or of its server (`dmesg`), then run again: what is stored stays.",
    )


@contextlib.contextmanager
def refusing(path: str, place: Place) -> Iterator[None]:
    """Gives the system's errors inside as `StorageError`s about `path` in `place`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, path, place) from None


def symlink(path: str) -> StorageError:
    return StorageError(
        f"{path} is a symbolic link, which could lead out of the output folder",
        code="storage.symlink",
        hint="Remove the link and run again. The output folder itself may be a link, but nothing in it.",
    )


def in_the_way(path: str, what: str) -> StorageError:
    return StorageError(
        f"{path} is {what}, and a file is to be stored there", code="storage.in-the-way", hint=_MOVE_AWAY
    )


def missing(path: str) -> StorageError:
    return StorageError(
        f"{path} is not there",
        code="storage.missing",
        hint="Something else has moved or removed it. Run again: the plan sees what there is.",
    )


def exists(path: str) -> StorageError:
    return StorageError(f"{path} exists, and nothing is replaced by a move", code="storage.exists", hint=_MOVE_AWAY)
