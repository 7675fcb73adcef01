"""A run that ends before its work is done: the deadline, --fail-fast, and a long pause that the service asks for."""

import asyncio

import pytest

from orchestrator.simulator.scenario import Spread


async def test_three_pieces_make_a_whole_and_nothing_is_created_twice(stage):
    async with stage(duration=6) as it:
        it.job(months=6)
        clock = asyncio.get_running_loop().time
        for _ in range(2):
            began = clock()
            report = await it.report("job.yaml", "--deadline", "3s", status=3)
            assert clock() - began <= 3
            assert report["outcome"] == "parked"
            assert "deadline" in report["reason"]
            assert report["counts"]["pending"] == 6
        report = await it.report("job.yaml", env={"ORCHESTRATOR_RUN_DEADLINE": "1m"})
        it.check_stored(6)
        assert len(it.sim.stats.posts) == 6
        assert report["api"]["possible_duplicates"] == 0


async def test_options_come_from_the_environment_too(stage):
    async with stage(duration=60) as it:
        it.job(months=1)
        env = {"ORCHESTRATOR_RUN_DEADLINE": "2s", "ORCHESTRATOR_RUN_STATE": str(it.folder / "state")}
        ended = await it.run("run", "job.yaml", "--json", env=env)
        assert "deadline" in ended.json["reason"]
        assert "Deadline: it works until " in ended.people, "said before it begins"
        assert (it.folder / "state" / "journal.db").exists()
        ended = await it.run("run", "job.yaml", env={"ORCHESTRATOR_RUN_DEADLINE": "soon"})
        assert ended.status == 2
        assert "soon" in ended.err


async def test_fail_fast_parks_the_rest(stage):
    async with stage(duration=60, faults=[{"on": "create", "do": "status", "code": 400, "match": {"nth": 3}}]) as it:
        it.job(months=5)
        report = await it.report("job.yaml", "--fail-fast", status=1)
        assert report["counts"]["failed"] == 1
        assert report["counts"]["pending"] == 4
        assert "--fail-fast" in report["reason"]


@pytest.mark.parametrize("wait", [3600, "Wed, 21 Oct 2099 07:28:00 GMT"])
async def test_a_long_pause_parks_at_once_and_is_kept_by_the_next_run(stage, wait):
    limit = {"on": "create", "do": "status", "code": 429, "retry_after": wait, "match": {"nth": 3}}
    async with stage(faults=[limit]) as it:
        it.job(months=8, limits={"requests_per_second": 20})
        report = await it.report(status=3)
        assert "silence" in report["reason"]
        assert report["api"]["throttled"] == 1
        assert report["api"]["possible_duplicates"] == 0
        asked = it.requests()
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 3
        assert "silence" in ended.json["reason"]
        assert "pause" in ended.err
        assert it.requests() == asked


async def test_a_short_pause_is_waited_for_by_everybody(stage):
    limit = {"per_second": 20, "burst": 4, "retry_after": 1}
    async with stage(rate_limit=limit, early_grace=0.3, duration=Spread(min=0, max=0.2)) as it:
        it.job(months=10)
        report = await it.report("job.yaml", "--set", "limits.requests_per_second=40")
        it.check_stored(10)
        assert report["api"]["throttled"] == it.sim.stats.throttled > 0
        assert it.sim.stats.early_requests == []
        assert len(it.sim.stats.created) == 10


async def test_120_exports_in_three_pieces_under_a_deadline(stage):
    async with stage(duration=1.5) as it:
        it.job(months=30, teams=["support", "sales", "billing", "partners"], limits={"unfinished": 16})
        stored = 0
        for _ in range(2):
            report = await it.report("job.yaml", "--deadline", "10s", status=3)
            assert report["outcome"] == "parked"
            assert 0 < report["counts"]["stored"] < 120 - stored
            stored += report["counts"]["stored"]
            created = [report_id for export in report["exports"] for report_id in export["report_ids"]]
            assert len(created) == len(set(created)) == len(it.sim.stats.posts), "every report id is in the journal"
        report = await it.report("job.yaml")
        assert stored + report["counts"]["stored"] == 120
        it.check_stored(120)
        assert len(it.sim.stats.posts) == 120, "no export is created twice"
        assert report["api"]["possible_duplicates"] == 0


async def test_near_the_deadline_nothing_is_created_that_would_not_be_ready_in_time(stage):
    async with stage(duration=1.0) as it:
        it.job(months=60, limits={"unfinished": 6}, polling={"policy": "adaptive", "first": 1})
        report = await it.report("job.yaml", "--deadline", "12s", status=3)
        assert report["counts"]["stored"] == len(it.sim.stats.posts), "all that was created was brought home"
        assert "ready in time" in report["reason"]
