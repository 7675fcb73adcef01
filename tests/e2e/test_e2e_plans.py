"""plan, and what it says when the job, the files or the state are no longer what they were."""

import contextlib
import json
import shutil
import signal
import sqlite3


async def planned(it, *arguments, status=0):
    ended = await it.run("plan", "job.yaml", "--json", *arguments)
    assert ended.status == status, str(ended)
    assert ended.json["schema"] == "orchestrator.plan/1"
    return ended.json


def actions(plan):
    return {export["path"]: export["action"] for export in plan["exports"]}


async def test_plan_says_what_a_run_would_do_and_touches_nothing(stage):
    async with stage() as it:
        it.job(months=2, teams=("support", "sales"))
        it.env.clear()
        plan = await planned(it)
        assert set(actions(plan).values()) == {"run"}
        assert plan["counts"] == {"run": 4}
        for export in plan["exports"]:
            assert set(export) >= {"key", "coordinates", "action", "reason", "path", "request"}
        people = await it.run("plan", "job.yaml")
        assert "support 2020-01" in people.out
        assert "4 to run" in people.err
        assert "Next: orchestrator run job.yaml" in people.err
        assert not it.exports.exists()
        assert not it.requests()


async def test_the_exit_status_of_plan_can_tell_whether_there_is_something_to_do(stage):
    async with stage() as it:
        it.job(months=1)
        await planned(it)
        await planned(it, "--detailed-exitcode", status=10)
        await it.report()
        plan = await planned(it, "--detailed-exitcode")
        assert actions(plan) == {"2020-01.json": "skip"}


async def test_selections(stage):
    async with stage() as it:
        it.job(months=4, teams=("support", "sales", "billing"))
        two = await planned(it, "--select", "team=s*", "--select", "team!=sales", "--from", "2020-03")
        assert list(actions(two)) == ["support/2020-03.json", "support/2020-04.json"]
        ranged = await planned(it, "--select", "window=2020-02..2020-03", "--select", "team=sales,billing")
        assert len(ranged["exports"]) == 4
        await it.report("job.yaml", "--select", "team=sales", "--to", "2020-02")
        assert it.data_files() == {"sales/2020-01.json", "sales/2020-02.json"}
        assert len(it.sim.stats.posts) == 2
        plan = await planned(it, "--set", "output.path='{window}-{team}.json'")
        assert actions(plan)["2020-01-sales.json"] == "move"
        await it.report("job.yaml", "--only", "all", "--select", "team=sales", "--select", "window=2020-01")
        assert len(it.sim.stats.posts) == 3
        verified = await it.run("verify", "job.yaml", "--json")
        assert verified.json["counts"] == {"equal": 2, "wrong": 0, "missing": 0}


async def test_a_frozen_plan_is_run_as_it_is(stage):
    async with stage() as it:
        it.job(months=3, matrix={"window": {"every": "month", "last": 2, "from": None, "to": None}})
        ended = await it.run("plan", "job.yaml", "--out", "plan.json", "--json")
        assert ended.status == 0
        frozen = json.loads((it.folder / "plan.json").read_text())
        assert "LOOP_API_TOKEN" in json.dumps(frozen)
        assert it.env["LOOP_API_TOKEN"] not in json.dumps(frozen)
        windows = [export["request"] for export in frozen["exports"]]
        report = await it.report("plan.json")
        assert [post.body for post in it.sim.stats.posts] == windows
        assert report["counts"]["stored"] == 2
        asked = it.requests()
        await it.report("plan.json")
        await it.report("job.yaml")
        assert it.requests() == asked, "the same keys"
        ended = await it.run("run", "plan.json", "--select", "window=2020-01")
        assert ended.status == 2
        assert "run as it is" in ended.err
        it.job(months=3)
        ended = await it.run("run", "plan.json", "--json")
        assert ended.status == 2
        assert ended.json["errors"][0]["code"] == "plan.stale"
        assert it.requests() == asked


