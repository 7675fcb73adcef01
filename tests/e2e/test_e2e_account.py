"""Tokens that are wrong, renewed, or may not do this."""

import asyncio

import pytest

MANY = {"months": 30}


async def test_a_wrong_token_ends_the_run_at_once_without_a_storm(stage):
    async with stage(tokens=["another"]) as it:
        it.job(**MANY, limits={"requests_per_second": 5}, retry={"base": 1, "max": 60})
        began = asyncio.get_running_loop().time()
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 4
        assert asyncio.get_running_loop().time() - began < 10
        assert it.requests() <= 2
        report = ended.json
        assert report["outcome"] == "refused"
        assert report["error"]["code"] == "account.token"
        assert "401" in report["error"]["message"]
        assert "token" in report["error"]["hint"]
        assert report["counts"]["pending"] == 30
        assert report["error"]["message"] in ended.people
        assert report["error"]["hint"] in ended.people


async def test_a_token_that_is_renewed_in_its_file_goes_on_in_the_same_run(stage):
    async with stage(tokens=["first"]) as it:
        token = it.folder / "token"
        token.write_text("first\n")
        it.job(months=5, api={"token": "${file:token}"}, limits={"unfinished": 1})
        running = await it.start("run", "job.yaml", "--json")
        await it.until(lambda: it.sim.stats.downloads)
        token.write_text("second\n")
        it.change(tokens=["second"])
        ended = await running.ended()
        assert ended.status == 0, str(ended)
        assert [entry for entry in it.sim.stats.api if entry.status == 401]
        it.check_stored(5)


@pytest.mark.parametrize(("status", "code"), [(403, "account.forbidden"), (451, "account.unverified")])
async def test_an_account_that_may_not_ends_the_run(stage, status, code):
    async with stage(faults=[{"on": "create", "do": "status", "code": status}]) as it:
        it.job(**MANY, limits={"requests_per_second": 5})
        report = await it.report(status=4)
        assert report["outcome"] == "refused"
        assert report["error"]["code"] == code
        assert "planted" in report["error"]["cause"], "the service's own words"
        assert it.requests() <= 2


async def test_a_403_after_others_were_accepted_fails_that_export_alone(stage):
    forbidden = {"on": "create", "do": "status", "code": 403, "match": {"team": "id-secret"}}
    async with stage(faults=[forbidden]) as it:
        it.job(months=2, teams=("support", "secret"))
        report = await it.report(status=1)
        assert report["counts"] == {"planned": 4, "stored": 2, "skipped": 0, "failed": 2, "pending": 0}
        assert {export["error"]["code"] for export in report["exports"] if export["error"]} == {"request.forbidden"}
        it.check_stored(2)


async def test_a_token_that_is_not_set_is_told_before_anybody_is_contacted(stage):
    async with stage() as it:
        it.job()
        it.env.clear()
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 2
        assert "LOOP_API_TOKEN" in ended.json["errors"][0]["message"]
        assert not it.exports.exists()
        assert not it.requests()
        assert (await it.run("plan", "job.yaml")).status == 0, "plan needs no token"
