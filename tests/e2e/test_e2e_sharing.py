"""Two runs of one account on one machine: one gate, one row of requests, one count of unfinished exports."""

import asyncio


async def both(it, **limits):
    """The reports of two runs at once, of two jobs that ask for as much each."""
    for name in ("one", "two"):
        it.job(months=10, name=f"{name}.yaml", output={"to": f"./{name}"}, limits=limits)
    ended = await asyncio.gather(*(it.run("run", f"{name}.yaml", "--json") for name in ("one", "two")))
    assert [each.status for each in ended] == [0, 0], "\n".join(map(str, ended))
    return [each.json for each in ended]


async def test_they_share_the_places_for_unfinished_exports(stage):
    async with stage(duration=1) as it:
        await both(it, unfinished=4)
        assert it.sim.stats.unfinished_peak <= 5, "one place more, for whoever has none is given one"
        assert len(it.sim.stats.posts) == 20


async def test_a_pause_that_one_was_asked_for_is_kept_by_the_other(stage):
    limit = {"on": "create", "do": "status", "code": 429, "retry_after": 3, "match": {"nth": 9}, "times": 1}
    async with stage(duration=1, faults=[limit]) as it:
        reports = await both(it, unfinished=2)
        assert sum(report["api"]["throttled"] for report in reports) == 1
        told = 1.0  # by then at the latest, however busy the machine is
        assert [entry for entry in it.sim.stats.early_requests if entry.early > told] == []


async def test_a_job_can_opt_out(stage):
    async with stage(duration=1) as it:
        await both(it, unfinished=4, shared=False)
        assert it.sim.stats.unfinished_peak > 5