async def test_another_zone_replaces_and_the_old_file_stays_until_then(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        old = (it.exports / "2020-01.json").read_bytes()
        it.job(months=2, request={"timezone": "Europe/Ljubljana"})
        plan = await planned(it)
        assert actions(plan) == {"2020-01.json": "replace", "2020-02.json": "replace"}
        assert "timezone" in plan["exports"][0]["reason"]
        it.change(duration=60)
        report = await it.report("job.yaml", "--deadline", "2s", status=3)
        assert (it.exports / "2020-01.json").read_bytes() == old
        assert len(it.manifest()["exports"]) == 2
        it.change(duration=0)
        it.job(months=2, request={"timezone": "Europe/Vienna"})
        report = await it.report("job.yaml")
        assert report["counts"]["stored"] == 2
        assert (it.exports / "2020-01.json").read_bytes() != old
        it.check_stored(2)


async def test_a_renamed_label_moves_the_file_and_asks_nobody(stage):
    async with stage() as it:
        path = {"path": "{team}/{window}.{ext}"}
        it.job(months=2, matrix={"team": {"support": "id-1"}}, output=path)
        await it.report()
        asked = it.requests()
        it.job(months=2, matrix={"team": {"help": "id-1"}}, output=path)
        plan = await planned(it)
        assert actions(plan) == {"help/2020-01.json": "move", "help/2020-02.json": "move"}
        assert [export["moved_from"] for export in plan["exports"]] == ["support/2020-01.json", "support/2020-02.json"]
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.json["outcome"] == "succeeded"
        assert "2 files to rename, 0 exports to do" in ended.people
        assert "rehearsal: done, 2 files renamed" in ended.people
        assert "waiting" not in ended.people
        assert it.requests() == asked
        assert it.data_files() == {"help/2020-01.json", "help/2020-02.json"}
        it.check_stored(2)


async def test_a_team_that_the_job_no_longer_names_stays(stage):
    async with stage() as it:
        it.job(months=1, teams=("support", "sales"))
        await it.report()
        asked = it.requests()
        it.job(months=1, teams=("support",))
        plan = await planned(it)
        assert actions(plan) == {"support/2020-01.json": "skip", "sales/2020-01.json": "not_in_this_job"}
        await it.report()
        assert it.requests() == asked
        it.check_stored(2)


async def test_what_is_left_over_is_still_collected(stage):
    async with stage(duration=2.5) as it:
        it.job(months=1, teams=("support", "sales"))
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 2)
        running.send(signal.SIGTERM)
        assert (await running.ended()).status == 3
        it.job(months=1, teams=("support",))
        assert "left_over" in actions(await planned(it)).values()
        await it.report()
        assert len(it.sim.stats.posts) == 2
        it.check_stored(2)


async def test_without_its_state_the_job_knows_its_files_from_the_manifest(stage):
    async with stage() as it:
        it.job(months=3)
        await it.report()
        asked = it.requests()
        shutil.rmtree(it.state)
        assert set(actions(await planned(it)).values()) == {"skip"}
        report = await it.report()
        assert report["counts"]["skipped"] == 3
        assert it.requests() == asked


async def test_a_manifest_that_is_gone_is_written_anew(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        asked = it.requests()
        (it.exports / "manifest.json").unlink()
        await it.report()
        assert it.requests() == asked
        it.check_stored(2)


async def test_a_file_that_is_gone_is_exported_again_unless_it_was_moved_on(stage):
    async with stage() as it:
        it.job(months=2, output={"missing": "keep"})
        await it.report()
        (it.exports / "2020-01.json").unlink()
        report = await it.report()
        assert report["counts"]["skipped"] == 2
        assert len(it.sim.stats.posts) == 2
        it.job(months=2)
        assert actions(await planned(it)) == {"2020-01.json": "run", "2020-02.json": "skip"}
        await it.report()
        assert len(it.sim.stats.posts) == 3
        it.check_stored(2)


async def test_files_of_another_job_are_left_alone_unless_they_are_adopted(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        asked = it.requests()
        job = it.job(months=2)
        job.write_text(job.read_text().replace("name: rehearsal", "name: renamed"))
        for command in ("plan", "run"):
            ended = await it.run(command, "job.yaml", "--json")
            assert ended.status == 2, str(ended)
            (error,) = ended.json["errors"]
            assert "rehearsal" in error["message"]
            assert "--adopt" in error["hint"]
        report = await it.report("job.yaml", "--adopt")
        assert report["counts"]["skipped"] == 2
        assert it.requests() == asked
        assert it.manifest()["job"] == "renamed"
        await it.report()


async def test_a_corrupt_journal_is_moved_aside_and_told(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        asked = it.requests()
        (it.state / "journal.db").write_bytes(b"this is no database" * 1000)
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 0, str(ended)
        assert "warning: " in ended.err
        assert it.requests() == asked
        assert ended.json["counts"]["skipped"] == 2


async def test_verify_finds_every_damage(stage):
    async with stage() as it:
        it.job(months=4)
        await it.report()
        good = await it.run("verify", "job.yaml", "--json")
        assert good.status == 0
        assert good.json["schema"] == "orchestrator.verify/1"
        assert good.json["counts"] == {"equal": 4, "wrong": 0, "missing": 0}
        flipped, shortened, gone = (it.exports / f"2020-0{n}.json" for n in (1, 2, 3))
        data = flipped.read_bytes()
        flipped.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        shortened.write_bytes(shortened.read_bytes()[:-1])
        gone.unlink()
        bad = await it.run("verify", "job.yaml", "--json")
        assert bad.status == 1
        found = {export["path"]: export["state"] for export in bad.json["exports"] if export["state"] != "equal"}
        assert found == {flipped.name: "wrong", shortened.name: "wrong", gone.name: "missing"}
        people = await it.run("verify", "job.yaml")
        assert people.status == 1
        assert all(path.name in people.out for path in (flipped, shortened, gone))
        assert "Next: " in people.err


async def test_a_journal_of_a_newer_version_is_not_touched(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        asked = it.requests()
        with contextlib.closing(sqlite3.connect(it.state / "journal.db")) as journal, journal:
            journal.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
        before = (it.state / "journal.db").read_bytes()
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 2, str(ended)
        assert "99" in ended.json["errors"][0]["message"]
        assert (it.state / "journal.db").read_bytes() == before
        assert it.requests() == asked
