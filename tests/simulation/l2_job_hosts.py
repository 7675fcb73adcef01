"""The service of level L1 as hosts of level L2: what it means is written in raw bytes, and spoilt on its way by the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import l2_hosts
from l2_faults import CONNECT, SPAN, WIRE, Reply, head, spoilt, written
from l2_hosts import CUTS, RANGES, ranged
from l2_wire import Act, Connection, Data, End, Request, Wait
from service import TOKEN, FileReply
from service import Reply as Said

from orchestrator.api.wire import status_path

if TYPE_CHECKING:
    from evidence import Call
    from l2_job_calls import Exchange
    from l2_jobs import JobWorld

KINDS = (*WIRE, *CONNECT, *RANGES, "206 unasked", "file redirect", "no length", "other id")
"""What the wire does to a job, beyond what `faults.ALL` lets the service do."""
RARE = 0.05
"""How often a host can't be trusted, beside how often it can't be reached: that ends a run, and nothing comes after it."""


class JobHost:
    def __init__(self, world: JobWorld, name: str) -> None:
        self.world = world
        self.name = name
        self.heard = world.evidence.heard.setdefault(name, bytearray())

    def connecting(self) -> str | None:
        """A host that answers nobody lets nobody in, as a rule; the service knows the other ways to be down."""
        world = self.world
        if world.service.is_down(self.name) and world.service.chance.random() < 0.5:
            return world.service.chance.choice(("refused", "black hole"))
        return world.blows("refused", "black hole", share=0.3) or world.blows("tls", share=RARE)

    def _play(self, request: Request, exchange: Exchange, reply: Reply, acts: list[Act]) -> list[Act]:
        reply.goes_out_on(request.connection, exchange.report if exchange.kind == "get" else None)
        exchange.replies.append(reply)
        told = ", ".join(str(part) for part in (reply.status or "nothing", reply.kind, reply.fault) if part)
        self.world.note(f"wire: the {self.name} host hears {request.method} and answers {told}")
        return [Wait(self.world.service.latency()), *acts]

    def _silence(self, reply: Reply, after: float) -> list[Act]:
        """Nobody says anything: the connection ends, or nothing ever comes."""
        reply.head_whole = reply.body_whole = False
        return [Wait(SPAN)] if after else [End(reset=self.world.service.chance.random() < 0.5)]


class ApiHost(JobHost):
    def answer(self, request: Request) -> list[Act]:
        world, service = self.world, self.world.service
        exchange: Exchange = request.connection.asked_by
        call = exchange.call
        assert call is not None, "a question for a file came to the API"
        call.token = int(request.headers["authorization"].removeprefix(f"Bearer {TOKEN}"))
        if request.method == "POST":
            asked = json.loads(request.body)
            assert request.target == "/api/v1/report/export"
            assert world.key_of(asked, request.headers.get("x-impersonate-user")) == call.key, (
                "another question was sent"
            )
            said, kind = service.post(call, asked), None
        else:
            assert request.target == status_path(str(call.report_id))
            said, kind = service.get(call, str(call.report_id)), None
            if said.status == 200 and (other := self._other(call)) is not None:
                said, kind = other, "other id"
        reply = Reply(said.status, list((said.headers or {}).items()), said.body, kind, wait=said.wait)
        if said.broke is not None:
            acts = self._silence(reply, said.after)
        elif (fault := world.blows(*WIRE)) is not None:
            acts = spoilt(reply, fault, world.wire.chance)
        else:
            acts = written(reply, world.wire.chance)
        acts = self._play(request, exchange, reply, acts)
        if request.method == "POST" and not world.dead:
            world.point("post arrived")
        return acts

    def _other(self, call: Call) -> Said | None:
        """An answer about another report than the one asked for: somebody between here and there mixes up what it sends."""
        world = self.world
        others = [id_ for id_ in world.evidence.reports if id_ != call.report_id]
        if not others or not world.blows("other id", share=0.5):
            return None
        said = world.service.get(call, world.wire.chance.choice(others))
        return said if said.status == 200 else None


class FileHosts(JobHost):
    """The file host, and the one to which it redirects."""

    def answer(self, request: Request) -> list[Act]:
        world, chance = self.world, self.world.wire.chance
        exchange: Exchange = request.connection.asked_by
        assert exchange.download is not None, "a question for the API came to the file host"
        assert request.target == exchange.target, "not as it was signed"
        assert set(request.headers) <= l2_hosts.OF_A_DOWNLOAD
        if world.blows("file redirect"):
            reply = Reply(chance.choice((301, 302, 303, 307, 308)), [("Location", f"https://cdn.test{request.target}")])
            return self._play(request, exchange, reply, written(reply, chance))
        made = world.evidence.reports[exchange.download.report_id]
        said = world.service.file(made, exchange.dies_at)
        exchange.corrupt = said.outcome == "corrupt"
        if said.outcome in ("refused", "broken"):
            headers = [] if said.wait is None else [("Retry-After", f"{said.wait:.0f}")]
            reply = Reply(said.status, headers, b"no", wait=said.wait)
            acts = self._silence(reply, 0.0) if said.status == 0 else self._sent(reply, may_gzip=True)
        else:
            reply, acts = self._file(request, said)
        return self._play(request, exchange, reply, acts)

    def _file(self, request: Request, said: FileReply) -> tuple[Reply, list[Act]]:
        world, chance = self.world, self.world.wire.chance
        optional = (("ETag", said.etag), ("Content-Encoding", said.encoding))
        headers = [("Content-Type", "application/json"), *((name, value) for name, value in optional if value)]
        kind = world.blows(*RANGES, share=2.0) if "range" in request.headers else world.blows("206 unasked")
        reply, may_gzip = ranged(request, said.data, headers, kind, chance)
        reply.kind = kind
        if said.cut is not None or said.slow:
            return reply, self._by_the_service(reply, said)
        return reply, self._sent(reply, may_gzip=may_gzip and said.encoding is None)

    def _by_the_service(self, reply: Reply, said: FileReply) -> list[Act]:
        """The body that the service itself cuts, or sends in pieces minutes apart."""
        chance, body = self.world.service.chance, reply.body
        first = Data(head(reply.status, [*reply.headers, ("Content-Length", str(len(body)))]))
        if said.cut is not None:
            reply.fault, reply.body_whole = "file cut", said.cut >= len(body)
            return [first, Data(body[: said.cut]), End(reset=chance.random() < 0.5)]
        reply.fault, size = "file slow", len(body) // 3 + 1
        pieces = [(Wait(chance.uniform(10, 60)), Data(body[at : at + size])) for at in range(0, len(body), size)]
        return [first, *(act for piece in pieces for act in piece)]

    def _sent(self, reply: Reply, *, may_gzip: bool) -> list[Act]:
        world, chance = self.world, self.world.wire.chance
        # Cuts come oftener here: half a file is what a resumption begins with.
        fault = world.blows(*CUTS, share=2.0) or world.blows(*WIRE)
        if fault is not None:
            return spoilt(reply, fault, chance)
        # A body whose end can't be told is refused, so that without faults there must be none.
        return written(reply, chance, may_gzip=may_gzip, delimited=not world.blows("no length"))


def began(connection: Connection) -> None:
    """The first byte of a question is sent: it counts, whatever becomes of it."""
    exchange: Exchange = connection.asked_by
    if exchange.call is not None:
        exchange.call.sent += 1
