"""A disk that forgets: what was not made durable may be gone, torn or there after a power cut, as the seed has it.

It stands beneath the real `LocalStorage`: `SimOs` takes the place of the `os` module in `orchestrator.storage`. A file's
bytes are durable after `fsync` of the file. A name (made, renamed, removed) is durable after `fsync` of its folder; a
rename is one operation on two folders, and is kept or lost as one.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

from orchestrator.storage import folders, local


@dataclass(eq=False)
class File:
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    dirty: bool = False


@dataclass(eq=False)
class Folder:
    entries: dict[str, Any] = field(default_factory=dict)
    durable: dict[str, Any] = field(default_factory=dict)


Change = tuple[Folder, str, "File | Folder | None"]


class SimDisk:
    """What survives the process. `root` is the output folder, `state` the folder of temporary files."""

    def __init__(self) -> None:
        self.root = Folder()
        self.state = Folder()
        self.pending: list[tuple[Change, ...]] = []
        """Operations on names that are not durable yet, oldest first."""

    # ------------------------------------------------------------------------------------------------- for the world

    def files(self, folder: Folder | None = None, prefix: str = "") -> dict[str, bytes]:
        """Everything below the output folder, by path."""
        found = {}
        for name, entry in (folder or self.root).entries.items():
            if isinstance(entry, Folder):
                found.update(self.files(entry, f"{prefix}{name}/"))
            else:
                found[prefix + name] = bytes(entry.data)
        return found

    def put(self, name: str, data: bytes) -> None:
        """Somebody else's file, durable at once (a cache restored)."""
        file = File(bytearray(data), bytes(data))
        self.root.entries[name] = self.root.durable[name] = file

    def remove(self, path: str) -> None:
        """Somebody took it away, durably."""
        *above, name = path.split("/")
        folder = self.root
        for step in above:
            folder = folder.entries[step]
        self.pending = [op for op in self.pending if all(change[:2] != (folder, name) for change in op)]
        del folder.entries[name]
        folder.durable.pop(name, None)

    def forget_state(self) -> None:
        """The state folder was deleted, durably."""
        self.pending = [op for op in self.pending if all(not self._below_state(c[0]) for c in op)]
        self.state = Folder()

    def _below_state(self, folder: Folder) -> bool:
        return folder is self.state or folder in self.state.entries.values()

    def power_cut(self, chance: random.Random) -> None:
        for operation in self.pending:
            if chance.random() < 0.5:
                for folder, name, entry in operation:
                    _set(folder.durable, name, entry)
        self.pending.clear()
        self._settle(self.root, chance)
        self._settle(self.state, chance)

    def _settle(self, folder: Folder, chance: random.Random) -> None:
        folder.entries = dict(folder.durable)
        for entry in folder.entries.values():
            if isinstance(entry, Folder):
                self._settle(entry, chance)
            elif entry.dirty:
                kept = chance.choice((len(entry.durable), len(entry.data), chance.randint(0, len(entry.data))))
                entry.data[:] = entry.durable if kept == len(entry.durable) else entry.data[:kept]
                entry.durable, entry.dirty = bytes(entry.data), False

    # --------------------------------------------------------------------------------------------------- for SimOs

    def change(self, *changes: Change) -> None:
        for folder, name, entry in changes:
            _set(folder.entries, name, entry)
        self.pending.append(changes)

    def sync(self, what: File | Folder) -> None:
        if isinstance(what, File):
            what.durable, what.dirty = bytes(what.data), False
            return
        left = []
        for operation in self.pending:
            if any(folder is what for folder, _, _ in operation):
                for folder, name, entry in operation:
                    _set(folder.durable, name, entry)
            else:
                left.append(operation)
        self.pending = left


