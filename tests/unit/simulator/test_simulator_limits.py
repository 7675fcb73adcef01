"""Limits, outages, live changes, and the ledger that tells of them."""

import asyncio
import email.utils
import json
import urllib.error
import urllib.request

import aiohttp
import pytest

from orchestrator.errors import JobError
from orchestrator.simulator.ledger import Ledger, Poll
from orchestrator.simulator.question import read_question
from orchestrator.simulator.scenario import Outage, Scenario
from orchestrator.simulator.server import Simulator, serve


async def test_the_rate_limit_lets_the_burst_through_and_tells_the_rest_to_wait(simulated):
    limit = {"per_second": 0.01, "burst": 3, "retry_after": 2}
    async with simulated(rate_limit=limit, early_grace=0) as client:
        answers = [await client.post() for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].headers["Retry-After"] == "2"
        assert json.loads(answers[3].body)["code"] == "rate_limited"
        stats = client.sim.stats
        assert (stats.throttled, len(stats.early_requests), len(stats.created)) == (2, 1, 3)


async def test_the_rate_limit_fills_up_again(simulated):
    async with simulated(rate_limit={"per_second": 100, "retry_after": 0.01}) as client:
        assert (await client.post()).status == 200
        refused = await client.post()
        assert refused.headers.get("Retry-After") in ("0.01", None)
        while (await client.post()).status == 429:
            pass


@pytest.mark.parametrize(("seconds", "header"), [(1, "1"), (0.25, "0.25"), (3600, "3600"), (0, "0")])
async def test_retry_after_in_seconds(simulated, seconds, header):
    async with simulated(rate_limit={"per_second": 0.01, "retry_after": seconds}) as client:
        await client.post()
        assert (await client.post()).headers["Retry-After"] == header


async def test_retry_after_as_a_date_or_not_at_all(simulated):
    limit = {"per_second": 0.01, "retry_after": 90, "retry_after_form": "date"}
    async with simulated(rate_limit=limit, early_grace=0) as client:
        await client.post()
        headers = (await client.post()).headers
        wait = email.utils.parsedate_to_datetime(headers["Retry-After"]) - email.utils.parsedate_to_datetime(
            headers["Date"]
        )
        assert 90 <= wait.total_seconds() <= 91
        await client.post()
        assert len(client.sim.stats.early_requests) == 1
    async with simulated(rate_limit=limit | {"retry_after_form": "none"}, early_grace=0) as client:
        await client.post()
        assert "Retry-After" not in (await client.post()).headers
        await client.post()
        assert client.sim.stats.early_requests == []


async def test_a_post_beyond_the_unfinished_is_refused(simulated, september):
    async with simulated(max_unfinished=2, duration=60) as client:
        assert [(await client.post()).status for _ in range(3)] == [200, 200, 429]
        assert client.sim.stats.unfinished_peak == 2
        assert len(client.sim.stats.created) == 2
    async with simulated(max_unfinished=1, duration=0) as client:
        assert [(await client.post()).status for _ in range(3)] == [200, 200, 200]


def test_what_is_early_is_judged_by_every_announcement_still_in_force():
    ledger = Ledger(early_grace=0.1)
    assert ledger.early(0) is None
    ledger.announce(1, 2)
    ledger.announce(1.5, 1.9)
    assert ledger.early(1.75) == 0.75
    ledger.announce(1.5, 3)
    assert ledger.early(2) == 0.5
    assert ledger.early(3) is None
    ledger.polls += [Poll(at=1, export="a", early=0.05), Poll(at=2, export="a", early=0.2)]
    assert [entry.at for entry in ledger.early_requests] == [2]


def test_the_peak_is_of_any_one_second():
    ledger = Ledger(early_grace=0)
    assert ledger.requests_per_second_peak == 0
    ledger.polls += [Poll(at=at, export="a") for at in (0, 0.5, 1.0, 1.25, 1.499, 1.5, 9)]
    assert ledger.requests_per_second_peak == 4


async def test_stats_over_http_are_those_of_the_ledger(simulated, september):
    async with simulated() as client:
        await client.download(await client.url())
        answer = await client.ask("GET", f"{client.sim.base_url}/_sim/stats")
        told = json.loads(answer.body)
        assert told == json.loads(json.dumps(client.sim.stats.as_json()))
        assert told["counts"] == {
            "posts": 1, "polls": 1, "downloads": 1, "created": 1, "throttled": 0, "early": 0, "with_credentials": 0,
            "unfinished_peak": told["counts"]["unfinished_peak"], "requests_per_second_peak": 2, "bytes_sent": 60001,
        }  # fmt: skip
        assert told["posts"][0]["body"] == september
        assert told["posts"][0]["created"] == told["polls"][0]["export"] == told["downloads"][0]["export"]


async def test_latency_delays_answers_but_not_what_happens(simulated):
    async with simulated(latency=0.05) as client:
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(client.post())
        await client.until(lambda: client.sim.stats.created)
        waiting.cancel()
        await client.post()
        assert asyncio.get_running_loop().time() - began >= 0.05
        assert len(client.sim.stats.created) == 2


async def test_durations_are_the_same_in_each_rehearsal_and_new_for_each_creation(september):
    async def ends(seed):
        scenario = Scenario(seed=seed, duration={"min": 10, "max": 20}, pending=5)
        async with Simulator(scenario) as sim:
            world = sim._world
            question = read_question(september)
            made = [world.create(question, None, "t", "completed") for _ in range(3)]
            return [round(export.ends_at - export.starts_at, 6) for export in made]

    first = await ends(1)
    assert len(set(first)) == 3
    assert all(10 <= seconds <= 20 for seconds in first)
    assert await ends(1) == first
    assert await ends(2) != first


