"""What is true of real files only: permissions, links, cancellation, other file systems."""

import asyncio
import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading

import anyio
import pytest

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage import folders, local
from orchestrator.storage.local import BLOCK, STRETCH, LocalStorage


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
async def storage(out, state):
    async with LocalStorage(out, state) as opened:
        yield opened


async def written(storage, data=b"[1]"):
    writer = await storage.create()
    await writer.write(data)
    await writer.finish()
    await writer.close()
    return writer.temp


async def code_of(call):
    with pytest.raises(StorageError) as raised:
        await call
    assert raised.value.hint
    return raised.value.code


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_unfinished_files_are_ours_alone_and_finished_ones_as_the_umask_says(tmp_path, out, state):
    before = os.umask(0o027)
    try:
        async with LocalStorage(out, state) as storage:
            writer = await storage.create()
            await writer.write(b"x" * BLOCK)
            await writer.write(b"x" * BLOCK)  # by then the first is there
            assert mode(state / "tmp") == 0o700
            assert mode(state / "tmp" / writer.temp) == 0o600
            await writer.finish()
            await writer.close()
            await storage.place(writer.temp, "a/f")
            await storage.write_manifest(Manifest("j"))
            assert mode(out / "a") == 0o750
            assert mode(out / "a" / "f") == 0o640
            assert mode(out / "manifest.json") == 0o640
    finally:
        os.umask(before)