def _set(entries: dict[str, Any], name: str, entry: File | Folder | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry


@dataclass
class _Open:
    what: File | Folder
    at: int = 0


Hook = Callable[[str, str], None]
"""Told of each operation before it is done (its name, and the name it is about): may raise OSError or kill."""


class SimOs:
    """The `os` of one process. Flags, errors and everything that touches no file are the real module's."""

    def __init__(self, disk: SimDisk, before: Hook, placed: Callable[[File], None]) -> None:
        self._disk = disk
        self._before = before
        self._placed = placed
        self._fds: dict[int, _Open] = {}
        self._next = 1000

    def __getattr__(self, name: str) -> Any:
        if name.isupper() or name.startswith("O_") or name in ("strerror", "stat_result"):
            return getattr(os, name)
        raise AttributeError(f"the simulated os has no {name}")

    def _new(self, what: File | Folder) -> int:
        self._next += 1
        self._fds[self._next] = _Open(what)
        return self._next

    def _folder(self, fd: int | None) -> Folder:
        what = self._fds[fd].what if fd is not None else None
        assert isinstance(what, Folder)
        return what

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if isinstance(path, SimPath):
            self._before("open", path.name)
            return self._new(self._disk.root if path.name == "root" else self._disk.state)
        folder = self._folder(dir_fd)
        entry = folder.entries.get(path)
        if flags & os.O_CREAT:
            self._before("create", path)
            if entry is not None:
                raise OSError(errno.EEXIST, "exists")
            entry = File()
            self._disk.change((folder, path, entry))
        elif entry is None:
            raise FileNotFoundError(errno.ENOENT, "missing")
        if flags & os.O_DIRECTORY and not isinstance(entry, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "no folder")
        return self._new(entry)

    def close(self, fd: int) -> None:
        if self._fds.pop(fd, None) is None:
            raise OSError(errno.EBADF, "closed")

    def dup(self, fd: int) -> int:
        return self._new(self._fds[fd].what)

    def mkdir(self, name: str, mode: int, *, dir_fd: int) -> None:
        self._before("mkdir", name)
        folder = self._folder(dir_fd)
        if name in folder.entries:
            raise FileExistsError(errno.EEXIST, "exists")
        self._disk.change((folder, name, Folder()))

    def rename(self, source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        old, new = self._folder(src_dir_fd), self._folder(dst_dir_fd)
        entry = old.entries.get(source)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "missing")
        self._before("rename", target)
        self._disk.change((old, source, None), (new, target, entry))
        if not self._disk._below_state(new):
            self._placed(entry)
        self._before("renamed", target)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        folder = self._folder(dir_fd)
        if name not in folder.entries:
            raise FileNotFoundError(errno.ENOENT, "missing")
        self._before("unlink", name)
        self._disk.change((folder, name, None))

    def listdir(self, fd: int) -> list[str]:
        self._before("listdir", "")
        return list(self._folder(fd).entries)

    def stat(self, name: str, *, dir_fd: int, follow_symlinks: bool) -> Any:
        entry = self._folder(dir_fd).entries.get(name)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "missing")
        return _stat(entry)

    def fstat(self, fd: int) -> Any:
        return _stat(self._fds[fd].what)

    def access(self, path: str, mode: int, *, dir_fd: int) -> bool:
        return True

    def fchmod(self, fd: int, mode: int) -> None:
        pass

    def fsync(self, fd: int) -> None:
        what = self._fds[fd].what
        kind = "fsync" if isinstance(what, File) else "fsync folder"
        self._before(kind, "")
        self._disk.sync(what)

    def fdopen(self, fd: int, mode: str, _buffering: int = -1) -> SimHandle:
        return SimHandle(self, fd)

    # ------------------------------------------------------------------------------------------- what handles need

    def write(self, fd: int, data: Any) -> int:
        self._before("write", "")
        handle = self._fds[fd]
        assert isinstance(handle.what, File)
        handle.what.data[handle.at : handle.at + len(data)] = data
        handle.what.dirty = True
        handle.at += len(data)
        return len(data)

    def seek(self, fd: int, at: int) -> None:
        self._fds[fd].at = at

    def truncate(self, fd: int, size: int) -> None:
        self._before("truncate", "")
        what = self._fds[fd].what
        assert isinstance(what, File)
        del what.data[size:]
        what.dirty = True

    def contents(self, fd: int) -> bytes:
        self._before("read", "")
        what = self._fds.pop(fd).what
        assert isinstance(what, File)
        return bytes(what.data)


class SimHandle:
    """What `os.fdopen` gives, as far as the storage uses it."""

    def __init__(self, sim: SimOs, fd: int) -> None:
        self._os = sim
        self._fd = fd

    def write(self, data: bytes) -> int:
        return self._os.write(self._fd, data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def flush(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._os.close(self._fd)


class SimFile:
    """What `HashingFile` is, as far as the storage uses it."""

    def __init__(self, sim: SimOs, fd: int) -> None:
        self._os = sim
        self._fd = fd
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def writelines(self, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        self._os.write(self._fd, data)
        self._sha256.update(data)

    def empty(self) -> None:
        self._os.seek(self._fd, 0)
        self._os.truncate(self._fd, 0)
        self._sha256 = hashlib.sha256()

    def close(self) -> None:
        self._os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._fd


@dataclass(frozen=True)
class SimPath:
    """One of the two folders that the storage is given."""

    name: str

    def mkdir(self, **_: Any) -> None:
        pass

    def __truediv__(self, name: str) -> SimPath:
        return SimPath(f"{self.name}/{name}")

    def __str__(self) -> str:
        return self.name


_REAL = [
    (module, name, getattr(module, name))
    for module, name in (
        (folders, "os"),
        (local, "os"),
        (local, "secrets"),
        (local, "HashingFile"),
        (local, "StoppableFile"),
        (local, "ThreadPoolExecutor"),
    )
]
"""What `install` puts something else in the place of."""


def uninstall() -> None:
    """The storage room has the real disk beneath it again."""
    for module, name, real in _REAL:
        setattr(module, name, real)


def install(sim: SimOs, token: Callable[[int], str]) -> None:
    """Puts `sim` beneath the storage room, for one process."""
    folders.os = sim  # type: ignore[assignment]
    local.os = sim  # type: ignore[assignment]
    local.secrets = SimpleNamespace(token_hex=token)  # type: ignore[assignment]
    local.HashingFile = lambda fd: SimFile(sim, fd)  # type: ignore[assignment,misc]
    local.StoppableFile = lambda fd, stop: io.BytesIO(sim.contents(fd))  # type: ignore[assignment,misc]
    local.ThreadPoolExecutor = lambda *args, **kwargs: SimpleNamespace(shutdown=lambda: None)  # type: ignore[assignment,misc]


def _stat(entry: File | Folder) -> Any:
    if isinstance(entry, Folder):
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755, st_size=0, st_dev=1)
    return SimpleNamespace(st_mode=stat.S_IFREG | 0o644, st_size=len(entry.data), st_dev=1)
