"""State that goes from one machine to another, as pipelines carry it: by artifacts, which drop hidden folders, or by caches."""

import shutil
import signal

import pytest

DROPPED = shutil.ignore_patterns(".*")
"""What an upload of an artifact leaves out unless it is told otherwise."""


def carried(it, folder, ignore=None):
    """The next runner: what was carried lies elsewhere there, and nothing else is left of the last one."""
    there = it.folder.parent / folder
    shutil.copytree(it.folder, there, ignore=ignore)
    shutil.rmtree(it.folder)
    it.folder = there


@pytest.mark.parametrize("ignore", [None, DROPPED])
async def test_what_is_stored_is_known_again_from_the_manifest_alone(stage, ignore):
    async with stage() as it:
        it.folder = it.folder / "first"
        it.folder.mkdir()
        it.job(months=4)
        await it.report("job.yaml", "--to", "2020-02")
        carried(it, "second", ignore)
        assert it.state.exists() is (ignore is None)
        report = await it.report()
        assert report["counts"] == {"planned": 4, "stored": 2, "skipped": 2, "failed": 0, "pending": 0}
        assert len(it.sim.stats.posts) == 4
        it.check_stored(4)
        carried(it, "third", ignore)
        assert (await it.run("verify", "job.yaml")).status == 0
        assert (await it.report())["counts"]["skipped"] == 4
        assert len(it.sim.stats.posts) == 4


async def parked(it, condition, *options):
    """The report of a run that is cancelled as soon as `condition` holds at the service."""
    running = await it.start("run", "job.yaml", "--json", *options)
    await it.until(condition)
    running.send(signal.SIGTERM)
    ended = await running.ended()
    assert ended.status == 3, str(ended)
    return ended.json


@pytest.mark.parametrize(("ignore", "options"), [(None, ()), (DROPPED, ("--state", "state"))])
async def test_a_parked_run_is_gone_on_with_where_its_state_came_along(stage, ignore, options):
    async with stage(duration=60) as it:
        it.folder = it.folder / "first"
        it.folder.mkdir()
        it.job(months=3)
        first = await parked(it, lambda: len(it.sim.stats.created) == 3, *options)
        carried(it, "second", ignore)
        asked = len(it.sim.stats.api)
        second = await parked(it, lambda: len(it.sim.stats.api) > asked + 3, *options)
        assert len(it.sim.stats.posts) == 3
        assert ids(second) == ids(first)
        assert second["api"]["possible_duplicates"] == 0


async def test_where_it_did_not_come_along_what_was_under_way_is_created_anew(stage):
    """What docs/pipelines.md warns of."""
    async with stage(duration=60) as it:
        it.folder = it.folder / "first"
        it.folder.mkdir()
        it.job(months=3)
        first = await parked(it, lambda: len(it.sim.stats.created) == 3)
        carried(it, "second", DROPPED)
        second = await parked(it, lambda: len(it.sim.stats.created) == 6)
        assert not ids(first) & ids(second)
        assert second["api"]["possible_duplicates"] == 0  # nothing is left that could know of them


def ids(report):
    return {report_id for export in report["exports"] for report_id in export["report_ids"]}
