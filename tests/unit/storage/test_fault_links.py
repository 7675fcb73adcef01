"""Symbolic links swapped in while the storage works: before every call of the system that it makes, one after the other.

The stranger does what they like in the output folder and knows each name in the moment in which it is used. Whatever the
storage then does or refuses: nothing of theirs is changed, nothing is written among it, and none of it is read as ours.
"""

from __future__ import annotations

import os

import pytest

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage import folders
from orchestrator.storage.local import LocalStorage

CALLS = ("open", "mkdir", "stat", "rename", "fsync", "unlink", "listdir", "fchmod", "fstat", "dup")
OURS, THEIRS = b'["ours"]', b'["theirs"]'
PATH = "a/b/f"
FOLDERS = ("a", "a/b", "c", "c/d")
"""The first two are there before anything is done; the others are made by what is done."""


class Stranger:
    """Counts the storage's calls of the system, and before the `nth` puts links to their own things in the way."""

    def __init__(self, patch, out, tmp, theirs, nth, *, how):
        self.count = 0
        self.nth = nth
        self.how = how
        self.out, self.tmp, self.theirs = out, tmp, theirs
        self.real = {name: getattr(os, name) for name in CALLS}
        for name in CALLS:
            patch.setattr(folders.os, name, self._meddling(name))

    def _meddling(self, call):
        def meddling(*args, **kwargs):
            self.count += 1
            if self.count == self.nth:
                with pytest.MonkeyPatch.context() as honest:
                    for name, real in self.real.items():
                        honest.setattr(os, name, real)
                    self._meddle(args)
            return self.real[call](*args, **kwargs)

        return meddling

    def _meddle(self, args):
        if self.how != "name":
            place = self.out / self.how
            if place.is_dir():
                place.rename(place.with_name("moved-away"))
                place.symlink_to(self.theirs / self.how)
            return
        names = [name for name in args if isinstance(name, str) and "/" not in name]
        for name in names:
            for folder in (self.out, *(self.out / name for name in FOLDERS), self.tmp):
                if folder.is_dir() and (folder == self.tmp) == name.endswith(".part"):
                    self._link(folder / name)

    def _link(self, place):
        if place.is_dir() or place.is_symlink():
            return
        place.unlink(missing_ok=True)
        place.symlink_to(self.theirs / PATH)


async def placed(storage, path="c/d/f"):
    writer = await storage.create()
    try:
        await writer.write(OURS)
        await writer.finish()
    finally:
        await writer.close()
    await storage.place(writer.temp, path)


async def inspected(storage):
    assert await storage.inspect(PATH, lambda file: file.read()) in (None, OURS)
    assert await storage.size(PATH) in (None, len(OURS))


WORK = {
    "place": placed,
    "secure": lambda storage: storage.secure(PATH),
    "move": lambda storage: storage.move(PATH, "a/b/g"),
    "move elsewhere": lambda storage: storage.move(PATH, "c/d/g"),
    "manifest": lambda storage: storage.write_manifest(Manifest("job")),
    "inspect": inspected,
    "sweep": lambda storage: storage.sweep(frozenset()),
}


WHERE = {
    "place": ("c", "c/d", "name"),
    "secure": ("a", "a/b", "name"),
    "move": ("a", "a/b", "name"),
    "move elsewhere": ("a", "a/b", "c", "c/d", "name"),
    "manifest": ("name",),
    "inspect": ("a", "a/b", "name"),
    "sweep": ("name",),
}
NEVER_REFUSED = ("inspect", "sweep")
"""They find nothing behind a link, or remove the link itself."""


def contents(folder):
    return {
        str(entry.relative_to(folder)): entry.read_bytes() if entry.is_file() else None for entry in folder.rglob("*")
    }


def links_below(folder):
    return [entry for entry in folder.rglob("*") if entry.is_symlink()]


@pytest.mark.parametrize(("work", "how"), [(work, how) for work, hows in WHERE.items() for how in hows])
async def test_a_link_swapped_in_before_any_call_of_the_system_leads_nowhere(tmp_path, monkeypatch, work, how):
    theirs = tmp_path / "theirs"
    for folder in FOLDERS:
        (theirs / folder).mkdir(parents=True, exist_ok=True)
    (theirs / PATH).write_bytes(THEIRS)
    untouched = contents(theirs)
    nth, refused = 0, 0
    while True:
        nth += 1
        out, state = tmp_path / f"out{nth}", tmp_path / f"state{nth}"
        state.mkdir()
        async with LocalStorage(out, state) as storage:
            await placed(storage, PATH)
            if work == "sweep":
                (state / "tmp" / "left.part").write_bytes(OURS)
            with monkeypatch.context() as patch:
                stranger = Stranger(patch, out, state / "tmp", theirs, nth, how=how)
                try:
                    await WORK[work](storage)
                except StorageError as error:
                    assert error.hint
                    refused += 1
        assert contents(theirs) == untouched, f"before call {nth}"
        if stranger.count < nth:  # the last round met no stranger any more
            assert links_below(out) == []
            break
        assert nth < 200, "it never ends"
    assert nth > 2
    assert refused or work in NEVER_REFUSED, "none of these swaps was in anybody's way"


async def test_a_temporary_file_that_became_a_link_is_not_placed(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "theirs").write_bytes(THEIRS)
    async with LocalStorage(tmp_path / "out", tmp_path / "state") as storage:
        writer = await storage.create()
        await writer.write(OURS)
        await writer.finish()
        await writer.close()
        part = tmp_path / "state" / "tmp" / writer.temp
        part.unlink()
        part.symlink_to(tmp_path / "theirs")
        with pytest.raises(StorageError) as raised:
            await storage.place(writer.temp, "f")
        assert raised.value.code == "storage.symlink"
        assert await storage.inspect_temp(writer.temp, lambda file: file.read()) is None
    assert links_below(tmp_path / "out") == []