async def test_the_disk_is_set_to_work_while_more_is_received(storage, monkeypatch):
    asked = []
    monkeypatch.setattr(folders, "send_off", lambda fd, start, size: asked.append((start, size)))
    writer = await storage.create()
    for _ in range(2):
        for _ in range(2 * STRETCH // BLOCK + 1):
            await writer.write(b"x" * BLOCK)
        assert asked == [(0, STRETCH), (STRETCH, STRETCH)]
        asked.clear()
        await writer.restart()
    await writer.close()


@pytest.mark.parametrize("system", ["knows it not", "refuses"])
async def test_a_system_that_can_not_be_asked_to_begin_is_no_error(storage, monkeypatch, system):
    if system == "refuses":

        def refuse(*_):
            raise OSError(errno.ESPIPE, "not here")

        monkeypatch.setattr(os, "posix_fadvise", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    data = os.urandom(STRETCH + BLOCK)
    await storage.place(await written(storage, data), "f")
    assert await storage.inspect("f", lambda file: file.read()) == data


async def test_a_small_file_takes_one_hop_to_the_disk(storage, monkeypatch):
    """A job of ten thousand pays for each one more ten thousand times."""
    hops = []
    submit = storage._pool.submit
    monkeypatch.setattr(storage._pool, "submit", lambda *args: hops.append(args) or submit(*args))
    writer = await storage.create()
    await writer.restart()
    await writer.write(b"[1]")
    await writer.finish()
    await writer.close()
    assert len(hops) == 1
    assert await storage.inspect_temp(writer.temp, lambda file: file.read()) == b"[1]"


async def test_nothing_of_ours_is_left_about(storage, out, state):
    await storage.place(await written(storage), "f")
    await storage.write_manifest(Manifest("j"))
    assert sorted(entry.name for entry in out.iterdir()) == ["f", "manifest.json"]
    assert list((state / "tmp").iterdir()) == []


async def test_the_output_folder_may_be_a_link_but_nothing_below_it(tmp_path, state):
    real = tmp_path / "real"
    real.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"theirs")
    link = tmp_path / "link"
    link.symlink_to(real)
    async with LocalStorage(link, state) as storage:
        await storage.place(await written(storage), "f")
        assert (real / "f").read_bytes() == b"[1]"
        (real / "folder").symlink_to(outside)
        (real / "file").symlink_to(outside / "f")
        (real / "manifest.json").symlink_to(outside / "f")
        temp = await written(storage)
        assert await code_of(storage.place(temp, "folder/f")) == "storage.symlink"
        assert await code_of(storage.place(temp, "file")) == "storage.symlink"
        assert await code_of(storage.move("f", "folder/g")) == "storage.symlink"
        assert await code_of(storage.move("f", "file")) == "storage.exists"
        assert await code_of(storage.move("file", "g")) == "storage.symlink"
        assert await code_of(storage.move("folder/f", "g")) == "storage.missing"
        assert await code_of(storage.write_manifest(Manifest("j"))) == "storage.symlink"
        assert await storage.sizes(["folder/f", "file"]) == [None, None]
        assert await storage.inspect("folder/f", lambda file: file.read()) is None
        assert await storage.inspect("file", lambda file: file.read()) is None
        assert await storage.read_manifest() is None
    assert {entry.name: entry.read_bytes() for entry in outside.iterdir()} == {"f": b"theirs"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_is_neither_read_nor_replaced(storage, out, make):
    make(out / "f")
    assert await storage.size("f") is None
    assert await storage.inspect("f", lambda file: file.read()) is None
    assert await code_of(storage.place(await written(storage), "f")) == "storage.in-the-way"


async def test_an_output_folder_that_is_removed_is_not_made_again(storage, out):
    temp = await written(storage)
    out.rmdir()
    assert await code_of(storage.place(temp, "a/f")) == "storage.gone"
    assert await code_of(storage.write_manifest(Manifest("j"))) == "storage.gone"
    assert not out.exists()


async def test_an_output_folder_that_is_a_file(out, state):
    out.write_text("")
    assert await code_of(LocalStorage(out, state).__aenter__()) == "storage.in-the-way"


async def test_a_state_folder_that_is_a_link(out, state, tmp_path):
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(StorageError):
        await LocalStorage(out, tmp_path / "link").__aenter__()


async def test_who_only_looks_makes_nothing(out, tmp_path):
    async with LocalStorage(out, tmp_path / "none", read_only=True) as storage:
        assert await storage.read_manifest() is None
        assert await storage.sizes(["f"]) == [None]
        assert await storage.inspect("f", lambda file: file.read()) is None
        assert await storage.inspect_temp("f.part", lambda file: file.read()) is None
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    (out / "f").write_bytes(b"12")
    async with LocalStorage(out, tmp_path / "none", read_only=True) as storage:
        assert await storage.size("f") == 2
        with pytest.raises(RuntimeError):
            await storage.create()
    assert [entry.name for entry in out.iterdir()] == ["f"]


@pytest.mark.parametrize("how", ["device", "mount"])
async def test_with_the_state_on_another_file_system_temporary_files_stay_near(out, state, monkeypatch, how):
    real_rename, real_fstat = os.rename, os.fstat
    root_device = 77

    def rename(source, target, **fds):
        if not os.path.lexists(out / ".orchestrator"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real_rename(source, target, **fds)

    def fstat(fd):
        found = real_fstat(fd)
        if os.path.samestat(found, os.stat(out)):
            return os.stat_result((*found[:2], root_device, *found[3:]))
        return found

    if how == "mount":
        monkeypatch.setattr(local.os, "rename", rename)
    else:
        monkeypatch.setattr(local.os, "fstat", fstat)
    async with LocalStorage(out, state) as storage:
        temp = await written(storage)
        assert (out / ".orchestrator" / "tmp" / temp).exists()
        assert mode(out / ".orchestrator") == 0o700
        await storage.place(temp, "f")
    assert (out / "f").read_bytes() == b"[1]"


async def test_small_pieces_share_a_hop(storage):
    writer = await storage.create()
    blocks = []
    file = await writer._opened()
    real = file.writelines

    async def writelines(block):
        blocks.append(sum(map(len, block)))
        await real(block)

    file.writelines = writelines
    for _ in range(10_000):
        await writer.write(b"x" * 300)
    await writer.finish()
    await writer.close()
    assert len(blocks) == 2
    assert await storage.inspect_temp(writer.temp, lambda file: len(file.read())) == 3_000_000


async def test_the_next_block_is_gathered_while_one_is_written(storage):
    writer = await storage.create()
    file = await writer._opened()
    real = file.writelines
    disk_moves = asyncio.Event()

    async def writelines(block):
        await disk_moves.wait()
        await real(block)

    file.writelines = writelines
    await writer.write(b"x" * BLOCK)
    await writer.write(b"y" * (BLOCK - 1))
    third = asyncio.create_task(writer.write(b"z"))
    done, _ = await asyncio.wait([third], timeout=0.01)
    assert not done  # two blocks at most are in memory
    disk_moves.set()
    await third
    await writer.finish()
    await writer.close()
    data = b"x" * BLOCK + b"y" * (BLOCK - 1) + b"z"
    assert await storage.inspect_temp(writer.temp, lambda file: file.read()) == data


@pytest.mark.parametrize("then", ["close", "restart"])
async def test_who_gives_up_waits_for_the_block_under_way_and_not_for_its_luck(storage, *, then):
    writer = await storage.create()
    file = await writer._opened()
    ended = []

    async def full(block):
        await asyncio.sleep(0)
        ended.append(block)
        raise OSError(errno.ENOSPC, "No space left on device")

    file.writelines = full
    await writer.write(b"x" * BLOCK)
    await getattr(writer, then)()
    assert ended == [[b"x" * BLOCK]]
    await writer.close()


ERRORS = {
    errno.ENOSPC: "storage.full",
    errno.EDQUOT: "storage.full",
    errno.EFBIG: "storage.full",
    errno.EROFS: "storage.read-only",
    errno.EACCES: "storage.permission",
    errno.EPERM: "storage.permission",
    errno.ENAMETOOLONG: "storage.name",
    errno.EIO: "storage.io",
    errno.ESTALE: "storage.io",
    errno.ENOTCONN: "storage.io",
}


@pytest.mark.parametrize("number", ERRORS)
async def test_what_the_disk_refuses_is_told_with_the_file(storage, out, state, monkeypatch, number):
    temp = await written(storage)

    def refusing(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(folders.os, "rename", refusing)
        for path, call in (
            ("a/f", storage.place(temp, "a/f")),
            ("manifest.json", storage.write_manifest(Manifest("j"))),
        ):
            with pytest.raises(StorageError) as raised:
                await call
            assert raised.value.code == ERRORS[number]
            assert raised.value.message.startswith(f"{out / path}: ")
            assert raised.value.hint
    assert [entry.name for entry in (state / "tmp").iterdir()] == [temp]
    await storage.place(temp, "a/f")


def refuse(monkeypatch, number):
    def refusing(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folders.os, "rename", refusing)
    monkeypatch.setattr(folders.os, "unlink", refusing)


@pytest.mark.parametrize(
    ("number", "right"), [(errno.EACCES, "the right to write"), (errno.EROFS, "Mount it writable")]
)
async def test_the_folder_that_refused_is_told_and_what_helps_there(storage, out, state, monkeypatch, *, number, right):
    temp = await written(storage)
    with monkeypatch.context() as patched:
        refuse(patched, number)
        with pytest.raises(StorageError, match=f"^{out / 'f'}: ") as of_output:
            await storage.place(temp, "f")
        with pytest.raises(StorageError, match=f"^{state / 'tmp' / temp}: ") as of_state:
            await storage.discard(temp)
    assert right in of_output.value.hint
    assert right in of_state.value.hint
    assert "output.to" in of_output.value.hint
    assert "--state" not in of_output.value.hint
    assert "--state DIR" in of_state.value.hint


async def test_temporary_files_in_the_output_folder_are_told_as_such(out, state, monkeypatch):
    monkeypatch.setattr(local, "_can_rename", lambda *_: False)
    async with LocalStorage(out, state) as storage:
        temp = await written(storage)
        with monkeypatch.context() as patched:
            refuse(patched, errno.EACCES)
            with pytest.raises(StorageError, match=f"^{out / '.orchestrator' / 'tmp' / temp}: ") as raised:
                await storage.discard(temp)
    assert "output folder" in raised.value.hint


async def test_an_output_folder_that_can_not_be_written_is_not_opened_for_writing(out, state, monkeypatch):
    out.mkdir()
    monkeypatch.setattr(local.os, "access", lambda *_, **__: False)
    with pytest.raises(StorageError, match=f"^{out}: no permission") as raised:
        async with LocalStorage(out, state):
            pass
    assert raised.value.code == "storage.permission"
    assert list(out.iterdir()) == list(state.iterdir()) == []
    async with LocalStorage(out, state, read_only=True) as storage:
        assert await storage.size("f") is None


async def test_a_folder_that_can_not_be_synced_is_no_error(storage, monkeypatch):
    real = os.fsync

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    monkeypatch.setattr(folders.os, "fsync", fsync)
    await storage.place(await written(storage), "a/f")
    assert await storage.size("a/f") == 3


async def test_what_is_placed_was_made_durable_before(storage, out, monkeypatch):
    """The order that a power cut needs: the bytes, the temporary name, the rename, the folder."""
    done = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd):
        done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_fsync(fd)

    def rename(*args, **kwargs):
        done.append("rename")
        real_rename(*args, **kwargs)

    monkeypatch.setattr(folders.os, "fsync", fsync)
    monkeypatch.setattr(folders.os, "rename", rename)
    temp = await written(storage)
    assert done == ["file", "folder"]
    done.clear()
    await storage.place(temp, "a/f")
    assert done == ["folder", "rename", "folder"]
    done.clear()
    await storage.write_manifest(Manifest("j"))
    assert done == ["file", "rename", "folder"]


async def test_a_folder_is_made_durable_once_whoever_made_it(storage, out, monkeypatch):
    """Whoever made it may have been killed before that; and a wait for the disk with each file in it would be one too many."""
    (out / "theirs").mkdir()
    synced = []
    real = folders.sync_folder

    def sync(fd):
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    temps = [await written(storage) for _ in range(4)]
    monkeypatch.setattr(folders, "sync_folder", sync)
    for temp, path, asked in (
        (temps[0], "theirs/f", [".", "theirs"]),
        (temps[1], "theirs/g", ["theirs"]),
        (temps[2], "theirs/ours/f", ["theirs", "theirs/ours"]),
        (temps[3], "theirs/ours/g", ["theirs/ours"]),
    ):
        await storage.place(temp, path)
        assert synced == [(out / folder).stat().st_ino for folder in asked]
        synced.clear()
    (out / "theirs" / "ours").rename(out / "elsewhere")
    await storage.place(await written(storage), "theirs/ours/f")
    assert (out / "theirs").stat().st_ino in synced


async def test_what_could_not_be_completed_is_never_taken_for_complete(storage, monkeypatch):
    writer = await storage.create()
    await writer.write(b"one")

    def broken(_fd):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(folders, "sync_file", broken)
        assert await code_of(writer.finish()) == "storage.io"
    with pytest.raises(RuntimeError):
        await writer.finish()
    await writer.close()


async def test_a_write_that_failed_is_not_forgotten(storage):
    writer = await storage.create()
    file = await writer._opened()
    real = file.writelines

    async def full(block):
        raise OSError(errno.ENOSPC, "No space left on device")

    file.writelines = full
    await writer.write(b"x" * BLOCK)
    assert await code_of(writer.write(b"x" * BLOCK)) == "storage.full"
    file.writelines = real
    assert await code_of(writer.write(b"y")) == "storage.full"
    assert await code_of(writer.finish()) == "storage.full"
    await writer.restart()
    await writer.write(b"z")
    await writer.finish()
    await writer.close()
    assert await storage.inspect_temp(writer.temp, lambda file: file.read()) == b"z"


LIMITED = """
    import asyncio, resource, sys
    from pathlib import Path
    from orchestrator.errors import StorageError
    from orchestrator.storage.local import LocalStorage

    async def main():
        async with LocalStorage(Path(sys.argv[1]), Path(sys.argv[2])) as storage:
            writer = await storage.create()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
            try:
                await writer.write(b"x" * 1_048_576)
                await writer.write(b"x" * 1_048_576)
                await writer.finish()
            except StorageError as error:
                print(error.code)
            await writer.close()
            await storage.discard(writer.temp)

    asyncio.run(main())
"""


def test_at_a_limit_of_the_system(out, state):
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), str(out), str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("storage.full\n", "")
    assert list((state / "tmp").iterdir()) == []


class Gate:
    """Stands in for a call of the system and holds it up until it is opened."""

    def __init__(self, real):
        self.real = real
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.ended = False

    def __call__(self, *args, **kwargs):
        self.entered.set()
        assert self.opened.wait(30)
        try:
            return self.real(*args, **kwargs)
        finally:
            self.ended = True


async def cancelled_in(gate, call, how):
    """Cancels `call` while its thread stands at the gate; opens the gate only when the cancellation is under way."""

    async def open_later():
        await asyncio.to_thread(gate.entered.wait, 30)
        scope.cancel() if how == "anyio" else task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not ended.is_set()
        gate.opened.set()

    ended = asyncio.Event()
    with anyio.CancelScope() as scope:

        async def run():
            try:
                await call
            finally:
                assert gate.ended
                ended.set()

        if how == "asyncio":
            task = asyncio.create_task(run())
            opener = asyncio.create_task(open_later())
            with pytest.raises(asyncio.CancelledError):
                await task
            await opener
            return
        opener = asyncio.create_task(open_later())
        await run()
    assert scope.cancelled_caught
    await opener


@pytest.mark.parametrize("how", ["anyio", "asyncio"])
@pytest.mark.parametrize(
    "call",
    [
        *("write", "finish", "restart", "close", "make", "discard", "sweep"),
        *("place", "secure", "move", "sizes", "inspect", "inspect-temp", "manifest", "read-manifest"),
    ],
)
async def test_a_cancelled_call_ends_only_with_its_thread(storage, monkeypatch, call, how):
    await storage.place(await written(storage), "f")
    temp = await written(storage)
    fresh, writer = await storage.create(), await storage.create()
    await writer.write(b"x" * BLOCK)
    await writer._landed()

    async def two_blocks():
        for _ in range(2):
            await writer.write(b"y" * BLOCK)

    target, name, work = {
        "write": (writer._raw, "writelines", two_blocks),
        "finish": (folders, "sync_file", writer.finish),
        "restart": (writer._raw, "empty", writer.restart),
        "place": (folders.os, "rename", lambda: storage.place(temp, "g")),
        "move": (folders.os, "rename", lambda: storage.move("f", "h")),
        "manifest": (folders.os, "rename", lambda: storage.write_manifest(Manifest("j"))),
        "inspect": (folders, "open_to_read", lambda: storage.inspect("f", lambda file: file.read(1))),
        "make": (local, "_new_file", fresh.finish),
        "close": (writer._raw, "close", writer.close),
        "discard": (local.os, "unlink", lambda: storage.discard(temp)),
        "sweep": (local.os, "listdir", lambda: storage.sweep(frozenset())),
        "secure": (folders, "secure", lambda: storage.secure("f")),
        "sizes": (folders, "sizes", lambda: storage.sizes(["f"])),
        "inspect-temp": (folders, "open_to_read", lambda: storage.inspect_temp(temp, lambda file: file.read(1))),
        "read-manifest": (folders, "open_to_read", storage.read_manifest),
    }[call]
    gate = Gate(getattr(target, name))
    monkeypatch.setattr(target, name, gate)
    await cancelled_in(gate, work(), how)
    monkeypatch.undo()
    await writer.close()
    await storage.sweep(frozenset())


async def test_a_long_look_ends_soon_after_its_caller_is_cancelled(storage):
    await storage.place(await written(storage, b"x" * (3 * BLOCK)), "f")
    first, go_on = threading.Event(), threading.Event()
    reads = []

    def look(file):
        while block := file.read(BLOCK):
            reads.append(len(block))
            first.set()
            assert go_on.wait(30)

    task = asyncio.create_task(storage.inspect("f", look))
    await asyncio.to_thread(first.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reads == [BLOCK]
