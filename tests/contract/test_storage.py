"""Every storage keeps the promises of `ports.Storage` and `ports.Writer`."""

import contextlib
import hashlib
import os

import pytest

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage.local import BLOCK, LocalStorage
from orchestrator.storage.memory import MemoryStorage


@pytest.fixture(params=["memory", "local"])
def opened(request, tmp_path):
    """A context manager that gives the storage; it may be entered again and finds what is there."""
    if request.param == "memory":
        storage = MemoryStorage()
        return lambda: contextlib.nullcontext(storage)
    state = tmp_path / "state"
    state.mkdir()
    return lambda: LocalStorage(tmp_path / "out" / "exports", state)


def content(file):
    return file.read()


async def written(storage, data):
    writer = await storage.create()
    await writer.write(data)
    await writer.finish()
    await writer.close()
    return writer.temp


async def stored(storage, path, data):
    await storage.place(await written(storage, data), path)


async def code_of(call):
    with pytest.raises(StorageError) as raised:
        await call
    assert raised.value.hint or raised.value.code == "storage.name"
    return raised.value.code


async def test_a_finished_file_is_placed_whole(opened):
    async with opened() as storage:
        temp = await written(storage, b"[1]")
        assert await storage.size("a/b/c.json") is None
        await storage.place(temp, "a/b/c.json")
        assert await storage.size("a/b/c.json") == 3
        assert await storage.inspect("a/b/c.json", content) == b"[1]"
        assert await storage.inspect_temp(temp, content) is None


async def test_pieces_of_any_size_arrive_in_their_order(opened):
    pieces = [b"x" * n for n in (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 0, 7)]
    async with opened() as storage:
        writer = await storage.create()
        for n, piece in enumerate(pieces):
            await writer.write(piece + b"%d" % n)
        await writer.finish()
        await writer.close()
        await storage.place(writer.temp, "f")
        assert await storage.inspect("f", content) == b"".join(piece + b"%d" % n for n, piece in enumerate(pieces))


async def test_restart_forgets_everything(opened):
    async with opened() as storage:
        writer = await storage.create()
        await writer.write(b"y" * (BLOCK + 5))
        await writer.restart()
        await writer.write(b"new")
        await writer.restart()
        await writer.write(b"newer")
        await writer.finish()
        await writer.close()
        assert await storage.inspect_temp(writer.temp, content) == b"newer"


async def test_a_finished_file_takes_nothing_more(opened):
    async with opened() as storage:
        writer = await storage.create()
        await writer.write(b"one")
        await writer.finish()
        with pytest.raises(RuntimeError):
            await writer.write(b"two")
        with pytest.raises(RuntimeError):
            await writer.restart()
        with pytest.raises(RuntimeError):
            await writer.finish()
        await writer.close()
        await writer.close()
        assert await storage.inspect_temp(writer.temp, content) == b"one"


@pytest.mark.parametrize("size", [0, 5, BLOCK, 2 * BLOCK + 5])
async def test_what_was_written_is_hashed(opened, size):
    data = os.urandom(size)
    async with opened() as storage:
        writer = await storage.create()
        await writer.write(b"x" * (BLOCK + 5))
        await writer.restart()
        await writer.write(data)
        assert await writer.finish() == hashlib.sha256(data).hexdigest()
        await writer.close()


async def test_temporary_names_are_all_different(opened):
    async with opened() as storage:
        assert len({await written(storage, b"") for _ in range(20)}) == 20


async def test_placing_replaces_what_is_there(opened):
    async with opened() as storage:
        await stored(storage, "a/f.json", b"old")
        await stored(storage, "a/f.json", b"newer")
        assert await storage.inspect("a/f.json", content) == b"newer"


async def test_a_temporary_file_that_is_gone_can_not_be_placed(opened):
    async with opened() as storage:
        assert await code_of(storage.place("0123.part", "f")) == "storage.missing"
        assert await storage.size("f") is None


async def test_a_folder_or_a_file_in_the_way_is_refused(opened):
    async with opened() as storage:
        await stored(storage, "a/f", b"1")
        temp = await written(storage, b"2")
        assert await code_of(storage.place(temp, "a")) == "storage.in-the-way"
        assert await code_of(storage.place(temp, "a/f/g")) == "storage.in-the-way"
        assert await storage.inspect("a/f", content) == b"1"
        assert await storage.inspect_temp(temp, content) == b"2"


async def test_securing_a_stored_file(opened):
    async with opened() as storage:
        await stored(storage, "a/f.json", b"1")
        await storage.secure("a/f.json")
        assert await storage.inspect("a/f.json", content) == b"1"
        assert await code_of(storage.secure("g")) == "storage.missing"