# outages


async def test_nobody_listens_and_then_the_same_port_does(simulated):
    async with simulated() as client:
        url = await client.url()
        client.sim.stop_listening("api")
        with pytest.raises(aiohttp.ClientConnectionError):  # the kept connection is reset, or a new one refused
            await client.post()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.post()
        assert (await client.download(url)).status == 200
        client.sim.stop_listening()
        client.sim.stop_listening()
        for ask in (client.post, lambda: client.download(url)):
            with pytest.raises(aiohttp.ClientConnectionError):
                await ask()
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask()
        await client.sim.listen_again()
        await client.sim.listen_again()
        assert (await client.post()).status == 200
        assert (await client.download(url)).status == 200


async def test_a_request_under_way_is_reset_when_listening_stops(simulated):
    async with simulated(latency=60) as client:
        waiting = asyncio.create_task(client.post())
        await client.until(lambda: client.sim.stats.created)
        client.sim.stop_listening()
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting


async def test_an_outage_of_refusals_by_the_clock(simulated):
    outages = [{"for": 0.15, "on": "api"}, {"at": 0.05, "for": 0.05}]
    async with simulated(outages=outages) as client:
        refused = 0
        while True:
            try:
                assert (await client.post()).status == 200
                break
            except aiohttp.ClientConnectionError:
                refused += 1
        assert refused
        assert client.sim.stats.posts[0].at >= 0.15
        assert (await client.download(await client.url())).status == 200


@pytest.mark.parametrize("mode", ["503", "500"])
async def test_an_outage_of_errors(simulated, mode):
    async with simulated() as client:
        url = await client.url()
        client.sim.swap(Scenario(outages=[Outage(**{"for": 60, "mode": mode, "on": "api"})]))
        answer = await client.post()
        assert (answer.status, answer.body[:5]) == (int(mode), b"<html")
        assert client.sim.stats.posts[-1].fault == f"outage {mode}"
        assert (await client.download(url)).status == 200
        client.sim.swap(Scenario(outages=[Outage(**{"for": 60, "mode": mode, "on": "files"})]))
        assert (await client.download(url)).status == int(mode)
        assert len(client.sim.stats.created) == 1


async def test_an_outage_of_resets(simulated):
    async with simulated(outages=[{"for": 60, "mode": "reset"}]) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.download(f"{client.sim.files_url}/RF_x")
        assert client.sim.stats.created == []


async def test_an_outage_that_hangs_drops_what_it_held(simulated):
    async with simulated(outages=[{"for": 0.1, "mode": "hang"}]) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post()
        assert client.sim.stats.posts[0].fault == "outage hang"
        assert (await client.post()).status == 200


async def test_a_scenario_is_swapped_over_http(simulated):
    async with simulated() as client:
        url = await client.url()
        at = f"{client.sim.base_url}/_sim/scenario"
        swapped = await client.ask("POST", at, data="tokens: [other]\nrows: 3")
        assert swapped.status == 200
        assert (await client.post()).status == 401
        assert len((await client.download(url)).body) == 60001
        assert (await client.ask("POST", at, json={})).status == 200
        assert (await client.post()).status == 200
        wrong = await client.ask("POST", at, data="rows: -1\nfoo: 1")
        assert wrong.status == 400
        assert [problem["key"] for problem in json.loads(wrong.body)["errors"]] == ["rows.min", "rows.max", "foo"]
        assert (await client.post()).status == 200


# the server itself


async def test_serve_is_ready_when_it_says_so_and_ends_when_cancelled():
    ready = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(Scenario(), "127.0.0.1", 0, 0, ready.set_result))
    sim = await ready

    def stats():
        with urllib.request.urlopen(f"{sim.base_url}/_sim/stats") as answer:
            return json.load(answer)["counts"]["posts"]

    assert await asyncio.to_thread(stats) == 0
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(stats)


async def test_a_port_that_is_taken_is_told():
    async with Simulator() as sim:
        port = int(sim.base_url.rpartition(":")[2])
        with pytest.raises(JobError) as raised:
            async with Simulator(port=port):
                pass
        assert str(port) in raised.value.message
        assert raised.value.code == "simulator.port"


@pytest.mark.parametrize(
    ("host", "port", "cause"),
    [("127.0.0.1", 99999, "from 0 to 65535"), ("127.0.0.1", -1, "from 0 to 65535"), ("\udcff", 0, "no host's name")],
)
async def test_what_can_be_no_port_is_told(host, port, cause):
    with pytest.raises(JobError, match=cause) as raised:
        async with Simulator(host=host, port=port):
            pass
    assert raised.value.code == "simulator.port"


async def test_ports_can_be_chosen_and_are_free_again_at_once():
    async with Simulator() as sim:
        ports = [int(url.rpartition(":")[2]) for url in (sim.base_url, sim.files_url)]
    for _ in range(2):
        async with Simulator(port=ports[0], files_port=ports[1]) as sim, aiohttp.ClientSession() as session:
            assert [sim.base_url, sim.files_url] == [f"http://127.0.0.1:{port}" for port in ports]
            async with session.get(f"{sim.base_url}/_sim/stats") as answer:
                assert answer.status == 200
