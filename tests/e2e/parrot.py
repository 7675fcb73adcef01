"""A Loop that gives away whatever it hears: each error repeats the URL and the credentials, as they came and in three encodings."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import textwrap
import urllib.parse
from collections import Counter
from contextlib import closing, suppress

ROWS = b'[{"id": 1}]'


class Parrot:
    """An API and its file host on one port. `query` is what all signed URLs carry; `heard` is every byte that came.

    The first creations and the first asks of each kind go wrong, each in another way, and then all is well.
    """

    def __init__(self, query: str, moved_query: str) -> None:
        self.query = query
        self.moved_query = moved_query
        self.heard = bytearray()
        self.asked: Counter[str] = Counter()
        self.holds = asyncio.Event()
        """Set: answers no download any more."""
        self.ended = asyncio.Event()
        self.holding = asyncio.Event()

    async def __aenter__(self):
        self._tasks = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.ended.set()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            self.heard += head + await reader.readexactly(length)
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            kind = "create" if method == "POST" else "file" if target.startswith("/files/") else "ask"
            self.asked[kind] += 1
            writer.write(await getattr(self, f"_{kind}")(self.asked[kind], target, head))
            await writer.drain()

    async def _create(self, n, target, head):
        match n:
            case 1:
                return self._error(500, head, page=True)
            case 2:
                return self._error(429, head, "Retry-After: 0")
            case 3:
                return self._error(400, head)
        return _json({"id": f"r{n}", "status": "Processing", "url": None})

    async def _ask(self, n, target, head):
        match n:
            case 1:
                return self._error(503, head)
            case 2 | 3 | 4:
                odd = [f"Odd {self.url}/files/x?{self.query}", *_told(head)[1:]]
                return _json({"id": target.rsplit("/", 1)[1], "status": odd[n - 2], "url": None})
        report = target.rsplit("/", 1)[1]
        return _json({"id": report, "status": "Completed", "url": f"{self.url}/files/{report}?{self.query}"})

    async def _file(self, n, target, head):
        if self.holds.is_set():
            self.holding.set()
            await self.ended.wait()
        match n:
            case 1:
                return self._error(403, head, page=True)
            case 2:
                return self._error(302, head, f"Location: http://127.0.0.1:1/moved?{self.moved_query}")
            case 3:
                return self._error(200, head, page=True)
            case 4:
                return b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + ROWS
            case 5:
                return self._error(503, head, "Retry-After: 0")
        return _file()

    def _error(self, status, head, *headers, page=False):
        heard, *told = _told(head)
        if page:
            body = f"<html><title>{html.escape(' '.join(told))}</title>{' '.join(told)}</html>".encode()
        else:
            signed = f"{self.url}/files/x?{self.query}"
            body = json.dumps({"message": f"not so: {signed} {' '.join(told)}", "code": heard, "fields": told}).encode()
        kind = "text/html" if page else "application/json"
        length = f"Content-Length: {len(body)}"
        answer = [f"HTTP/1.1 {status} {heard}", f"Content-Type: {kind}", length, *headers, "", ""]
        return "\r\n".join(answer).encode("latin-1") + body


def _told(head):
    """The URL and the credentials, plain and then in every encoding; the short ones first, for what is said is cut off."""
    target = head.split(b" ")[1].decode("latin-1")
    lines = head.decode("latin-1").split("\r\n")
    heard = " ".join([*(line for line in lines if line.lower().startswith("authorization")), target])
    coded = base64.b64encode(heard.encode()).decode()
    told = [coded, "\n".join(textwrap.wrap(coded, 20)), "\n".join(textwrap.wrap(heard, 9)), heard.encode().hex()]
    return [heard, *told, urllib.parse.quote(heard, safe=""), heard]


def _json(answer):
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _file():
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ROWS) + ROWS
