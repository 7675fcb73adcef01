"""Disks that stand still and disks that are full: what waits for them, what does not, and what is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading

import anyio
import pytest

from orchestrator.api.resolver import DaemonResolver
from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage import folders
from orchestrator.storage.hashing import HashingFile
from orchestrator.storage.local import BLOCK, THREADS, LocalStorage

DATA = os.urandom(2 * BLOCK + 500)
CALLERS = 40
"""More than any pool has threads."""


@pytest.fixture
async def storage(tmp_path):
    (tmp_path / "state").mkdir()
    async with LocalStorage(tmp_path / "out", tmp_path / "state") as opened:
        yield opened


async def written(storage, data=b"[1]"):
    writer = await storage.create()
    try:
        await writer.write(data)
        await writer.finish()
    finally:
        await writer.close()
    return writer.temp


class Standstill:
    """Stands in for a call that does not come back until `go_on` is set."""

    def __init__(self, real):
        self._real = real
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, *args, **kwargs):
        self.entered.release()
        assert self.go_on.wait(40)
        return self._real(*args, **kwargs)

    async def has(self, callers):
        """Waits until so many callers stand here."""
        async with asyncio.timeout(30):
            for _ in range(callers):
                await asyncio.to_thread(self.entered.acquire)


async def test_a_disk_that_stands_still_holds_up_no_look_up(storage, monkeypatch):
    disk = Standstill(folders.sync_file)
    monkeypatch.setattr(folders, "sync_file", disk)
    writers = [asyncio.create_task(written(storage)) for _ in range(CALLERS)]
    await disk.has(THREADS)
    assert await asyncio.gather(*(DaemonResolver().resolve("localhost", 80) for _ in range(CALLERS)))
    assert not any(task.done() for task in writers)
    disk.go_on.set()
    assert len(set(await asyncio.gather(*writers))) == CALLERS


async def test_looking_into_files_on_such_a_disk_holds_up_nobody_else(storage):
    """asyncio's own pool has but a few threads, and who knows what a library runs there."""
    await storage.place(await written(storage), "f")
    look = Standstill(lambda file: True)
    looks = [asyncio.create_task(storage.inspect("f", look)) for _ in range(CALLERS)]
    await look.has(THREADS)
    assert await asyncio.to_thread(lambda: "answered") == "answered"
    look.go_on.set()
    assert await asyncio.gather(*looks) == [True] * CALLERS


async def test_look_ups_that_hang_hold_up_no_disk(storage, monkeypatch):
    names = Standstill(lambda *args, **kwargs: [])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    look_ups = [asyncio.create_task(DaemonResolver().resolve("slow.invalid")) for _ in range(CALLERS)]
    await names.has(CALLERS)
    await storage.place(await written(storage), "f")
    assert not any(task.done() for task in look_ups)
    names.go_on.set()
    await asyncio.gather(*look_ups)


class Counted:
    """Awaits `work` and counts how often it was woken."""

    def __init__(self, work):
        self._work = work
        self.woken = 0

    def __await__(self):
        steps = self._work.__await__()
        error = None
        while True:
            try:
                waiting = steps.throw(error) if error else steps.send(None)
            except StopIteration as done:
                return done.value
            error = None
            try:
                yield waiting
            except BaseException as thrown:  # noqa: BLE001  handed on
                error = thrown
            self.woken += 1


async def test_a_cancelled_call_that_waits_for_its_thread_does_not_spin(storage, monkeypatch):
    """A cancelled scope knocks at its tasks at every turn of the loop until they are gone, unless they are shielded."""
    temp = await written(storage)
    disk = Standstill(os.rename)
    monkeypatch.setattr(folders.os, "rename", disk)
    call = Counted(storage.place(temp, "f"))

    async def cancel():
        await disk.has(1)
        scope.cancel()
        for _ in range(100):
            await asyncio.sleep(0)
        woken.append(call.woken)
        disk.go_on.set()

    woken = []
    canceller = asyncio.create_task(cancel())
    with anyio.CancelScope() as scope:
        await call
    await canceller
    assert scope.cancelled_caught
    assert woken[0] <= 2


# -------------------------------------------------------------------------------------------------------- no room left


class FullDisk:
    """From the `n`-th call on that needs room on the disk, there is none."""

    def __init__(self, monkeypatch, number, n):
        self._number = number
        self._left = n
        self.refused = False
        for name in ("mkdir", "rename", "fsync"):
            monkeypatch.setattr(folders.os, name, self._needing(getattr(os, name)))
        real_open = os.open
        make = self._needing(real_open)
        monkeypatch.setattr(folders.os, "open", lambda path, flags, *args, **kwargs: (make if flags & os.O_CREAT else real_open)(path, flags, *args, **kwargs))  # fmt: skip
        monkeypatch.setattr(HashingFile, "writelines", self._needing(HashingFile.writelines))

    def _needing(self, real):
        def call(*args, **kwargs):
            if threading.current_thread().name.startswith("storage"):
                self._take()
            return real(*args, **kwargs)

        return call

    def _take(self):
        self._left -= 1
        if self._left < 0:
            self.refused = True
            raise OSError(self._number, os.strerror(self._number))


async def story(storage):
    await storage.place(await written(storage, DATA), "a/b/f")
    await storage.write_manifest(Manifest("new"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_a_disk_that_is_full_from_any_call_on_shows_nothing_by_halves(tmp_path, number):
    n = 0
    refused = True
    while refused:
        folder = tmp_path / str(n)
        (folder / "state").mkdir(parents=True)
        async with LocalStorage(folder / "out", folder / "state") as storage:
            await storage.write_manifest(Manifest("old"))
            with pytest.MonkeyPatch.context() as patch:
                disk = FullDisk(patch, number, n)
                try:
                    await story(storage)
                except StorageError as error:
                    assert error.code == "storage.full"
                    assert error.hint
                refused = disk.refused
            assert await storage.size("a/b/f") in ({None, len(DATA)} if refused else {len(DATA)})
            assert (await storage.read_manifest()).job in ({"old", "new"} if refused else {"new"})
            await storage.sweep(frozenset())
            await story(storage)
            assert (folder / "out/a/b/f").read_bytes() == DATA
            assert (await storage.read_manifest()).job == "new"
        n += 1
    assert n > 10
