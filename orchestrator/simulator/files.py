"""The file host: signed URL -> bytes, with ranges as RFC 9110 has them.

It is another host than the API's: a request that brings credentials is refused, as a signed URL request with two ways
to authenticate is by S3.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import OrderedDict

from aiohttp import web

from orchestrator.simulator.ledger import Download
from orchestrator.simulator.rows import Held, Source, make_result
from orchestrator.simulator.rules import Fault
from orchestrator.simulator.signing import Signer
from orchestrator.simulator.spoil import spoil
from orchestrator.simulator.wire import Reply, outage_reply, request_url, send, xml_reply
from orchestrator.simulator.world import Export, World

_PATH = "/RF_"
_KINDS = {
    "Json": "application/json",
    "Xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_SHELF = 8


class Files:
    """The handler of the file listener."""

    def __init__(self, world: World, signer: Signer) -> None:
        self._world = world
        self._signer = signer
        self._shelf: OrderedDict[str, Source] = OrderedDict()
        self._making = asyncio.Lock()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        world = self._world
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "authorization" in headers:
            headers["authorization"] = "(not noted)"
        entry = Download(at=world.now(), headers=headers)
        world.ledger.downloads.append(entry)
        return await send(world, request, await self._reply(request, entry), entry)

    async def _reply(self, request: web.BaseRequest, entry: Download) -> Reply:
        world = self._world
        if (outage := outage_reply(world, "files", entry)) is not None:
            return outage
        if request.method != "GET":
            return xml_reply(405, "MethodNotAllowed", "only GET is allowed")
        if "authorization" in entry.headers:
            return xml_reply(400, "InvalidArgument", "Only one auth mechanism allowed; the query is signed already")
        path, _, query = request.raw_path.partition("?")
        file_id = path.removeprefix(_PATH)
        export = world.files.get(file_id) if path.startswith(_PATH) else None
        if export is None or not self._signer.check(file_id, query, world.wall()):
            return xml_reply(403, "AccessDenied", "Access denied")
        entry.export = export.id
        if export.status(world.now()) != "Completed":
            return xml_reply(403, "AccessDenied", "Access denied")
        fault = world.rules.strike(
            "download",
            export.question,
            subject=export.subject,
            impersonate=export.impersonate,
            ranged="range" in entry.headers,
        )
        entry.fault = fault.do if fault is not None else None
        if fault is not None and fault.do == "etag_change":
            export.revision += 1
        reply = self._answer(export, await self._source(export), entry.headers, fault)
        return spoil(reply, fault, url=request_url(request), export=export.id)

    def _answer(self, export: Export, source: Source, headers: dict[str, str], fault: Fault | None) -> Reply:
        """The whole file, or the range that was asked for."""
        scenario = self._world.scenario
        etag = {"strong": f'"{export.etag()}"', "weak": f'W/"{export.etag()}"', "none": None}[scenario.etag]
        reply = Reply(
            body=source,
            headers={"Content-Type": _KINDS[export.question.format]},
            framing="chunked" if scenario.chunked else "length",
            rate=scenario.download_rate,
        )
        if etag is not None:
            reply.headers["ETag"] = etag
        if scenario.encoding == "gzip":
            reply.headers["Content-Encoding"] = "gzip"
        if not scenario.ranges:
            return reply
        reply.headers["Accept-Ranges"] = "bytes"
        careless = fault is not None and fault.careless
        condition = headers.get("if-range")
        # A weak validator never meets If-Range, not even itself: RFC 9110, 13.1.5.
        if condition is not None and not careless and (condition != etag or condition.startswith("W/")):
            return reply
        wanted = _range(headers.get("range"), source.length)
        if wanted is None:
            return reply
        reply.start, reply.stop = wanted
        if fault is not None and fault.do == "wrong_range":
            reply.start = reply.start - 1 if reply.start else min(1, reply.stop - 1)
        if reply.start >= reply.stop:
            refusal = xml_reply(416, "InvalidRange", "The requested range is not satisfiable")
            refusal.headers["Content-Range"] = f"bytes */{source.length}"
            return refusal
        reply.status = 206
        reply.headers["Content-Range"] = f"bytes {reply.start}-{reply.stop - 1}/{source.length}"
        return reply

    async def _source(self, export: Export) -> Source:
        """The file as it is sent. JSON rows are made while they are sent; what takes longer is made aside, and kept."""
        gzip = self._world.scenario.encoding == "gzip"
        if export.question.format == "Json" and not gzip:
            return make_result(export.question, export.scenario, export.revision)
        key = f"{export.file_id} {export.revision} {gzip}"
        async with self._making:
            if key not in self._shelf:
                self._shelf[key] = await asyncio.to_thread(_make, export, gzip)
            self._shelf.move_to_end(key)
            while len(self._shelf) > _SHELF:
                self._shelf.popitem(last=False)
            return self._shelf[key]


def _make(export: Export, gzip: bool) -> Source:
    source = make_result(export.question, export.scenario, export.revision)
    if not gzip:
        return source
    packer = zlib.compressobj(level=1, wbits=31)  # 31: with gzip's header and trailer, and no time of day in it
    parts = [packer.compress(block) for block in source.blocks(0, source.length)]
    return Held(b"".join([*parts, packer.flush()]))


def _range(header: str | None, length: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last; equal or crossed when it can't be satisfied.

    None when there is no range, or one that a server may pass over: several at once, or not of the known form.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return max(0, length - int(last)), length
    if last and int(last) < int(first):
        return None
    return int(first), min(length, int(last) + 1) if last else length
