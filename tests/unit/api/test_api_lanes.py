"""Connections that are kept between polls, over real sockets, with servers that are no help."""

from __future__ import annotations

import asyncio

import pytest
from api_servers import CLOCK, RawServer, answer, reset

from orchestrator.api import lanes
from orchestrator.api.client import LoopClient
from orchestrator.api.network import Network
from orchestrator.engine.ports import Accepted, Broken, Denied, NotFound, Status, Throttled


def client(base_url, timeout=20.0):
    return LoopClient(base_url, token=lambda: "t", network=Network(proxy="none", timeout=timeout), clock=CLOCK)


def told(report_id, status="Processing"):
    return answer(200, f'{{"id": "{report_id}", "status": "{status}"}}'.encode())


async def as_asked(head, reader, writer):
    """Tells of the very report that was asked for."""
    writer.write(told(head.split()[1].rpartition(b"/")[2].decode()))


async def until(seen):
    while not seen():  # noqa: ASYNC110  there is no event: it happens inside aiohttp
        await asyncio.sleep(0)


@pytest.fixture
def keeps_long(monkeypatch):
    """What these tests do between two polls may take its time."""
    monkeypatch.setattr("orchestrator.api.client.KEPT", 1000.0)


async def test_polls_one_after_the_other_go_out_on_one_connection(keeps_long):
    async with RawServer(as_asked, keep_alive=True) as server, client(server.url) as api:
        for report_id in ("a", "b", "c", "d"):
            assert await api.get(report_id, None) == Status("Processing")
        assert (server.came_on, api.gets_sent) == ([1, 1, 1, 1], 4)


async def test_polls_at_once_have_a_connection_each_and_the_freshest_is_taken_up_again(keeps_long):
    async with RawServer(as_asked, keep_alive=True) as server, client(server.url) as api:
        await asyncio.gather(api.get("a", None), api.get("b", None))
        assert sorted(server.came_on) == [1, 2]
        await api.get("c", None)
        await api.get("d", None)
        assert server.came_on[2] == server.came_on[3]


async def test_an_answer_in_pieces_holds_its_connection_to_its_end(keeps_long):
    """aiohttp gives a connection back as soon as the answer's last byte is here, before anybody has looked at it."""
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def in_pieces(head, reader, writer):
        whole = told("other")
        writer.write(whole[:-5])
        halfway.set()
        await go_on.wait()
        writer.write(whole[-5:])

    async with RawServer(in_pieces, as_asked, keep_alive=True) as server, client(server.url) as api:
        slow = asyncio.create_task(api.get("a", None))
        await halfway.wait()
        go_on.set()
        assert isinstance(await slow, Broken)
        assert await api.get("b", None) == Status("Processing")
        assert server.came_on == [1, 2]


async def test_a_post_and_a_poll_never_share_a_connection(keeps_long):
    async def either(head, reader, writer):
        writer.write(told("new")) if head.startswith(b"POST") else await as_asked(head, reader, writer)

    async with RawServer(either, keep_alive=True) as server, client(server.url) as api:
        for _ in range(3):
            assert await api.create({"resultFormat": "Json"}, None) == Accepted("new", "Processing")
            assert await api.get("a", None) == Status("Processing")
        posts = [number for number, head in zip(server.came_on, server.heads, strict=True) if head.startswith(b"POST")]
        assert len(set(posts)) == 3
        assert not set(posts) & {n for n, head in zip(server.came_on, server.heads, strict=True) if b"GET" in head[:3]}


@pytest.mark.parametrize(
    "proves_nothing",
    [
        answer(404),
        answer(429, b"", "Retry-After: 1"),
        answer(500, b"{}"),
        answer(200, b'{"status": "Processing"}'),
        told("another"),
        answer(200, b'{"id": "a"}'),
    ],
)
async def test_a_connection_is_given_up_when_its_answer_does_not_name_the_report(proves_nothing, keeps_long):
    async with RawServer(proves_nothing, as_asked, keep_alive=True) as server, client(server.url) as api:
        await api.get("a", None)
        assert await api.get("b", None) == Status("Processing")
        assert server.came_on == [1, 2]


@pytest.mark.parametrize("unasked", [answer(404), told("b", "Failed"), answer(401)])
async def test_what_comes_later_unasked_is_no_answer_to_the_next_question(unasked, keeps_long):
    more = asyncio.Event()

    async def talkative(head, reader, writer):
        writer.write(told("a"))
        await more.wait()
        writer.write(unasked)

    async with RawServer(talkative, as_asked, keep_alive=True) as server, client(server.url) as api:
        assert await api.get("a", None) == Status("Processing")
        more.set()
        (lane,) = api._lanes._free
        await until(lambda: lane._held.should_close)
        assert await api.get("b", None) == Status("Processing")
        assert await api.get("c", None) == Status("Processing")
        assert server.came_on == [1, 2, 3], "and a host that talks out of turn gets each question on its own"


