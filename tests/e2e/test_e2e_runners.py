"""State that goes from one machine to another, as pipelines carry it: by artifacts, which drop hidden folders, or by caches."""

import shutil

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


@pytest.mark.parametrize(("ignore", "options"), [(None, ()), (DROPPED, ("--state", "state"))])
async def test_a_parked_run_is_gone_on_with_where_its_state_came_along(stage, ignore, options):
    async with stage(duration=60) as it:
        it.folder = it.folder / "first"
        it.folder.mkdir()
        it.job(months=3)
        parked = await it.report("job.yaml", "--deadline", "3s", *options, status=3)
        assert parked["counts"]["pending"] == 3
        carried(it, "second", ignore)
        again = await it.report("job.yaml", "--deadline", "3s", *options, status=3)
        assert len(it.sim.stats.posts) == 3
        assert {tuple(each["report_ids"]) for each in again["exports"]} == {
            tuple(each["report_ids"]) for each in parked["exports"]
        }
        assert again["api"]["polls"] > 0


async def test_where_it_did_not_come_along_what_was_under_way_is_created_anew(stage):
    """What docs/pipelines.md warns of."""
    async with stage(duration=60) as it:
        it.folder = it.folder / "first"
        it.folder.mkdir()
        it.job(months=3)
        await it.report("job.yaml", "--deadline", "3s", status=3)
        carried(it, "second", DROPPED)
        await it.report("job.yaml", "--deadline", "3s", status=3)
        assert len(it.sim.stats.posts) == 6
