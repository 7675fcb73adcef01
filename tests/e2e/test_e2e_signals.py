"""Signals park a run: what was sent is waited for and kept, and the next run creates nothing twice."""

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

PARKING = [(signal.SIGTERM, 3), (signal.SIGHUP, 3), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "status"), PARKING)
async def test_a_signal_waits_for_creations_under_way_and_ends_within_five_seconds(stage, number, status):
    async with stage(faults=[{"on": "create", "do": "delay", "seconds": 1}], duration=20) as it:
        it.job(months=4, limits={"unfinished": 3})
        running = await it.start("run", "job.yaml", "--json")
        await it.until(lambda: len(it.sim.stats.posts) == 3)
        running.send(number)
        async with asyncio.timeout(5):
            ended = await running.ended()
        assert ended.status == status, str(ended)
        assert ended.json["outcome"] == "parked"
        assert ended.json["api"]["possible_duplicates"] == 0
        assert ended.json["counts"]["pending"] == 4
        known = (await it.run("status", "job.yaml", "--json")).json
        assert {report for export in known["exports"] for report in export["report_ids"]} == set(it.sim.stats.created)
        assert len(it.sim.stats.created) == 3
        assert not it.leftovers()


async def test_after_a_signal_the_next_run_creates_nothing_twice(stage):
    async with stage(duration=1) as it:
        it.job(months=6, limits={"unfinished": 3})
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 3)
        running.send(signal.SIGTERM)
        ended = await running.ended()
        assert ended.status == 3
        assert "SIGTERM" in ended.err
        assert "run the same command again" in ended.people
        report = await it.report()
        it.check_stored(6)
        assert len(it.sim.stats.posts) == 6
        assert report["api"]["possible_duplicates"] == 0


async def test_a_download_is_let_go_of_at_once_and_leaves_nothing_behind(stage):
    async with stage(rows=20_000, download_rate=200_000) as it:
        it.job(months=1)
        running = await it.start("run", "job.yaml")
        await it.until(lambda: it.sim.stats.downloads and it.sim.stats.downloads[0].sent)
        running.send(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert (await running.ended()).status == 3
        assert not it.leftovers()
        assert not it.data_files()
        it.change(download_rate=None)
        await it.report()
        it.check_stored(1)
        assert len(it.sim.stats.posts) == 1


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGTERM, signal.SIGTERM, 3),
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGHUP, signal.SIGHUP, 3),
        (signal.SIGINT, signal.SIGTERM, 130),
        (signal.SIGTERM, signal.SIGINT, 3),
        (signal.SIGHUP, signal.SIGTERM, 3),
    ],
)
async def test_a_second_signal_ends_it_at_once(stage, first, second, status):
    async with stage(faults=[{"on": "create", "do": "hang", "created": True}]) as it:
        it.job(months=1)
        running = await it.start("run", "job.yaml")
        await it.until(lambda: it.sim.stats.posts)
        running.send(first)
        await running.says("parking")
        running.send(second)
        async with asyncio.timeout(2):
            ended = await running.ended()
        assert ended.status == status
        assert "ended at once. Nothing that is stored is lost" in ended.people
        it.change(faults=[])
        report = await it.report()
        assert report["api"]["possible_duplicates"] == 1
        it.check_stored(1)


async def test_words_for_people_are_none_of_a_machines_lines(stage):
    async with stage(faults=[{"on": "create", "do": "hang", "created": True}]) as it:
        it.job(months=1)
        running = await it.start("run", "job.yaml", "--log-format", "json")
        await it.until(lambda: it.sim.stats.posts)
        running.send(signal.SIGTERM)
        await running.says("parking")
        running.send(signal.SIGTERM)
        assert all(json.loads(line) for line in (await running.ended()).err.splitlines())


async def test_a_signal_in_the_first_moment_costs_nothing(stage):
    async with stage() as it:
        it.job(months=2)
        for delay in (0, 0.02, 0.05):
            running = await it.start("run", "job.yaml")
            await asyncio.sleep(delay)  # the moment itself is what is tested, there is nothing to wait for
            running.send(signal.SIGTERM)
            # Before any of our code runs, a signal does to Python what it does to every program.
            assert (await running.ended()).status in (3, -signal.SIGTERM)
        assert not it.requests()
        await it.report()
        it.check_stored(2)


