"""Files below a folder that is held open, reached without ever following a symbolic link.

Every step goes from one open folder to the next (`dir_fd`, `O_NOFOLLOW`): whoever swaps a folder for a link meanwhile
gains nothing. Plain blocking calls, to be made on the storage's own threads. Errors tell paths in full.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.storage.names import segments, temp_name
from orchestrator.storage.refusals import Place, exists, in_the_way, missing, refusing, symlink

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

GATHERED = 256 * 1024
"""Bytes of small pieces that go to the disk in one call."""

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""A reader finds no file there: nothing, something that is no folder on the way, or a link, which is not followed."""

NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
"""How a file system says that a folder can't be synced there."""


@dataclass(frozen=True, slots=True)
class Held:
    """A folder that is held open."""

    fd: int
    place: Place
    durable: set[str] = field(default_factory=set, compare=False)
    """Folders below it whose names are known to be durable: to make sure of them anew with each file costs waits for the disk."""


def place(tmp: Held, temp: str, root: Held, path: str) -> None:
    *folders, name = segments(path)
    temp_name(temp)
    with refusing(path, root.place), _folder(root, folders, make=True) as parent:
        found = _look(parent, name)
        if found is not None:
            _refuse_other(found, root.place.of(path))
        with refusing(temp, tmp.place):
            made = _look(tmp.fd, temp)
        if made is None:
            raise missing(f"{root.place.of(path)}: its temporary file {tmp.place.of(temp)}")
        _refuse_other(made, tmp.place.of(temp))
        # Should a link have come in between, the rename replaces the link itself.
        os.rename(temp, name, src_dir_fd=tmp.fd, dst_dir_fd=parent)
        sync_folder(parent)


def secure(root: Held, path: str) -> None:
    *folders, name = segments(path)
    with refusing(path, root.place), _folder(root, folders, make=True) as parent:
        found = _look(parent, name)
        if found is None:
            raise missing(root.place.of(path))
        _refuse_other(found, root.place.of(path))
        sync_folder(parent)


def move(root: Held, source: str, target: str, replace: bool) -> None:
    *source_folders, source_name = segments(source)
    *target_folders, target_name = segments(target)
    with refusing(source, root.place), contextlib.ExitStack() as stack:
        try:
            old = stack.enter_context(_folder(root, source_folders, make=False))
        except OSError as error:
            if error.errno in ABSENT:
                raise missing(root.place.of(source)) from None
            raise
        found = _look(old, source_name)
        if found is None:
            raise missing(root.place.of(source))
        _refuse_other(found, root.place.of(source))
        with refusing(target, root.place), _folder(root, target_folders, make=True) as new:
            # Looked at and then renamed: only one run of a job is on, so nobody of ours comes in between. A hard link
            # would close the gap for strangers too, but not every file system has them.
            there = _look(new, target_name)
            if there is not None and not replace:
                raise exists(root.place.of(target))
            if there is not None:
                _refuse_other(there, root.place.of(target))
            os.rename(source_name, target_name, src_dir_fd=old, dst_dir_fd=new)
            sync_folder(new)
            sync_folder(old)


def sizes(root: Held, paths: Iterable[str]) -> list[int | None]:
    """None for whatever is no file of its own: nothing there, a folder, a link, something behind a link.

    A folder is gone into once for all paths in it that follow one another, as those of a job mostly do.
    """
    found: list[int | None] = []
    for folder, group in itertools.groupby(map(segments, paths), key=lambda names: names[:-1]):
        names = [name for *_, name in group]
        with refusing("/".join((*folder, names[0])), root.place):
            try:
                with _folder(root, folder, make=False) as parent:
                    looks = [_look(parent, name) for name in names]
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                looks = [None for _ in names]
        found += [look.st_size if look is not None and stat.S_ISREG(look.st_mode) else None for look in looks]
    return found


def open_to_read(root: Held, path: str) -> int | None:
    """A file descriptor; None where `size` gives None."""
    *folders, name = segments(path)
    with refusing(path, root.place):
        try:
            with _folder(root, folders, make=False) as parent:
                # Not to be held up by a pipe of that name.
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None


def replace(tmp: Held, temp: str, root: Held, name: str, data: Iterable[bytes]) -> None:
    """Writes `data`, piece by piece, to `name` in `root`, whole or not at all, by way of `temp` in `tmp`."""
    with refusing(name, root.place):
        found = _look(root.fd, name)
        if found is not None:
            _refuse_other(found, root.place.of(name))
        with refusing(temp, tmp.place):
            fd = os.open(temp, NEW_FILE, 0o666, dir_fd=tmp.fd)
        try:
            with refusing(temp, tmp.place), os.fdopen(fd, "wb", GATHERED) as file:
                file.writelines(data)
                file.flush()
                sync_file(fd)
            os.rename(temp, name, src_dir_fd=tmp.fd, dst_dir_fd=root.fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=tmp.fd)
            raise
        sync_folder(root.fd)


def open_folder(path: Sequence[str], start: Held, mode: int = 0o777) -> int:
    """Opens a folder below `start`, making what is missing of it."""
    with _folder(start, path, make=True, mode=mode) as fd:
        return os.dup(fd)


def sync_file(fd: int) -> None:
    """Durable when it returns."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):  # not every file system has it
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # there, `fsync` stops at the drive's own cache
            return
    os.fsync(fd)


def send_off(fd: int, start: int, size: int) -> None:
    """Asks the system to begin to write these bytes out, where it can be asked, so that `sync_file` finds little left to do.

    Waits for nothing and promises nothing: an error of the disk is told by `sync_file`.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, start, size, os.POSIX_FADV_DONTNEED)


def sync_folder(fd: int) -> None:
    """Names in it are durable when it returns, where the file system can do that."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


@contextlib.contextmanager
def _folder(start: Held, names: Sequence[str], *, make: bool, mode: int = 0o777) -> Iterator[int]:
    fd = os.dup(start.fd)
    try:
        for n, name in enumerate(names):
            deeper = _step(fd, name, start, "/".join(names[: n + 1]), make=make, mode=mode)
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, name: str, start: Held, path: str, *, make: bool, mode: int) -> int:
    try:
        deeper = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            raise
    except OSError as error:
        if not make or error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        found = _look(fd, name)
        if found is not None and stat.S_ISLNK(found.st_mode):
            raise symlink(start.place.of(path)) from None
        raise in_the_way(start.place.of(path), "a file") from None
    else:
        if make and path not in start.durable:
            sync_folder(fd)  # whoever made it may have been killed before this
            start.durable.add(path)
        return deeper
    with contextlib.suppress(FileExistsError):  # another export of this run made it just now
        os.mkdir(name, mode, dir_fd=fd)
    sync_folder(fd)
    start.durable.add(path)
    return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=fd)


def _look(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _refuse_other(found: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise symlink(path)
    if stat.S_ISDIR(found.st_mode):
        raise in_the_way(path, "a folder")
    if not stat.S_ISREG(found.st_mode):
        raise in_the_way(path, "no regular file")