async def test_a_host_that_closes_a_kept_connection_costs_no_poll(keeps_long):
    async with RawServer(told("a"), keep_alive=False) as server, client(server.url) as api:
        for _ in range(5):
            assert await api.get("a", None) == Status("Processing")
            (lane,) = api._lanes._free
            await until(lambda lane=lane: lane._held is None or not lane._held.is_connected())
        assert server.came_on == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_host_that_closes_just_when_it_is_asked_costs_one_poll_and_is_asked_no_second_time_by_itself(
    how, keeps_long, monkeypatch
):
    async def close(head, reader, writer):
        reset(writer) if how == "rst" else writer.close()

    async with RawServer(as_asked, close, as_asked, keep_alive=True) as server, client(server.url) as api:
        assert await api.get("a", None) == Status("Processing")
        broken = await api.get("b", None)
        assert isinstance(broken, Broken)
        assert (broken.sent, api.gets_sent, len(server.heads)) == (True, 2, 2)
        for report_id in ("b", "c", "d"):
            assert await api.get(report_id, None) == Status("Processing")
        assert server.came_on == [1, 1, 2, 3, 4], "none is kept for a while"
        api._lanes._wary_until -= lanes.WARY
        await api.get("e", None)
        await api.get("f", None)
        assert server.came_on[-2:] == [5, 5]


@pytest.mark.parametrize(
    ("news", "believed"),
    [
        (answer(404), NotFound()),
        (answer(403), Denied(403, "403 Forbidden")),
        (answer(401), Denied(401, "401 Unauthorized")),
        (answer(200, b'{"status": "Failed"}'), Status("Failed")),
    ],
)
async def test_news_that_names_no_report_is_believed_from_a_connection_of_its_own_alone(news, believed, keeps_long):
    async with RawServer(told("a"), news, news, keep_alive=True) as server, client(server.url) as api:
        await api.get("a", None)
        doubtful = await api.get("b", None)
        assert isinstance(doubtful, Broken)
        assert doubtful.trusted
        assert "asked again on a connection of its own" in doubtful.detail
        assert await api.get("b", None) == believed
        assert server.came_on == [1, 1, 2]


async def test_after_trouble_with_one_the_others_that_lie_ready_are_not_used_either(keeps_long):
    """Else the question that is asked again might come on one of them, and its answer be doubted a second time."""
    three = asyncio.Barrier(3)

    async def at_once(head, reader, writer):
        await three.wait()
        writer.write(answer(404)) if b"/lost" in head else await as_asked(head, reader, writer)

    scripts = [*[at_once] * 3, answer(404), at_once]
    async with RawServer(*scripts, keep_alive=True) as server, client(server.url) as api:
        await asyncio.gather(*(api.get(report_id, None) for report_id in "abc"))
        assert isinstance(await api.get("lost", None), Broken)
        answers = await asyncio.gather(*(api.get(report_id, None) for report_id in ("a", "b", "lost")))
        assert answers == [Status("Processing"), Status("Processing"), NotFound()]
        assert sorted(server.came_on[:3]) == [1, 2, 3]
        assert server.came_on[3] <= 3
        assert sorted(server.came_on[4:]) == [4, 5, 6]


async def test_silence_is_kept_whichever_question_it_was_the_answer_to(keeps_long):
    slower = answer(429, b"", "Retry-After: 7")
    async with RawServer(as_asked, slower, as_asked, keep_alive=True) as server, client(server.url) as api:
        await api.get("a", None)
        throttled = await api.get("b", None)
        assert isinstance(throttled, Throttled)
        assert throttled.wait == 7.0
        await api.get("c", None)
        await api.get("d", None)
        assert server.came_on == [1, 1, 2, 2], "that is no trouble with the connection"


async def test_a_connection_is_not_kept_beyond_its_time(monkeypatch):
    monkeypatch.setattr("orchestrator.api.client.KEPT", 0.0)
    async with RawServer(as_asked, keep_alive=True) as server, client(server.url) as api:
        await api.get("a", None)
        await asyncio.sleep(0)
        await api.get("b", None)
        assert server.came_on == [1, 2]


async def test_a_poll_that_was_let_go_of_leaves_no_connection_behind_for_the_next(keeps_long):
    heard, go_on = asyncio.Event(), asyncio.Event()

    async def slow(head, reader, writer):
        heard.set()
        await go_on.wait()
        writer.write(told("b", "Failed"))

    async with RawServer(as_asked, slow, as_asked, keep_alive=True) as server, client(server.url) as api:
        await api.get("a", None)
        polling = asyncio.create_task(api.get("b", None))
        await heard.wait()
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
        go_on.set()
        assert await api.get("b", None) == Status("Processing")
        assert server.came_on == [1, 1, 2]
