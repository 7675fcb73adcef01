"""Real file systems that fill up, turn read-only or go away: exit 6, and the next run goes on when all is well again.

Where mounting is not allowed, `test_e2e_storage.py` has a limit on the size of files, and level L3 of the simulation errors of the
system at each call (`test_a_disk_that_refuses_at_each_of_its_calls`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1024 * 1024


class Disk:
    """A small file system that can be seen at two places: `inside` is always there, `at` is what can be lost."""

    def __init__(self, folder: Path) -> None:
        self.inside, self.at = folder / "inside", folder / "at"
        self.inside.mkdir(parents=True)
        self.at.mkdir()

    def make(self, megabytes: int) -> bool:
        size = f"size={megabytes}m"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", self.inside], capture_output=True, check=False
        )
        if done.returncode == 0:
            self.mount()
        return done.returncode == 0

    def grow(self, megabytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", self.inside], check=True)

    def mount(self) -> None:
        subprocess.run(["mount", "--bind", self.inside, self.at], check=True)

    def turn(self, how: str) -> None:
        """`ro` or `rw`; the kernel refuses `ro` while a file is open for writing."""
        subprocess.run(["mount", "-o", f"remount,bind,{how}", self.at], check=True)

    def lose(self) -> None:
        """Whoever has something open there keeps it, as with any disk that is unmounted lazily."""
        subprocess.run(["umount", "-l", self.at], check=True)

    def close(self) -> None:
        for place in (self.at, self.inside):
            subprocess.run(["umount", "-l", place], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux mounts a file system")
    made = Disk(tmp_path / "disk")
    if not made.make(16):
        pytest.skip("this machine lets nobody mount a file system")
    yield made
    made.close()


async def refused(it, *arguments, code):
    """The report of a run that the storage refuses."""
    return told(await it.run("run", "job.yaml", "--json", *arguments), code)


def told(ended, code):
    assert ended.status == 6, str(ended)
    assert "Traceback" not in ended.err
    assert ended.json["outcome"] == "storage"
    assert ended.json["error"]["code"] == code, str(ended)
    assert " ".join(ended.json["error"]["hint"].split()) in ended.people
    return ended.json


async def all_is_well(it, exports, *arguments):
    """The last run does what is left, and everything is there, whole."""
    report = await it.report("job.yaml", *arguments)
    assert report["api"]["possible_duplicates"] == 0
    verified = await it.run("verify", "job.yaml", "--json", *arguments)
    assert verified.status == 0, str(verified)
    assert verified.json["counts"] == {"equal": exports, "wrong": 0, "missing": 0}


async def test_a_disk_of_16_mib_fills_in_the_middle_of_a_download(stage, disk):
    async with stage(rows=20_000) as it:
        it.job(months=4, limits={"downloads": 1}, output={"to": str(disk.at / "exports")})
        report = await refused(it, code="storage.full")
        stored = report["counts"]["stored"]
        assert 0 < stored < 4
        assert report["counts"] == {"planned": 4, "stored": stored, "skipped": 0, "failed": 0, "pending": 4 - stored}
        exports = disk.at / "exports"
        assert len(list(exports.rglob("2020-*.json"))) == stored, "what is not whole is not shown"
        assert not list((exports / ".orchestrator").rglob("*.part")), "room is given back"
        report = await refused(it, code="storage.full")
        assert report["counts"]["skipped"] == stored
        disk.grow(64)
        await all_is_well(it, 4)
        assert len(it.sim.stats.posts) == 4


async def test_a_disk_that_has_no_room_for_a_journal_begins_nothing(stage, disk):
    async with stage() as it:
        it.job(months=2, output={"to": str(disk.at / "exports")})
        (disk.at / "ballast").write_bytes(bytes(16 * MIB - 200_000))
        await refused(it, code="storage.full")
        assert not it.requests()
        (disk.at / "ballast").unlink()
        await all_is_well(it, 2)


async def test_a_journal_without_room_still_takes_the_ids_of_what_was_created(stage, disk):
    async with stage(faults=[{"on": "create", "do": "delay", "seconds": 1}]) as it:
        it.job(months=30, limits={"unfinished": 10})
        state = ("--state", str(disk.at / "state"))
        running = await it.start("run", "job.yaml", "--json", *state)
        await it.until(lambda: len(it.sim.stats.posts) >= 10)
        left = os.statvfs(disk.at)
        (disk.at / "ballast").write_bytes(bytes(left.f_bavail * left.f_frsize))
        report = told(await running.ended(), "storage.full")
        assert report["counts"]["pending"]
        (disk.at / "ballast").unlink()
        await all_is_well(it, 30, *state)
        assert len(it.sim.stats.posts) == 30, "each id was kept"


async def test_an_output_that_turns_read_only_keeps_what_was_created(stage, disk):
    async with stage(duration=1) as it:
        it.job(months=3, output={"to": str(disk.at / "exports")})
        state = ("--state", str(it.folder / "state"))
        running = await it.start("run", "job.yaml", "--json", *state)
        await it.until(lambda: len(it.sim.stats.created) == 3)
        disk.turn("ro")
        report = told(await running.ended(), "storage.read-only")
        assert report["counts"]["stored"] == 0
        disk.turn("rw")
        await all_is_well(it, 3, *state)
        assert len(it.sim.stats.posts) == 3


@pytest.mark.parametrize("what", ["output", "state"])
async def test_a_read_only_folder_is_told_before_anything_is_asked(stage, disk, what):
    async with stage() as it:
        places = {"output": it.folder / "out", "state": it.folder / "state"} | {what: disk.at / what}
        it.job(months=2, output={"to": str(places["output"])})
        state = ("--state", str(places["state"]))
        await all_is_well(it, 2, *state)
        it.job(months=3, output={"to": str(places["output"])})
        disk.turn("ro")
        report = await refused(it, *state, code="storage.read-only")
        assert str(places[what]) in report["error"]["message"]
        assert ("--state" in report["error"]["hint"]) == (what == "state")
        assert len(it.sim.stats.posts) == 2
        disk.turn("rw")
        await all_is_well(it, 3, *state)
        assert len(it.sim.stats.posts) == 3


@pytest.mark.parametrize("state", [(), ("--state", "state")])
async def test_an_empty_output_folder_that_is_read_only_is_found_out_before_anything_is_asked(stage, disk, state):
    async with stage() as it:
        it.job(months=2, output={"to": str(disk.at)})
        disk.turn("ro")
        report = await refused(it, *state, code="storage.read-only")
        assert "output.to" in report["error"]["hint"]
        assert "--state" not in report["error"]["hint"], "the files would have no place all the same"
        assert not it.requests()
        assert not list(disk.at.iterdir())
        disk.turn("rw")
        await all_is_well(it, 2, *state)


async def test_a_mount_that_is_lost_in_the_middle_ends_the_run_and_is_gone_on_with(stage, disk):
    async with stage(faults=[{"on": "create", "do": "delay", "seconds": 1, "match": {"nth": 3}}]) as it:
        it.job(months=3, output={"to": str(disk.at / "exports")})
        running = await it.start("run", "job.yaml", "--json")
        await it.until(lambda: len(it.sim.stats.created) >= 2 and it.sim.stats.polls)
        disk.lose()
        ended = await running.ended()
        assert ended.status == 6, str(ended)
        assert ended.json["outcome"] == "storage"
        assert not list(disk.at.iterdir()), "nothing is begun in the empty mount point"
        disk.mount()
        await it.report()
        verified = await it.run("verify", "job.yaml", "--json")
        assert verified.json["counts"] == {"equal": 3, "wrong": 0, "missing": 0}
        known = await it.report()
        assert len(it.sim.stats.posts) <= 3 + known["api"]["possible_duplicates"]


async def test_a_disk_that_is_not_mounted_is_not_filled_anew_in_silence(stage, disk):
    async with stage() as it:
        it.job(months=2, output={"to": str(disk.at / "exports")})
        state = ("--state", str(it.folder / "state"))
        await all_is_well(it, 2, *state)
        disk.lose()
        plan = await it.run("plan", "job.yaml", "--json", *state)
        assert {export["reason"].split(":")[0] for export in plan.json["exports"]} == {"its file is gone"}
        ended = await it.run("run", "job.yaml", "--json", *state)
        assert ended.status == 0, str(ended)
        assert "neither manifest.json nor any of 2 stored files is left" in ended.people
        assert "mount it first" in ended.people
        again = await it.run("run", "job.yaml", "--json", *state)
        assert "warning" not in again.err


@pytest.mark.parametrize("state", [(), ("--state", "state")])
async def test_a_folder_that_vanishes_in_the_middle_is_not_made_again_by_the_same_run(stage, state):
    async with stage(duration=1) as it:
        it.job(months=3)
        running = await it.start("run", "job.yaml", "--json", *state)
        await it.until(lambda: len(it.sim.stats.created) == 3)
        shutil.rmtree(it.exports)
        ended = await running.ended()
        assert ended.status == 6, str(ended)
        assert "Traceback" not in ended.err
        assert not it.exports.exists()
        await it.report("job.yaml", *state)
        verified = await it.run("verify", "job.yaml", "--json", *state)
        assert verified.json["counts"] == {"equal": 3, "wrong": 0, "missing": 0}
        if state:
            assert len(it.sim.stats.posts) == 3, "the journal had them all"


async def test_state_and_output_may_lie_on_different_file_systems(stage, disk):
    async with stage() as it:
        it.job(months=3)
        state = ("--state", str(disk.at / "state"))
        await all_is_well(it, 3, *state)
        it.check_stored(3)
        assert {path.name for path in (disk.at / "state").rglob("*") if path.is_file()} == {
            "journal.db",
            "lock",
            ".gitignore",
        }
        assert len(it.sim.stats.posts) == 3