@pytest.mark.skipif(sys.platform != "linux", reason="handlers are looked up in /proc")
@pytest.mark.parametrize(("number", "status"), PARKING)
async def test_a_signal_while_the_program_still_loads_parks_it(stage, number, status):
    async with stage() as it:
        it.job(months=2)
        running = await it.start("run", "job.yaml", "--json")

        def handled():
            caught = Path(f"/proc/{running.process.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
            return int(caught, 16) >> (number - 1) & 1 and int(caught, 16) >> (signal.SIGTERM - 1) & 1

        await it.until(handled)
        running.send(number)
        ended = await running.ended()
        assert ended.status == status, str(ended)
        assert not it.requests()
        assert ended.json["counts"]["pending"] == 2


AT_IMPORT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT_IMPORT"] and self in sys.meta_path:
            sys.meta_path.remove(self)
            for number in os.environ["SIGNALS"].split():
                os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Finder())
"""
"""A `sitecustomize` module: the process sends itself signals when it is about to import a certain module."""


def at_import(it, module, *numbers):
    """The environment in which that happens."""
    (it.folder / "sitecustomize.py").write_text(AT_IMPORT)
    path = os.pathsep.join(filter(None, (str(it.folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "AT_IMPORT": module, "SIGNALS": " ".join(str(int(number)) for number in numbers)}


@pytest.mark.parametrize("module", ["orchestrator.cli.main", "rich_click", "pydantic", "aiohttp", "sqlite3"])
@pytest.mark.parametrize(("number", "status"), PARKING)
async def test_the_handlers_stand_before_anything_heavy_is_imported(stage, module, number, status):
    async with stage() as it:
        it.job(months=2)
        ended = await it.run("run", "job.yaml", "--json", env=at_import(it, module, number))
        assert ended.status == status, str(ended)
        assert ended.json["counts"]["pending"] == 2
        assert not it.requests()
        await it.report()
        it.check_stored(2)


async def test_two_signals_while_the_program_still_loads_end_it_at_once(stage):
    async with stage() as it:
        it.job(months=2)
        env = at_import(it, "pydantic", signal.SIGTERM, signal.SIGINT)
        ended = await it.run("run", "job.yaml", "--json", env=env)
        assert ended.status == 3, str(ended)
        assert not ended.out
        assert not it.state.exists()
        await it.report()
        it.check_stored(2)


async def test_nohup_is_respected(stage):
    async with stage(duration=0.5) as it:
        it.job(months=1)
        running = await it.start("run", "job.yaml", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        await it.until(lambda: it.sim.stats.posts)
        running.send(signal.SIGHUP)
        assert (await running.ended()).status == 0
        it.check_stored(1)


@pytest.mark.parametrize("how", ["SIGTERM", "--deadline"])
async def test_a_run_that_still_reads_files_to_find_out_whose_they_are_can_be_ended(stage, how):
    size = 8 * 1024**3  # sparse, and far more than is read before the signal or the deadline comes
    async with stage() as it:
        it.job(months=2)
        await it.report()
        asked = it.requests()
        shutil.rmtree(it.state)
        manifest = it.manifest()
        for entry in manifest["exports"]:
            entry["bytes"] = size
            os.truncate(it.exports / entry["path"], size)
        (it.exports / "manifest.json").write_text(json.dumps(manifest))
        running = await it.start("run", "job.yaml", *(["--deadline", "3s", "--json"] if how == "--deadline" else []))
        await running.says("find out whose")
        if how == "SIGTERM":
            running.send(signal.SIGTERM)
        ended = await running.ended()
        assert ended.status == 3, str(ended)
        if how == "SIGTERM":
            assert "before anything was begun" in ended.people
            assert "As a page" not in ended.people, "nothing of it is kept: the page would be of another run"
        else:
            assert (ended.json["outcome"], ended.json["run_id"]) == ("parked", None)
            assert "before anything was begun" in ended.json["reason"]
        assert it.requests() == asked
