"""Words of a server that try to write on the user's terminal: whatever they hold, no output obeys them."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing, suppress

import pytest
from secrets_hunt import files_below
from terminal import on_terminal

LINK = "\x1b]8;;https://evil.example\x1b\\click here\x1b]8;;\x07"
TRICKS = f"{LINK}\rFORGED\nFORGED\x1b[2K\x1b[999D\x1b[5mblink\x1bc\x1b[?1049h\x9b5m\x9d8;;x\x9c\x07\x08\x0b\x0c\x85\u2028FORGED\u202eDEGROF"
OBEYED = (
    b"\x1b]", b"\x1b[999D", b"\x1b[5m", b"\x1bc", b"\x1b[?1049h", b"\x07", b"\x08", b"\x0b", b"\x0c", b"\rFORGED", b"\nFORGED",
    *("\x9b".encode(), "\x9d".encode(), "\x85".encode(), "\u2028".encode(), "\u202e".encode()),
)  # fmt: skip


class Vandal:
    """Says its tricks wherever a service can say anything: messages, pages, reason phrases, statuses, titles of files."""

    async def __aenter__(self):
        self._created = 0
        self._asked = 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
            status, body = self._answer(*head.split(b" ")[:2])
            # Of what a head may hold, these are the tricks that reach the client at all.
            writer.write(
                b"HTTP/1.1 %d \x1b]8;;evil\x07\x9b5m\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            )
            await writer.drain()

    def _answer(self, method, target):
        if target.startswith(b"/files"):
            return 200, f"<html><title>{TRICKS}</title>".encode()
        if method == b"GET":
            self._asked += 1
            if self._asked == 1:
                return 500, f"<html><title>{TRICKS}</title>".encode()
            report = {"id": target.decode().rsplit("/", 1)[1], "status": TRICKS, "url": None}
            if self._asked > 2:
                report |= {"status": "Completed", "url": f"{self.url}/files/x?Signature=s"}
            return 200, json.dumps(report).encode()
        self._created += 1
        match self._created:
            case 1:
                return 500, TRICKS.encode()
            case 2:
                return 400, json.dumps({"message": TRICKS, "code": TRICKS, "fields": {TRICKS: [TRICKS]}}).encode()
        return 200, json.dumps({"id": f"r{self._created}", "status": TRICKS}).encode()


def obeyed(data):
    return [trick for trick in OBEYED if trick in data]


@pytest.mark.parametrize("how", [[], ["--verbose"], ["--log-format", "json", "--verbose"], ["--json", "--quiet"]])
async def test_what_a_service_says_is_never_obeyed(stage, how):
    async with Vandal() as vandal, stage() as it:
        it.job(months=2, api={"base_url": vandal.url}, retry={"exports": 0})
        ended = await it.run("run", "job.yaml", *how)
        assert ended.status == 1, str(ended)
        told = await it.run("status", "job.yaml")
        as_json = await it.run("status", "job.yaml", "--json")
        for said in (ended, told, as_json):
            assert obeyed(said.err.encode()) == [], repr(said.err)
            assert obeyed(said.out.encode()) == [], repr(said.out)
            assert b"\x1b" not in said.out.encode() + said.err.encode()
        assert "click here" in as_json.out, "the words themselves are told"
        assert {
            path: obeyed(data)
            for path, data in files_below(it.folder).items()
            if path.endswith(".json") and obeyed(data)
        } == {}


async def test_nor_by_the_live_view(stage):
    async with Vandal() as vandal, stage() as it:
        it.job(months=2, api={"base_url": vandal.url}, retry={"exports": 0})
        ended, terminal = await on_terminal(it, "run", "job.yaml")
        assert ended.status == 1
        assert b"\x1b[" in terminal.seen, "it is live"
        assert b"click here" in terminal.seen
        assert obeyed(bytes(terminal.seen)) == []
