"""Carrying out a reply: what is sent, in which frame, and how the connection ends.

Handlers and faults only describe a `Reply`; here alone are sockets touched. Several of the ways to end are wrong on
purpose, since they are what a client meets in the field.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import HttpVersion11, web

from orchestrator.simulator.ledger import Download, Entry
from orchestrator.simulator.rows import BLOCK, Held, Source
from orchestrator.simulator.world import World

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_XML = {"Content-Type": "application/xml"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_RESET = struct.pack("ii", 1, 0)
EMPTY = Held(b"")


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer, or what stands in its place.

    The body sent is `body[start:stop]`, as far as `cut` bytes of it; after a cut the connection ends by `ending`.
    `silent`: nothing is sent at all, the connection just ends so. `wait` is a Retry-After in seconds and its form.
    """

    status: int = 200
    body: Source = EMPTY
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    start: int = 0
    stop: int | None = None
    framing: Literal["length", "chunked", "none"] = "length"
    cut: int | None = None
    ending: Literal["fin", "rst", "hang"] = "fin"
    silent: bool = False
    delay: float = 0
    rate: float | None = None
    wait: tuple[float, Literal["seconds", "date"]] | None = None

    @property
    def length(self) -> int:
        """Bytes of the body when it is not cut."""
        return (self.body.length if self.stop is None else self.stop) - self.start


def json_reply(status: int, payload: Any) -> Reply:
    return Reply(status=status, body=Held(json.dumps(payload).encode()), headers=dict(_JSON))


def error_reply(status: int, code: str, message: str, fields: dict[str, str] | None = None) -> Reply:
    """An error of the API: a message, a code and the fields at fault."""
    return json_reply(status, {"message": message, "code": code, "fields": fields or {}})


def html_reply(status: int) -> Reply:
    """What a proxy before the service answers."""
    return Reply(status=status, body=html_page(status), headers=dict(_HTML))


def html_page(status: int) -> Held:
    return Held(f"<html><head><title>{status}</title></head><body><h1>Error {status}</h1></body></html>\n".encode())


def xml_reply(status: int, code: str, message: str) -> Reply:
    """An error of the file host, in the form of CloudFront and S3."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status=status, body=Held(text.encode()), headers=dict(_XML))


def request_url(request: web.BaseRequest) -> str:
    """The URL as the client wrote it, byte for byte."""
    return f"http://{request.host}{request.raw_path}"


def outage_reply(world: World, listener: Literal["api", "files"], entry: Entry) -> Reply | None:
    """What this listener does instead of answering while it is in an outage."""
    outage = world.outage(listener)
    if outage is None:
        return None
    entry.fault = f"outage {outage.mode}"
    if outage.mode in ("500", "503"):
        return html_reply(int(outage.mode))
    if outage.mode == "hang":
        return Reply(silent=True, delay=outage.at + outage.for_ - world.elapsed())
    return Reply(silent=True, ending="rst")


class _Unframed(web.StreamResponse):
    # aiohttp would send chunks where no length is given; this is its own switch for bodies it must leave alone.
    _length_check = False


async def send(world: World, request: web.BaseRequest, reply: Reply, entry: Entry) -> web.StreamResponse:
    """Carry the reply out and note in `entry` what was sent."""
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if reply.silent:
        return await _end(request, reply.ending)
    headers = dict(reply.headers)
    if reply.wait is not None:
        headers |= world.announce(*reply.wait)
    entry.status = reply.status
    if isinstance(reply.body, Held) and reply.framing == "length" and reply.cut is None and reply.rate is None:
        data = reply.body.data[reply.start : reply.stop]
        if isinstance(entry, Download):
            entry.sent, entry.ended = len(data), world.now()
        return web.Response(status=reply.status, reason=reply.reason, body=data, headers=headers)
    response = await _stream(request, reply, headers, entry)
    if isinstance(entry, Download) and reply.cut is None:
        entry.ended = world.now()
    return response


async def _stream(request: web.BaseRequest, reply: Reply, headers: dict[str, str], entry: Entry) -> web.StreamResponse:
    kind = _Unframed if reply.framing == "none" else web.StreamResponse
    response = kind(status=reply.status, reason=reply.reason, headers=headers)
    if reply.framing == "length":
        response.content_length = reply.length
    elif reply.framing == "chunked" and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    if reply.cut is not None and request.transport is not None:
        request.transport.set_write_buffer_limits(0)  # so that drain() below means: all is with the kernel
    writer = await response.prepare(request)
    stop = reply.start + (reply.length if reply.cut is None else min(reply.cut, reply.length))
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    for block in _pieces(reply.body.blocks(reply.start, stop), reply.rate):
        await response.write(block)
        sent += len(block)
        if isinstance(entry, Download):
            entry.sent = sent
        if reply.rate is not None:
            await asyncio.sleep(began + sent / reply.rate - loop.time())
    if reply.cut is not None:
        if writer is not None:
            await writer.drain()
        return await _end(request, reply.ending)
    await response.write_eof()
    return response


def _pieces(blocks: Iterator[bytes], rate: float | None) -> Iterator[bytes]:
    """The blocks themselves; for a slow download in pieces of a twentieth of a second."""
    if rate is None:
        yield from blocks
        return
    size = max(1, min(BLOCK, int(rate / 20)))
    for block in blocks:
        for at in range(0, len(block), size):
            yield block[at : at + size]


async def _end(request: web.BaseRequest, ending: Literal["fin", "rst", "hang"]) -> web.StreamResponse:
    """End the connection. The response that is returned goes nowhere: aiohttp finds the transport closed."""
    if ending == "hang":
        await asyncio.Event().wait()  # until the client goes away or the server closes: both cancel this task
    if request.transport is not None:
        break_off(request.transport, reset=ending == "rst")
    return web.Response()


def break_off(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close a connection, by a FIN after what was written, or by an RST."""
    if not reset:
        transport.close()
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
