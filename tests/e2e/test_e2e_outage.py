"""A service that is away: it costs the time that it is away, and nothing else."""

import asyncio

import pytest


async def test_a_service_that_is_down_from_the_beginning_is_given_up_after_the_outage(stage):
    async with stage(outages=[{"for": 3600}]) as it:
        it.job(months=6, retry={"outage": 2})
        began = asyncio.get_running_loop().time()
        ended = await it.run("run", "job.yaml", "--json")
        lasted = asyncio.get_running_loop().time() - began
        assert ended.status == 7
        assert lasted >= 2
        report = ended.json
        assert report["outcome"] == "unreachable"
        assert report["error"]["code"] == "host.unreachable"
        assert "refused" in report["error"]["cause"]
        assert report["error"]["message"].endswith("for 2 s")
        assert report["api"]["possible_duplicates"] == 0
        assert report["counts"]["pending"] == 6
        assert ended.err.count("does not answer") == 1, "an outage is told once"
        it.change(outages=[])
        await it.report()
        it.check_stored(6)
        assert len(it.sim.stats.posts) == 6


@pytest.mark.parametrize("mode", ["refuse", "503", "reset", pytest.param("500", marks=pytest.mark.long)])
async def test_a_service_that_is_away_for_a_while_uses_up_nothing(stage, mode):
    async with stage() as it:
        it.job(months=9, limits={"unfinished": 3}, retry={"attempts": 2, "exports": 0, "outage": 60})
        running = await it.start("run", "job.yaml", "--json")
        await it.until(lambda: len(it.sim.stats.posts) == 3 and all(post.status for post in it.sim.stats.posts))
        it.change(outages=[{"for": 2.5, "mode": mode, "on": "api"}])
        ended = await running.ended()
        assert ended.status == 0, str(ended)
        report = ended.json
        it.check_stored(9)
        in_doubt = [post for post in it.sim.stats.posts if post.fault]
        assert report["api"]["possible_duplicates"] == len(in_doubt)
        assert len(in_doubt) <= (0 if mode == "refuse" else 3)
        assert len(it.sim.stats.created) == 9


async def test_a_file_host_that_is_away_for_a_while(stage):
    async with stage(outages=[{"at": 0, "for": 3, "on": "files"}]) as it:
        it.job(months=6, retry={"attempts": 2, "outage": 60})
        report = await it.report()
        it.check_stored(6)
        assert len(it.sim.stats.posts) == 6
        assert report["api"]["errors"] == 0, "these are the API's"


async def test_a_file_host_that_stays_away_leaves_what_is_ready_for_the_next_run(stage):
    async with stage(outages=[{"at": 0, "for": 3600, "on": "files", "mode": "500"}]) as it:
        it.job(months=3, retry={"outage": 1})
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 7
        assert ended.json["error"]["code"] == "file-host.unreachable"
        assert not it.leftovers()
        it.change(outages=[])
        await it.report()
        it.check_stored(3)
        assert len(it.sim.stats.posts) == 3


async def test_a_host_that_speaks_no_tls_is_not_tried_again(stage):
    async with stage() as it:
        it.job(api={"base_url": it.sim.base_url.replace("http:", "https:")}, retry={"outage": 600})
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 7
        assert ended.json["error"]["code"] == "host.untrusted"
        assert "TLS" in ended.json["error"]["cause"]
        assert ended.json["api"]["possible_duplicates"] == 0


async def test_a_name_that_does_not_resolve(stage):
    async with stage() as it:
        it.job(api={"base_url": "https://loop.invalid"}, retry={"outage": 0.5}, network={"proxy": "none"})
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 7
        assert "loop.invalid can't be resolved" in ended.json["error"]["cause"]
