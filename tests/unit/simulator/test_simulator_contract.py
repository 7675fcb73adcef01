"""The simulator against what is known of the real service."""

import asyncio
import json
import time
import urllib.request
import uuid

import pytest

from orchestrator.simulator.rows import expected_result


def documented_snippet(base_url, body):
    """The vendor's way of using the service, written anew with nothing but the standard library; 10 s scaled down."""
    headers = {"Authorization": "Bearer my-token", "Content-Type": "application/json"}
    post = urllib.request.Request(
        f"{base_url}/api/v1/report/export", data=json.dumps(body).encode(), headers=headers, method="POST"
    )
    with urllib.request.urlopen(post) as answer:
        report = json.load(answer)
    seen = [report["status"]]
    while report["status"] in ("Processing", "PendingOrExpired"):
        time.sleep(0.01)
        with urllib.request.urlopen(
            urllib.request.Request(f"{base_url}/api/v1/report/exports/{report['id']}", headers=headers)
        ) as answer:
            report = json.load(answer)
        seen.append(report["status"])
    with urllib.request.urlopen(report["url"]) as answer:
        return json.loads(answer.read()), seen


async def test_the_documented_snippet_gets_its_rows(simulated, september):
    async with simulated(pending=0.05, duration=0.05, rows=7) as client:
        rows, seen = await asyncio.to_thread(documented_snippet, client.sim.base_url, september)
        assert len(rows) == 7
        assert list(dict.fromkeys(seen)) == ["Processing", "PendingOrExpired", "Completed"] or seen[-1] == "Completed"
        assert seen[0] == "Processing"
        assert client.sim.stats.posts[0].token_ok
        assert [poll.state for poll in client.sim.stats.polls] == seen[1:]


async def test_a_created_export_is_told_as_documented(simulated):
    async with simulated(duration=60) as client:
        answer = await client.post()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        told = json.loads(answer.body)
        assert told == {"id": str(uuid.UUID(told["id"])), "status": "Processing", "url": None}
        again = await client.get(told["id"])
        assert (again.status, json.loads(again.body)) == (200, told)


async def test_a_post_may_also_answer_201(simulated):
    async with simulated(created_status=201) as client:
        assert (await client.post()).status == 201


async def test_pending_comes_before_processing_and_expired_after_completed(simulated):
    async with simulated(pending=60) as client:
        report = json.loads((await client.post()).body)["id"]
        assert json.loads((await client.get(report)).body) == {"id": report, "status": "PendingOrExpired", "url": None}
    async with simulated(expires_after=0.001) as client:
        report = json.loads((await client.post()).body)["id"]
        while (told := json.loads((await client.get(report)).body))["status"] != "PendingOrExpired":
            assert told["status"] == "Completed"
        assert told["url"] is None


async def test_the_same_question_twice_is_two_exports_with_one_file(simulated, september):
    async with simulated() as client:
        urls = [await client.url(), await client.url()]
        assert urls[0].partition("?")[0] != urls[1].partition("?")[0]
        bodies = {(await client.download(url)).body for url in urls}
        assert len(bodies) == 1
        assert len(set(client.sim.stats.created)) == 2
        assert len(bodies.pop()) == expected_result(september, client.sim.scenario).bytes


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic Z29vZA=="}])
async def test_no_token_is_401(simulated, headers):
    async with simulated() as client:
        for answer in (await client.post(headers=headers), await client.get("x", headers=headers)):
            assert answer.status == 401
            assert json.loads(answer.body)["code"] == "unauthorized"
        assert client.sim.stats.created == []
        assert not client.sim.stats.posts[0].token_ok


async def test_only_listed_tokens_are_accepted_and_none_is_noted(simulated):
    async with simulated(tokens=["canary-token"]) as client:
        assert (await client.post()).status == 401
        assert (await client.post(headers={"Authorization": "Bearer canary-token"})).status == 200
        stats = await client.ask("GET", f"{client.sim.base_url}/_sim/stats")
        assert b"canary" not in stats.body


async def test_an_unknown_id_is_404_and_so_is_another_accounts(simulated):
    async with simulated() as client:
        report = json.loads((await client.post()).body)["id"]
        assert (await client.get(str(uuid.uuid4()))).status == 404
        assert (await client.get(report, headers={"Authorization": "Bearer other"})).status == 404
        assert (await client.get(report)).status == 200


async def test_other_paths_and_methods(simulated):
    async with simulated() as client:
        base = client.sim.base_url
        assert (await client.ask("GET", f"{base}/api/v1/report/export")).status == 405
        assert (await client.ask("DELETE", f"{base}/api/v1/report/exports/x")).status == 405
        assert (await client.ask("GET", f"{base}/")).status == 404
        assert (await client.ask("GET", f"{base}/_sim/else")).status == 404
        assert (await client.ask("PUT", f"{client.sim.files_url}/RF_x")).status == 405
        assert len(client.sim.stats.strays) == 3


@pytest.mark.parametrize("kind", [None, "text/plain"])
async def test_a_post_needs_its_content_type(simulated, september, kind):
    async with simulated() as client:
        headers = client.headers | ({"Content-Type": kind} if kind else {"Content-Type": "application/octet-stream"})
        assert (await client.post(data=json.dumps(september), headers=headers)).status == 415
        charset = client.headers | {"Content-Type": "application/json; charset=utf-8"}
        assert (await client.post(data=json.dumps(september), headers=charset)).status == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": None}, "start"),
        ({"start": "1693526400"}, "start"),
        ({"start": True}, "start"),
        ({"start": 1693526400.0}, "start"),
        ({"start": -1}, "start"),
        ({"end": 10**15}, "end"),
        ({"end": 1693526399}, "end"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": 7}, "timezone"),
        ({"timezone": ["UTC"]}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"resultFormat": "Csv"}, "resultFormat"),
        ({"resultFormat": None}, "resultFormat"),
        ({"resultFormat": ["Json"]}, "resultFormat"),
        ({"tagIds": "vip"}, "tagIds"),
        ({"teamIds": [1]}, "teamIds"),
        ({"teammateIds": [""]}, "teammateIds"),
        ({"customerIds": {"a": 1}}, "customerIds"),
        ({"customerIds": ["\ud800"]}, "customerIds"),
    ],
)
async def test_a_bad_request_names_its_fields(simulated, september, change, field):
    async with simulated() as client:
        answer = await client.post(september | change)
        told = json.loads(answer.body)
        assert (answer.status, list(told["fields"])) == (400, [field])
        assert told["message"]
        assert told["code"] == "validation_error"
        assert client.sim.stats.created == []


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_400(simulated, data):
    async with simulated() as client:
        headers = client.headers | {"Content-Type": "application/json"}
        assert (await client.post(data=data, headers=headers)).status == 400


async def test_all_wrong_fields_are_told_at_once_and_unknown_ones_are_let_pass(simulated, september):
    async with simulated() as client:
        answer = await client.post({"tagIds": 1, "timezone": "x"})
        assert set(json.loads(answer.body)["fields"]) == {"start", "end", "timezone", "tagIds"}
        assert (await client.post(september | {"colour": "red"})).status == 200
        nulls = dict.fromkeys(("timezone", "tagIds", "teamIds", "teammateIds", "customerIds"))
        assert (await client.post(september | nulls)).status == 200
        assert (await client.post({"start": 5, "end": 5})).status == 200


async def test_the_impersonated_user_is_noted(simulated):
    async with simulated() as client:
        await client.post(headers=client.headers | {"X-Impersonate-User": "ops@example.com"})
        await client.post()
        assert [post.impersonate for post in client.sim.stats.posts] == ["ops@example.com", None]