async def test_move(opened):
    async with opened() as storage:
        await stored(storage, "old/f.json", b"1")
        await storage.move("old/f.json", "new/deep/g.json")
        assert await storage.sizes(["old/f.json", "new/deep/g.json"]) == [None, 1]


async def test_move_replaces_nothing(opened):
    async with opened() as storage:
        await stored(storage, "f", b"1")
        await stored(storage, "g", b"22")
        assert await code_of(storage.move("f", "g")) == "storage.exists"
        assert await storage.sizes(["f", "g"]) == [1, 2]


async def test_move_replaces_when_told_to(opened):
    async with opened() as storage:
        await stored(storage, "f", b"1")
        await stored(storage, "g", b"22")
        await storage.move("f", "g", replace=True)
        assert await storage.sizes(["f", "g"]) == [None, 1]
        assert await storage.inspect("g", content) == b"1"


async def test_move_of_what_is_not_there(opened):
    async with opened() as storage:
        assert await code_of(storage.move("nowhere/f", "g")) == "storage.missing"
        assert await code_of(storage.move("f", "g")) == "storage.missing"


async def test_sizes(opened):
    async with opened() as storage:
        await stored(storage, "a/f", b"12345")
        await stored(storage, "a/g", b"")
        assert await storage.sizes(["a/f", "a/none", "none/f", "a/g", "a", "a/f/below"]) == [
            5,
            None,
            None,
            0,
            None,
            None,
        ]
        assert await storage.sizes([]) == []


async def test_inspect_of_nothing_is_none_and_errors_of_the_look_pass(opened):
    async with opened() as storage:
        assert await storage.inspect("none", content) is None
        assert await storage.inspect_temp("none.part", content) is None
        await stored(storage, "f", b"1")
        with pytest.raises(ZeroDivisionError):
            await storage.inspect("f", lambda file: 1 // 0)


@pytest.mark.parametrize("path", ["", "/etc/f", "../f", "a/../f", "a//f", "./f", "a/", "a\0b", "."])
async def test_paths_that_could_lead_out_are_refused(opened, path):
    async with opened() as storage:
        temp = await written(storage, b"1")
        await stored(storage, "f", b"1")
        assert await code_of(storage.place(temp, path)) == "storage.name"
        assert await code_of(storage.move("f", path)) == "storage.name"
        assert await code_of(storage.size(path)) == "storage.name"
        assert await code_of(storage.inspect(path, content)) == "storage.name"


async def test_temporary_names_have_no_folders(opened):
    async with opened() as storage:
        assert await code_of(storage.place("../out/f", "g")) == "storage.name"
        assert await code_of(storage.discard("a/b")) == "storage.name"
        assert await code_of(storage.inspect_temp("../f", content)) == "storage.name"


async def test_discard_is_no_error_twice(opened):
    async with opened() as storage:
        temp = await written(storage, b"1")
        await storage.discard(temp)
        await storage.discard(temp)
        assert await storage.inspect_temp(temp, content) is None


async def test_sweep_keeps_what_is_named(opened):
    async with opened() as storage:
        temps = [await written(storage, b"%d" % n) for n in range(3)]
        await stored(storage, "f", b"1")
        await storage.sweep(frozenset({temps[1], "unknown.part"}))
        assert [await storage.inspect_temp(temp, content) for temp in temps] == [None, b"1", None]
        assert await storage.size("f") == 1


async def test_a_temporary_file_is_found_by_the_next_process(opened):
    async with opened() as storage:
        temp = await written(storage, b"whole")
    async with opened() as storage:
        assert await storage.inspect_temp(temp, content) == b"whole"
        await storage.place(temp, "f")
        assert await storage.size("f") == 5


async def test_the_manifest_is_read_as_written(opened):
    async with opened() as storage:
        assert await storage.read_manifest() is None
        at = "2024-01-01T00:00:00.000Z"
        entry = {
            "key": "k1-a",
            "path": "a",
            "bytes": 1,
            "sha256": "0",
            "rows": 0,
            "partial": False,
            "impersonate": None,
        }
        entry |= {
            "coordinates": {},
            "request": {},
            "window": {"start": 0, "end": 1},
            "exported_at": at,
            "stored_at": at,
        }
        entry |= {"parts": [{"request": {}, "report_id": "r"}]}
        odd = {"coordinates": {"team": "š\udce9 \u2028"}, "rows": None}
        manifest = Manifest("job-1", (entry, {**entry, "key": "k1-b", **odd}))
        await storage.write_manifest(Manifest("job-1"))
        assert await storage.read_manifest() == Manifest("job-1")
        await storage.write_manifest(manifest)
        assert await storage.read_manifest() == manifest
