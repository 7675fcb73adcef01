"""Calls whose connection is ended at any byte of the request, and answers that come byte by byte. Counted at the host."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from api_servers import CLOCK, RawServer, answer, reset

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import Accepted, Broken, FileBroken, SignedUrl, Status

NETWORK = Network(timeout=20.0, proxy="none")
STEP = 3
"""Bytes between two places at which a request is cut."""


class Dropping:
    """Hears `at` bytes of each connection and ends it."""

    def __init__(self, end):
        self.at = 0
        self.end = end
        self.connections = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        self.connections += 1
        await reader.readexactly(self.at)
        if self.end == "rst":
            reset(writer)
        writer.close()


async def post(client, files, url):
    return await client.create({"timezone": "UTC"}, "ops@example.com")


async def get(client, files, url):
    return await client.get("5f3e", None)


async def fetch(client, files, url):
    try:
        async with files.open(SignedUrl(f"{url}/f?Signature=x"), offset=5, validator='"v1"') as body:
            return b"".join([block async for block in body.blocks])
    except FileBroken as error:
        return error


@contextlib.asynccontextmanager
async def both(url):
    async with (
        LoopClient(url, token=lambda: "token", network=NETWORK, clock=CLOCK) as client,
        FileHost(url, network=NETWORK, clock=CLOCK) as files,
    ):
        yield client, files


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("call", [post, get, fetch])
async def test_a_request_that_is_cut_off_anywhere_is_sent_once(call, end):
    async with RawServer(answer(500)) as whole, both(whole.url) as hosts:
        await call(*hosts, whole.url)
    length = len(whole.heads[0] + whole.bodies[0])
    async with Dropping(end) as server, both(server.url) as (client, files):
        for n, at in enumerate((*range(1, length, STEP), length), 1):
            server.at = at
            told = await call(client, files, server.url)
            assert server.connections == n, at
            assert isinstance(told, FileBroken if call is fetch else Broken)
            assert "closed the connection" in str(told) or "broke" in str(told)
            if call is not fetch:
                assert (told.sent, told.trusted, client.posts_sent + client.gets_sent) == (True, True, n)


@pytest.mark.parametrize("chunks", [False, True])
async def test_an_answer_that_comes_byte_by_byte_is_read_to_its_end(chunks):
    bodies = [b'{"id": "5f3e", "status": "Processing"}', b'{"status": "Completed", "url": null}', b'[{"row": 1}]']
    framed = [b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) for body in bodies]
    replies = [
        answer(200, body, "Transfer-Encoding: chunked", length=False) if chunks else answer(200, body)
        for body in (framed if chunks else bodies)
    ]

    async def dribble(head, reader, writer):
        reply = replies[len(server.heads) - 1]
        for n in range(len(reply)):
            writer.write(reply[n : n + 1])
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the far side reads in between

    async with RawServer(dribble) as server, both(server.url) as hosts:
        assert await post(*hosts, server.url) == Accepted("5f3e", "Processing")
        assert await get(*hosts, server.url) == Status("Completed")
        assert await fetch(*hosts, server.url) == bodies[2]
