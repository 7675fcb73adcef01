"""What `status` and `verify` say after a run was killed, and after one of the two memories was lost."""

import shlex
import shutil
import signal


async def killed_with_some_stored(it, *, of, stored):
    """A run that is killed when `stored` files of `of` are in place: the manifest of that run is never written."""
    it.job(months=of)
    running = await it.start("run", "job.yaml")
    await it.until(lambda: len(it.data_files()) == stored and len(it.sim.stats.posts) == of)
    running.send(signal.SIGKILL)
    assert (await running.ended()).status == -signal.SIGKILL


def suggested(ended):
    """The commands that it offers, each as the words after `orchestrator`."""
    lines = [line for line in ended.err.splitlines() if line.startswith("Next: orchestrator ")]
    return [shlex.split(line.removeprefix("Next: orchestrator ")) for line in lines]


async def test_after_a_kill_verify_reads_what_the_journal_alone_knows_and_status_tells_of_the_kill(stage):
    slow = {"on": "create", "do": "hang", "created": True, "match": {"nth": [3, 4]}}
    async with stage(faults=[slow]) as it:
        it.job(months=1)
        await it.report()
        it.change(faults=[slow | {"match": {"nth": [2, 3]}}])
        await killed_with_some_stored(it, of=4, stored=2)
        looked = await it.run("verify", "job.yaml", "--json")
        assert looked.status == 0, str(looked)
        assert looked.json["counts"] == {"equal": 2, "wrong": 0, "missing": 0}
        assert looked.json["not_in_manifest"] == 1
        assert "1 of these files the journal alone knows" in (await it.run("verify", "job.yaml")).people

        status = (await it.run("status", "job.yaml", "--json")).json
        assert status["last_run"]["outcome"] == "succeeded"
        assert status["cut_off_at"] > status["last_run"]["finished_at"]
        told = await it.run("status", "job.yaml")
        assert "The last run succeeded at" in told.people
        assert "A later run began" in told.people
        assert "(killed?)" in told.people
        assert suggested(told) == [["run", "job.yaml"]], "what is half made needs no plan"

        (it.exports / "manifest.json").unlink()
        target = min(it.data_files())
        data = (it.exports / target).read_bytes()
        (it.exports / target).write_bytes(data[:-1] + b" ")
        looked = await it.run("verify", "job.yaml", "--json")
        assert looked.status == 1
        assert looked.json["counts"] == {"equal": 1, "wrong": 1, "missing": 0}
        (it.exports / target).write_bytes(data)

        await it.report()
        assert (await it.run("verify", "job.yaml", "--json")).json["not_in_manifest"] == 0
        told = await it.run("status", "job.yaml")
        assert "later run" not in told.people
        assert not suggested(told)


async def test_where_the_journal_is_gone_status_says_so_and_verify_reads_the_manifest_s_files(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        shutil.rmtree(it.state)
        told = await it.run("status", "job.yaml")
        assert "The journal is gone" in told.people
        assert "manifest.json names 2 stored files: `orchestrator plan job.yaml` shows them" in told.people
        assert (await it.run("status", "job.yaml", "--json")).json["only_in_manifest"] == 2
        looked = await it.run("verify", "job.yaml", "--json")
        assert looked.json["counts"] == {"equal": 2, "wrong": 0, "missing": 0}
        assert looked.json["not_in_manifest"] == 0
        (it.exports / "manifest.json").write_text("{")
        told = await it.run("status", "job.yaml")
        assert told.status == 0, str(told)
        assert "manifest.json can't be understood" in told.people


async def test_what_verify_suggests_can_be_pasted_and_brings_all_of_it_again(stage):
    async with stage() as it:
        it.job(months=2, teams=("support", "sales, both"))
        await it.report()
        flipped = it.exports / "support" / "2020-02.json"
        flipped.write_bytes(flipped.read_bytes()[:-1] + b" ")
        looked = await it.run("verify", "job.yaml")
        assert looked.status == 1
        (command,) = suggested(looked)
        assert command == shlex.split("run job.yaml --only all --select team=support --select window=2020-02")
        assert (await it.run(*command)).status == 0
        gone, linked = (it.exports / name for name in sorted(it.data_files()) if name.startswith("sales"))
        gone.unlink()
        linked.rename(it.folder / "elsewhere.json")
        linked.symlink_to(it.folder / "elsewhere.json")
        looked = await it.run("verify", "job.yaml")
        assert f"{linked.relative_to(it.exports)} is a symbolic link, which is not followed: remove it" in looked.out
        assert looked.out.count("there is no such file") == 1
        assert suggested(looked) == [["run", "job.yaml"]]
        linked.unlink()
        assert (await it.run("run", "job.yaml")).status == 0
        assert (await it.run("verify", "job.yaml")).status == 0
        assert len(it.sim.stats.posts) == 4 + 3, "each of them once, and nothing else"
        it.check_stored(4)


async def test_the_report_ids_that_support_wants_are_printed(stage):
    async with stage(faults=[{"on": "create", "do": "failed"}]) as it:
        it.job(months=1, retry={"exports": 2})
        ended = await it.run("run", "job.yaml")
        assert ended.status == 1, str(ended)
        (export,) = (await it.run("status", "job.yaml", "--json")).json["exports"]
        assert len(export["report_ids"]) > 1
        assert f"report ids: {', '.join(export['report_ids'])}" in ended.people
        assert f"report ids: {', '.join(export['report_ids'])}" in " ".join(
            (await it.run("status", "job.yaml")).out.split()
        )


async def test_what_status_says_of_a_run_that_ended_badly_fits_a_terminal(stage):
    async with stage(faults=[{"on": "create", "do": "reset_after", "match": {"nth": 1}}]) as it:
        it.job(months=2)
        await it.report()
        told = await it.run("status", "job.yaml")
        assert "1 possible duplicate on the service so far" in told.people
        assert all(len(line) <= 80 for line in told.err.splitlines()), str(told)


async def test_after_a_run_that_was_turned_away_status_sends_to_the_doctor(stage):
    async with stage(tokens=["another"]) as it:
        it.job(months=2)
        assert (await it.run("run", "job.yaml")).status == 4
        assert suggested(await it.run("status", "job.yaml")) == [["doctor", "job.yaml"]]
