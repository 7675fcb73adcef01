"""Files on a local disk (or one that is mounted like one).

A file is written under a temporary name, made durable, and renamed: no final name ever shows a part of a file. The
output folder is opened once and held: should it be removed or replaced during a run, writing fails, and no second
folder comes into being in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import secrets
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ParamSpec, Self, TypeVar, TypeVarTuple

from aiofiles.threadpool.binary import AsyncFileIO

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage import folders
from orchestrator.storage.folders import Held
from orchestrator.storage.hashing import HashingFile
from orchestrator.storage.manifest import NAME, decode, encode
from orchestrator.storage.names import temp_name
from orchestrator.storage.refusals import Place, refusal, refusing
from orchestrator.storage.threads import StoppableFile, settled

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BLOCK = 1024 * 1024
"""Bytes gathered for one write: each is a hop to a thread and back, which small writes would drown in."""

STRETCH = 8 * BLOCK
"""Bytes after which the disk is set to work, so that it writes while more is received and not only in the end."""

THREADS = 4
"""The storage's own, so that slow disks and DNS look-ups (asyncio's default pool) never wait for each other."""

PART = ".part"


class LocalStorage:
    """Implements `Storage` in the folder `root`; an async context manager.

    `state_dir` must exist (`prepare_state`); temporary files lie in it, or in `<root>/.orchestrator/tmp` if `state_dir` is on
    another file system, for only within one is a rename all or nothing. `root` is made if it is missing, and may
    itself be a symbolic link; nothing below it may. With `read_only`, for whoever only looks, nothing is made at all
    and a root that is missing is an empty one.
    """

    def __init__(self, root: Path, state_dir: Path, *, read_only: bool = False) -> None:
        self._path = root
        self._state_dir = state_dir
        self._read_only = read_only
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")
        self._root: Held | None = None
        self._tmp: Held | None = None
        self._mode = 0o600

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def create(self) -> LocalWriter:
        return LocalWriter(self._writable()[1], secrets.token_hex(8) + PART, self._mode, self._pool)

    async def place(self, temp: str, path: str) -> None:
        root, tmp = self._writable()
        await self._run(folders.place, tmp, temp, root, path)

    async def secure(self, path: str) -> None:
        await self._run(folders.secure, self._writable()[0], path)

    async def move(self, source: str, target: str, *, replace: bool = False) -> None:
        await self._run(folders.move, self._writable()[0], source, target, replace)

    async def size(self, path: str) -> int | None:
        return (await self.sizes([path]))[0]

    async def sizes(self, paths: Sequence[str]) -> list[int | None]:
        root = self._root
        if root is None:
            return [None for _ in paths]
        return await self._run(folders.sizes, root, paths)

    async def inspect(self, path: str, look: Callable[[BinaryIO], T]) -> T | None:
        return await self._inspect(self._root, path, look)

    async def inspect_temp(self, temp: str, look: Callable[[BinaryIO], T]) -> T | None:
        return await self._inspect(self._tmp, temp_name(temp), look)

    async def discard(self, temp: str) -> None:
        await self._run(_remove, self._writable()[1], temp_name(temp))

    async def sweep(self, keep: frozenset[str]) -> None:
        await self._run(_sweep, self._writable()[1], keep)

    async def read_manifest(self) -> Manifest | None:
        data = await self.inspect(NAME, lambda file: file.read())
        return None if data is None else await self._run(decode, data, str(self._path / NAME))

    async def write_manifest(self, manifest: Manifest) -> None:
        root, tmp = self._writable()
        temp = secrets.token_hex(8) + PART
        await self._run(lambda: folders.replace(tmp, temp, root, NAME, encode(manifest)))

    def _writable(self) -> tuple[Held, Held]:
        """The open folders: root, and the one of temporary files."""
        if self._root is None or self._tmp is None:
            raise RuntimeError("the storage is not open for writing")
        return self._root, self._tmp

    async def _inspect(self, folder: Held | None, path: str, look: Callable[[BinaryIO], T]) -> T | None:
        if folder is None:
            return None
        stop = threading.Event()
        future = asyncio.get_running_loop().run_in_executor(self._pool, _read, folder, path, look, stop)
        return await settled(future, on_cancel=stop.set)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await settled(asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs)))

    # ---------------------------------------------------------------------------------------- opening, on a thread

    def _open(self) -> None:
        place = Place(str(self._path), "output")
        with refusing("", place):
            if not self._read_only:
                self._path.mkdir(parents=True, exist_ok=True)
            try:
                self._root = Held(os.open(self._path, folders.FOLDER), place)
            except FileNotFoundError:
                if self._read_only:
                    return
                raise
        if not self._read_only:
            _refuse_unwritable(self._root)
            self._tmp = self._open_tmp(self._root)
            self._mode = _usual_mode(self._tmp)

    def _open_tmp(self, root: Held) -> Held:
        place = Place(str(self._state_dir), "state")
        with refusing("", place):
            state = os.open(self._state_dir, folders.FOLDER | os.O_NOFOLLOW)
        try:
            tmp = _tmp_below(Held(state, place), "tmp")
        finally:
            os.close(state)
        if _can_rename(tmp, root):
            return tmp
        os.close(tmp.fd)
        return _tmp_below(root, ".orchestrator/tmp")

    def _close(self) -> None:
        self._pool.shutdown()
        for held in (self._root, self._tmp):
            if held is not None:
                os.close(held.fd)
        self._root = self._tmp = None


class LocalWriter:
    """Implements `Writer`. After a write that failed, only `restart` makes it of use again, and after `finish` nothing does.

    One block is on its way to the disk while the next is gathered, so what the disk refuses is told by the call after that. The
    file is made with its first block, and the last block goes together with all that completes it: most files have only one, and
    each hop to a thread costs more than what is done there.
    """

    def __init__(self, folder: Held, temp: str, mode: int, pool: ThreadPoolExecutor) -> None:
        self._folder = folder
        self._temp = temp
        self._mode = mode
        self._pool = pool
        self._raw: HashingFile | None = None
        self._file: AsyncFileIO | None = None
        """None before the first block."""
        self._closed = False
        self._gathered: list[bytes] = []
        self._size = 0
        self._under_way: asyncio.Task[None] | None = None
        self._handed = self._sent_off = 0

    @property
    def temp(self) -> str:
        return self._temp

    async def write(self, data: bytes) -> None:
        self._refuse_closed()
        if data:
            self._gathered.append(data)
            self._size += len(data)
        if self._size >= BLOCK:
            await self._hand_over()

    async def restart(self) -> None:
        self._refuse_closed()
        self._gathered, self._size = [], 0
        await self._give_up()
        if self._raw is not None:
            await settled(self._emptied(self._raw))

    async def finish(self) -> str:
        await self._landed()
        self._refuse_closed()
        self._closed = True  # complete or of no use
        return await settled(self._completed(self._taken()))

    async def close(self) -> None:
        await self._give_up()
        if self._file is not None and not self._closed:
            with contextlib.suppress(OSError):  # nothing of it was to be kept
                await settled(self._file.close())
        self._closed = True

    async def _hand_over(self) -> None:
        await self._landed()
        self._under_way = asyncio.ensure_future(self._flushed(self._taken()))

    def _taken(self) -> list[bytes]:
        """What has gathered for the next write."""
        block, self._gathered, self._size = self._gathered, [], 0
        return block

    async def _landed(self) -> None:
        """The block that was under way is written. One that failed stays, so that no later call takes the file for whole."""
        if self._under_way is not None:
            await settled(self._under_way)
            self._under_way = None

    async def _give_up(self) -> None:
        with contextlib.suppress(StorageError):
            await self._landed()
        self._under_way = None

    async def _flushed(self, block: Sequence[bytes]) -> None:
        with refusing(self._temp, self._folder.place):
            file = await self._opened()
            self._handed += sum(map(len, block))
            await file.writelines(block)
            if self._handed - self._sent_off >= STRETCH:
                start, self._sent_off = self._sent_off, self._handed
                await self._hop(folders.send_off, file.fileno(), start, self._handed - start)

    async def _opened(self) -> AsyncFileIO:
        if self._file is None:
            self._raw = await self._hop(_new_file, self._folder.fd, self._temp)
            self._file = AsyncFileIO(self._raw, loop=None, executor=self._pool)
        return self._file

    async def _emptied(self, file: HashingFile) -> None:
        with refusing(self._temp, self._folder.place):
            await self._hop(file.empty)
        self._handed = self._sent_off = 0

    async def _completed(self, block: Sequence[bytes]) -> str:
        with refusing(self._temp, self._folder.place):
            return await self._hop(_complete, self._raw, self._folder.fd, self._temp, block, self._mode)

    async def _hop(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the temporary file is closed")


def _new_file(folder: int, name: str) -> HashingFile:
    return HashingFile(os.open(name, folders.NEW_FILE, 0o600, dir_fd=folder))


def _complete(begun: HashingFile | None, folder: int, name: str, block: Sequence[bytes], mode: int) -> str:
    with begun or _new_file(folder, name) as file:
        file.writelines(block)
        _make_durable(file.fileno(), mode, folder)
    return file.sha256


def _make_durable(fd: int, mode: int, folder: int) -> None:
    os.fchmod(fd, mode)  # written where only we look in, now fit to be seen
    folders.sync_file(fd)
    folders.sync_folder(folder)


def _read(folder: Held, path: str, look: Callable[[BinaryIO], T], stop: threading.Event) -> T | None:
    fd = folders.open_to_read(folder, path)
    if fd is None:
        return None
    with refusing(path, folder.place), io.BufferedReader(StoppableFile(fd, stop), BLOCK) as file:
        return look(file)


def _remove(tmp: Held, temp: str) -> None:
    with refusing(temp, tmp.place), contextlib.suppress(FileNotFoundError):
        os.unlink(temp, dir_fd=tmp.fd)


def _sweep(tmp: Held, keep: frozenset[str]) -> None:
    fd: int = tmp.fd
    with refusing("", tmp.place):
        names = os.listdir(fd)
    for name in names:
        if name.endswith(PART) and name not in keep:
            _remove(tmp, name)


def _tmp_below(start: Held, path: str) -> Held:
    with refusing(path, start.place):
        fd = folders.open_folder(path.split("/"), start, 0o700)
    return Held(fd, Place(start.place.of(path), start.place.folder))


def _refuse_unwritable(root: Held) -> None:
    """Before anything is asked for that could not be stored. To look leaves nothing behind, whenever the process is killed."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=root.fd):
        read_only = os.fstatvfs(root.fd).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise refusal(OSError(number, os.strerror(number)), "", root.place)


def _usual_mode(tmp: Held) -> int:
    """The permissions that new files have here: the umask can't be asked for without changing it for all threads."""
    name = secrets.token_hex(8) + PART
    with refusing(name, tmp.place):
        fd = os.open(name, folders.NEW_FILE, 0o666, dir_fd=tmp.fd)
        try:
            return stat.S_IMODE(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
            os.unlink(name, dir_fd=tmp.fd)


def _can_rename(tmp: Held, root: Held) -> bool:
    """Whether a rename leads from one folder into the other.

    Two mounts of one file system (volumes of a container) share a device and still refuse; Linux says so before it
    looks for the file, so a name that nobody has is enough to ask.
    """
    if os.fstat(tmp.fd).st_dev != os.fstat(root.fd).st_dev:
        return False
    name = secrets.token_hex(8) + PART
    with refusing("", tmp.place):
        try:
            os.rename(name, name, src_dir_fd=tmp.fd, dst_dir_fd=root.fd)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    return False
