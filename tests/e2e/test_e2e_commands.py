"""The other commands, and what each of them says."""

import asyncio
import json
import signal

import aiohttp
import pytest

COMMANDS = ["init", "validate", "plan", "run", "status", "verify", "simulate", "demo", "schema"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
async def test_help(stage, command):
    async with stage() as it:
        ended = await it.run(*command, "--help", env={"COLUMNS": "80"})
        assert ended.status == 0
        assert "Usage" in ended.out
        assert not ended.err
        assert all(len(line) <= 100 for line in ended.out.splitlines())
        for name in COMMANDS if not command else ():
            assert name in ended.out


async def test_init_writes_a_job_that_is_valid_and_never_overwrites(stage):
    async with stage() as it:
        assert (await it.run("init")).status == 0
        text = (it.folder / "job.yaml").read_text()
        schema = json.loads((it.folder / "job.schema.json").read_text())
        ended = await it.run("validate", "job.yaml", "--json")
        assert ended.status == 0, str(ended)
        assert ended.json["valid"]
        assert ended.json["exports"] > 0
        again = await it.run("init")
        assert again.status == 2
        assert "exists already" in again.err
        assert (it.folder / "job.yaml").read_text() == text
        printed = await it.run("schema")
        assert printed.json == schema


async def test_validate_contacts_nobody_and_needs_no_token(stage):
    async with stage() as it:
        it.job(months=12, teams=("a", "b"))
        it.env.clear()
        ended = await it.run("validate", "job.yaml")
        assert ended.status == 0
        assert "24 exports" in ended.err
        assert not it.exports.exists()
        assert not it.requests()


async def test_status_tells_each_export_and_the_last_run(stage):
    async with stage(faults=[{"on": "create", "do": "status", "code": 400, "match": {"team": "id-bad"}}]) as it:
        it.job(months=2, teams=("good", "bad"))
        before = (await it.run("status", "job.yaml", "--json")).json
        assert before["counts"] == {"planned": 4, "stored": 0, "failed": 0, "pending": 0, "new": 4}
        assert before["last_run"] is None
        assert not it.exports.exists()
        report = await it.report(status=1)
        after = (await it.run("status", "job.yaml", "--json")).json
        assert after["counts"] == {"planned": 4, "stored": 2, "failed": 2, "pending": 0, "new": 0}
        assert after["last_run"]["run_id"] == report["run_id"]
        assert after["last_run"]["outcome"] == "failed"
        assert after["active_run"] is None
        failed = (await it.run("status", "job.yaml", "--json", "--only", "failed")).json
        assert {export["coordinates"]["team"] for export in failed["exports"]} == {"bad"}
        people = await it.run("status", "job.yaml")
        assert people.status == 0
        assert "bad 2020-01" in people.out
        assert "2 of 4 exports stored" in people.out


async def test_demo_runs_a_whole_backfill_without_an_account(stage):
    async with stage() as it:
        it.env.clear()
        ended = await it.run("demo")
        assert ended.status == 0, str(ended)
        assert "done, 30 exports stored" in ended.err
        assert "orchestrator init" in ended.err
        manifest = json.loads((it.folder / "demo" / "manifest.json").read_text())
        assert len(manifest["exports"]) == 30


async def test_demo_parks_too(stage):
    async with stage() as it:
        running = await it.start("demo")
        await running.says("exports to do")
        running.send(signal.SIGINT)
        ended = await running.ended()
        assert ended.status == 130
        assert "the next demo begins from the beginning" in ended.people


async def test_the_vendors_documented_snippet_works_against_simulate(stage):
    """POST, GET every so often, download, `json.loads`: nothing of this project's client is in it."""
    async with stage() as it:
        (it.folder / "scenario.yaml").write_text("duration: 0.3\nrows: 7\ntokens: [secret]\n")
        running = await it.start("simulate", "--port", "0", "--scenario", "scenario.yaml")
        base_url = await running.address()
        headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
        body = {
            "timezone": "Europe/Ljubljana",
            "start": 1693526400,
            "end": 1696118400,
            "resultFormat": "Json",
            "tagIds": None,
            "teamIds": None,
            "teammateIds": None,
            "customerIds": None,
        }
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{base_url}/api/v1/report/export", headers=headers, json=body) as response:
                assert response.status == 200
                export = await response.json()
            assert export["status"] == "Processing"
            assert export["url"] is None
            while export["status"] != "Completed":
                await asyncio.sleep(0.1)  # as the documentation has it, only faster
                url = f"{base_url}/api/v1/report/exports/{export['id']}"
                async with session.get(url, headers=headers) as response:
                    export = await response.json()
            async with aiohttp.ClientSession() as plain, plain.get(export["url"]) as response:
                assert len(json.loads(await response.text())) == 7
        running.send(signal.SIGINT)
        ended = await running.ended()
        assert ended.status in (0, 130)
        assert "Traceback" not in ended.err


async def test_a_client_that_goes_away_is_nothing_to_simulate(stage):
    async with stage() as it:
        (it.folder / "scenario.yaml").write_text("duration: 0\nrows: 50000\ndownload_rate: 1000000\n")
        running = await it.start("simulate", "--port", "0", "--scenario", "scenario.yaml")
        base_url = await running.address()
        it.job(months=2, api={"base_url": base_url})
        report = await it.report("job.yaml", "--deadline", "3s", status=3)
        assert report["counts"]["pending"] == 2
        running.send(signal.SIGINT)
        assert "Traceback" not in (await running.ended()).err


async def test_a_wrong_scenario_is_placed(stage):
    async with stage() as it:
        (it.folder / "scenario.yaml").write_text("duration: 1\nfaults:\n  - {on: download, do: explode}\n")
        ended = await it.run("simulate", "--port", "0", "--scenario", "scenario.yaml")
        assert ended.status == 2
        assert "scenario.yaml:3:" in ended.err
        assert "truncate" in ended.err
