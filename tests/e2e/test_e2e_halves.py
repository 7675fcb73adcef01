"""`submit` creates and does not wait; `collect` brings home and does not create."""

import asyncio
import signal


async def test_what_was_submitted_is_collected(stage):
    async with stage(duration=2) as it:
        it.job(months=12)
        submitted = await it.run("submit", "job.yaml", "--json")
        assert submitted.status == 0, str(submitted)
        assert submitted.json["command"] == "submit"
        assert submitted.json["outcome"] == "succeeded"
        assert submitted.json["counts"] == {"planned": 12, "stored": 0, "skipped": 0, "failed": 0, "pending": 12}
        assert all(len(export["report_ids"]) == 1 for export in submitted.json["exports"])
        assert submitted.json["api"]["polls"] == 0, "there was room for all of them"
        assert not it.data_files()
        collected = await it.run("collect", "job.yaml", "--json")
        assert collected.status == 0, str(collected)
        assert collected.json["api"]["posts"] == 0
        assert collected.json["counts"]["stored"] == 12
        it.check_stored(12)
        assert len(it.sim.stats.posts) == 12


async def test_status_tells_what_is_stored_and_being_replaced(stage):
    async with stage() as it:
        it.job(months=12, teams=("support", "sales"))
        await it.report()
        it.change(duration=30)
        again = await it.run("submit", "job.yaml", "--only", "all", "--select", "team=support")
        assert again.status == 0, str(again)
        one_half = await it.run("status", "job.yaml", "--select", "team=support")
        assert "12 of 12 exports stored." in one_half.out
        assert "support 2020-01  at Loop for 0:" in one_half.out
        told = await it.run("status", "job.yaml")
        assert "24 of 24 exports stored.\nStored, and being replaced: 12 at Loop.\n" in told.out
        assert "12 in flight" in told.out
        assert "Next: orchestrator run job.yaml\n" in told.err
        others = await it.run("status", "job.yaml", "--select", "team=sales")
        assert "being replaced" not in others.out
        assert "Next: " not in others.err


async def test_submit_waits_for_places_alone(stage):
    async with stage(duration=0.3) as it:
        it.job(months=9, limits={"unfinished": 4})
        submitted = await it.run("submit", "job.yaml", "--json")
        assert submitted.status == 0, str(submitted)
        assert len(it.sim.stats.posts) == 9
        assert it.sim.stats.unfinished_peak <= 4
        assert not it.sim.stats.downloads
        again = await it.run("submit", "job.yaml")
        assert again.status == 0, str(again)
        assert "To go on: orchestrator collect job.yaml " in again.people
        assert len(it.sim.stats.posts) == 9, "submitted twice is created once"
        assert (await it.run("collect", "job.yaml")).status == 0
        it.check_stored(9)


async def test_collect_creates_nothing_and_says_what_is_left(stage):
    async with stage() as it:
        it.job(months=6)
        assert (await it.run("submit", "job.yaml", "--to", "2020-02")).status == 0
        collected = await it.run("collect", "job.yaml", "--json")
        assert collected.status == 3, str(collected)
        assert collected.json["counts"] == {"planned": 6, "stored": 2, "skipped": 0, "failed": 0, "pending": 4}
        assert "created first" in collected.json["reason"]
        assert len(it.sim.stats.posts) == 2
        nothing = await it.run("collect", "job.yaml", "--from", "2020-01")
        assert nothing.status == 3, str(nothing)
        assert "To go on: orchestrator submit job.yaml --from 2020-01 " in nothing.people
        assert "same command" not in nothing.people
        assert len(it.sim.stats.posts) == 2
        assert (await it.run("run", "job.yaml")).status == 0
        it.check_stored(6)
        assert len(it.sim.stats.posts) == 6


async def test_what_the_service_failed_to_make_is_for_the_next_submit(stage):
    async with stage(faults=[{"on": "create", "do": "failed", "match": {"nth": 2}, "times": 1}]) as it:
        it.job(months=3)
        assert (await it.run("submit", "job.yaml")).status == 0
        collected = await it.run("collect", "job.yaml", "--json")
        assert collected.status == 3, str(collected)
        assert collected.json["counts"]["stored"] == 2
        assert len(it.sim.stats.posts) == 3
        assert (await it.run("submit", "job.yaml")).status == 0
        assert (await it.run("collect", "job.yaml")).status == 0
        it.check_stored(3)
        assert len(it.sim.stats.posts) == 4


async def test_an_export_that_is_never_made_fails_the_collect_that_finds_its_creations_used_up(stage):
    async with stage(duration=1, faults=[{"on": "create", "do": "failed", "match": {"nth": 1}}]) as it:
        it.job(months=2, retry={"exports": 0})
        assert (await it.run("submit", "job.yaml")).status == 0
        collected = await it.run("collect", "job.yaml", "--json")
        assert collected.status == 1, str(collected)
        assert collected.json["counts"] == {"planned": 2, "stored": 1, "skipped": 0, "failed": 1, "pending": 0}
        assert [each["error"]["code"] for each in collected.json["exports"] if each["error"]] == ["export.failed"]


async def test_a_collect_that_is_to_fail_fast_does(stage):
    faults = [
        {"on": "create", "do": "failed", "match": {"nth": 1}},
        {"on": "create", "do": "stuck", "match": {"nth": 2}},
    ]
    async with stage(duration=1, faults=faults) as it:
        it.job(months=2, retry={"exports": 0})
        assert (await it.run("submit", "job.yaml")).status == 0
        collected = await it.run("collect", "job.yaml", "--json", "--fail-fast", "--deadline", "20s")
        assert collected.status == 1, str(collected)
        assert "--fail-fast" in collected.json["reason"]


async def test_a_collect_in_a_hurry_leaves_the_rest_for_later(stage):
    async with stage(duration=8) as it:
        it.job(months=2)
        assert (await it.run("submit", "job.yaml")).status == 0
        collected = await it.run("collect", "job.yaml", "--json", "--deadline", "2s")
        assert collected.status == 3, str(collected)
        assert "deadline" in collected.json["reason"]
        assert (await it.run("collect", "job.yaml")).status == 0
        it.check_stored(2)
        assert len(it.sim.stats.posts) == 2


async def test_a_submit_that_is_terminated_loses_no_report_id(stage):
    async with stage(duration=60) as it:
        it.job(months=40, limits={"unfinished": 5})
        running = await it.start("submit", "job.yaml", "--json")
        await it.until(lambda: len(it.sim.stats.posts) == 5)
        await asyncio.sleep(0.2)
        running.send(signal.SIGTERM)
        ended = await running.ended()
        assert ended.status == 3, str(ended)
        assert sum(len(export["report_ids"]) for export in ended.json["exports"]) == 5
        assert ended.json["api"]["possible_duplicates"] == 0
