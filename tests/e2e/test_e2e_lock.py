"""Two runs of one job."""

import signal


async def test_a_second_run_is_told_who_holds_the_job_while_status_still_answers(stage):
    async with stage(duration=60) as it:
        it.job(months=3)
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.polls) >= 3)
        asked = len(it.sim.stats.posts)
        second = await it.run("run", "job.yaml", "--json")
        assert second.status == 5, str(second)
        pid = f"pid {running.process.pid} "
        (error,) = second.json["errors"]
        assert second.json["schema"] == "orchestrator.error/1"
        assert error["code"] == "run.locked"
        assert pid in error["message"]
        assert pid in second.err
        assert "hint" in second.err
        status = await it.run("status", "job.yaml", "--json")
        assert status.status == 0
        assert status.json["schema"] == "orchestrator.status/1"
        assert pid in status.json["active_run"]
        assert status.json["counts"] == {"planned": 3, "stored": 0, "failed": 0, "pending": 3, "new": 0}
        told = (await it.run("status", "job.yaml")).err
        assert "A run is active: " + pid in told
        assert told.endswith("\nWatch it: orchestrator status job.yaml --watch\n")
        assert (await it.run("plan", "job.yaml")).status == 0
        assert len(it.sim.stats.posts) == asked == 3
        running.send(signal.SIGKILL)
        await running.ended()
        assert (await it.run("status", "job.yaml", "--json")).json["active_run"] is None
