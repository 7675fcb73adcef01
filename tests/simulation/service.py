"""An in-memory Loop: the export API and the file host, with all their truth and all their moods.

Answers of the API are made as HTTP would bring them (status, headers, body) and read by the real `api/wire.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from evidence import Call, Download, Made
from faults import FILES, GET, POST

from orchestrator.api.wire import create_answer, status_answer
from orchestrator.engine.ports import (
    Body,
    Broken,
    CreateAnswer,
    FileBroken,
    FileRefused,
    SignedUrl,
    StatusAnswer,
    Throttled,
)

if TYPE_CHECKING:
    from world import World

TOKEN = "CANARYTOKEN"
SIGNATURE = "CANARYSIGNATURE"
HTML = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>" + b"x" * 200 + b"</body></html>"


@dataclass
class Reply:
    """What comes back: an HTTP answer, or how the connection broke."""

    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    broke: Broken | None = None
    after: float = 0.0
    """Seconds that it takes beyond the usual."""
    wait: float | None = None
    """What its Retry-After asks for, in truth."""


@dataclass
class FileReply:
    """What the file host answers, before anything on the way has its turn."""

    status: int
    """0: the connection never opens."""
    outcome: str
    """What a download that ends with it comes to: `refused`, `broken`, `corrupt`; `let go` if it may become whole."""
    data: bytes = b""
    """The body of a 200, encoded; all of it, wherever a range begins."""
    encoding: str | None = None
    etag: str | None = None
    cut: int | None = None
    """Bytes after which the body ends too early."""
    slow: bool = False
    wait: float | None = None


class Service:
    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.token = 0
        """The generation of the token that is good now."""
        self.source = 0
        """The generation that can be read where the token comes from."""
        self.source_mended_at = 0.0
        self.unverified_until = 0.0
        self.down: dict[str, tuple[float, float]] = {}
        """Host → from when until when it answers nobody."""
        self.signed: dict[str, tuple[str, float]] = {}
        """Signature → report id and when it dies."""
        self.lies: dict[str, tuple[str, float]] = {}
        """Reports about which a lie was told last, which, and until when: then the truth is due, for two that are apart from
        each other are what being gone looks like.
        """
        self.busy_until = 0.0
        """Until when the file host is likely to ask for silence again."""
        self.cut: set[str] = set()
        """Reports whose latest download was cut."""

    # -------------------------------------------------------------------------------------------------------- create

    def post(self, call: Call, request: Mapping[str, Any]) -> Reply:
        """The request arrives."""
        weather, key = self.world.weather, call.key
        assert key is not None
        if (reply := self._nobody("api")) is not None:
            return reply
        kind = weather.one_of(POST)
        if kind == "post refused":
            return Reply(broke=Broken("the connection was refused", sent=False))
        if kind == "post reset before":
            return Reply(broke=Broken("the connection was reset"))
        if (reply := self._account(call)) is not None:
            return reply
        poison = self.world.evidence.poisoned.get(key)
        if poison == "poison 400":
            weather.hit(poison)
            return self._reply(400, {"message": "unknown inbox", "code": "invalid"})
        if poison == "poison 403":
            weather.hit(poison)
            return self._reply(403, {"message": f"not yours, {TOKEN}{self.token}"})
        match kind:
            case "post 429" | "post 429 without time" | "post 429 long":
                return self._throttle(429, kind)
            case "post 503 with time":
                return self._throttle(503, kind)
            case "post 5xx":
                return Reply(self.chance.choice((500, 502, 503)), {}, self.chance.choice((HTML, b"{}")))
        made = self._make(key, request)
        call.made = made.id
        match kind:
            case "post 5xx after":
                return self._reply(500, {"message": f"oops {TOKEN}{self.token}"})
            case "post reset after":
                return Reply(broke=Broken("the connection was reset"))
            case "post timeout":
                return Reply(broke=Broken("no answer within 30 s"), after=30.0)
            case "post odd 2xx":
                body = self.chance.choice((b"", HTML, b'{"status": "Processing"}', b'{"id": 7}', b'{"id": "x'))
                return Reply(self.chance.choice((200, 201, 202, 204)), {}, body)
        return self._reply(self.chance.choice((200, 201)), {"id": made.id, "status": "Processing", "url": None})

    def _make(self, key: str, request: Mapping[str, Any]) -> Made:
        weather, chance, now = self.world.weather, self.chance, self.world.now
        reports = self.world.evidence.reports
        poison = self.world.evidence.poisoned.get(key)
        if poison is not None:
            weather.hit(poison)
        starts_at = now + (chance.uniform(5, 200) if weather.strikes("pending first") else 0.0)
        done_at = starts_at + chance.choice((chance.uniform(1, 30), chance.uniform(10, 120)))
        if weather.strikes("late"):
            done_at = starts_at + self.world.policy.retry.stuck_after * chance.uniform(1.05, 1.5)
        if weather.strikes("stuck", 0.5) or poison == "poison stuck":
            done_at = math.inf
        failed = weather.strikes("failed") or poison == "poison failed"
        lifetime = chance.uniform(60, 400) if weather.strikes("expires soon") else chance.uniform(4, 48) * 3600
        gone_as = chance.choice(("PendingOrExpired", "PendingOrExpired", "Expired", "404"))
        made = Made(f"R{len(reports):03}", key, now, starts_at, done_at, failed, done_at + lifetime, gone_as)
        count = 5 if "same size" in weather else chance.randint(0, 30)
        rows = [{"row": n, "report": made.id, "start": request["start"]} for n in range(count)]
        made.versions.append(json.dumps(rows).encode())
        made.corrupt = poison == "poison content"
        reports[made.id] = made
        self.world.note(f"service creates {made.id} for {self.world.name(key)}")
        return made

    # ----------------------------------------------------------------------------------------------------------- get

    def get(self, call: Call, report_id: str) -> Reply:
        weather, chance, now = self.world.weather, self.chance, self.world.now
        if (reply := self._nobody("api")) is not None:
            return reply
        if (reply := self._account(call)) is not None:
            return reply
        made = self.world.evidence.reports.get(report_id)
        if made is None:
            return self._reply(404, {"message": "unknown"})
        alive = made.starts_at <= now < made.gone_at
        match weather.one_of({kind: "" for kind in GET if kind in weather}):
            case "get 429" | "get 429 without time" as kind:
                return self._throttle(429, kind)
            case "get 503 with time" as kind:
                return self._throttle(503, kind)
            case "get 5xx":
                return Reply(chance.choice((500, 502, 503, 504)), {}, chance.choice((HTML, b"{}", b"")))
            case "get reset":
                return Reply(broke=Broken("the connection was reset"))
            case "get timeout":
                return Reply(broke=Broken("no answer within 30 s"), after=30.0)
            case "get unknown status":
                return self._reply(200, {"id": made.id, "status": "Archiving", "url": None})
            case "get 404 a while" | "get pending a while" as kind if alive and made.id not in self.lies:
                # Shorter than what lies between two reads that prove something, however late they are answered.
                self.lies[made.id] = kind, now + chance.uniform(0.0, self.world.policy.polling.every - 3.5)
        kind, until = self.lies.get(made.id, ("", 0.0))
        if now <= until:
            if kind == "get 404 a while":
                return self._reply(404, {"message": "unknown"})
            return self._reply(200, {"id": made.id, "status": "PendingOrExpired", "url": None})
        self.lies.pop(made.id, None)
        status, url = "Processing", None
        if now >= made.gone_at:
            if made.gone_as == "404":
                return self._reply(404, {"message": "unknown"})
            status = made.gone_as
        elif now < made.starts_at:
            status = "PendingOrExpired"
        elif now >= made.done_at:
            status = "Failed" if made.failed else "Completed"
            if status == "Completed" and not weather.strikes("no url"):
                url = self._sign(made)
        return self._reply(200, {"id": made.id, "status": status, "url": url, "extra": 1})

    def _sign(self, made: Made) -> str:
        life = self.chance.uniform(1, 10) if self.world.weather.strikes("url short") else 3600.0
        signature = f"{SIGNATURE}{len(self.signed)}~%2F%7e+%41"  # signed byte by byte
        self.signed[signature] = made.id, self.world.now + life
        return f"https://files.test/RF_{made.id}?Expires=1&Signature={signature}&Key-Pair-Id=K"

    # ---------------------------------------------------------------------------------------------------------- file

    def file(self, made: Made, dies_at: float, beside: int = 0) -> FileReply:
        """What the file host has to say to a signed URL that dies at that time, `beside` other downloads under way."""
        weather, chance, now = self.world.weather, self.chance, self.world.now
        if self.is_down("files"):
            return FileReply(502 if chance.random() < 0.5 else 0, "broken")
        if now >= dies_at or now >= made.gone_at or weather.strikes("file 403"):
            return FileReply(chance.choice((403, 404, 410)), "refused")
        kind = weather.one_of({name: "" for name in FILES if name not in ("url short", "file 403") and name in weather})
        if made.id in self.cut and "file changed" in weather and not weather.calm and chance.random() < 0.4:
            kind = "file changed"  # where it hurts: there is something to go on from
            weather.hit(kind)
        self.cut.discard(made.id)
        if now < self.busy_until and not weather.calm and chance.random() < 0.7:
            kind = "file 503 with time"  # who asks for silence once does so again when all come back together
            weather.hit(kind)
        if beside and "file crowd" in weather and not weather.calm and chance.random() < 0.5:
            kind = "file 503 with time"
            weather.hit("file crowd")
        if kind in ("file refused", "file 5xx"):
            return FileReply(0 if kind == "file refused" else 500, "broken")
        if kind == "file 503 with time":
            self.busy_until = now + 120.0
            return FileReply(503, "broken", wait=float(chance.randint(1, 60)))
        if kind == "file changed":
            rows = [{"row": n, "report": made.id, "again": len(made.versions)} for n in range(chance.randint(0, 30))]
            made.versions.append(json.dumps(rows).encode())
        data, outcome = made.versions[-1], "let go"
        if made.corrupt or kind == "file corrupt":
            data, outcome = chance.choice((HTML, data[: len(data) // 2], b"", b'{"message": "not found"}')), "corrupt"
        encoding = None
        if "gzip" in weather:
            data, encoding = gzip.compress(data, mtime=0), "gzip"
        etag = None if "no etag" in weather else f'"{made.id}-{len(made.versions)}-{len(data)}-{encoding}"'
        cut = chance.randint(0, len(data)) if kind == "file cut" else None
        if cut is not None:
            self.cut.add(made.id)
        return FileReply(200, outcome, data, encoding, etag, cut, slow=kind == "file slow")

    # ---------------------------------------------------------------------------------------------------- both calls

    def _reply(self, status: int, body: Mapping[str, Any]) -> Reply:
        return Reply(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _throttle(self, status: int, kind: str) -> Reply:
        chance = self.chance
        if kind.endswith("without time"):
            headers = chance.choice(({}, {"Retry-After": "0"}, {"Retry-After": "soon"}, {"retry-after": "-5"}))
            return Reply(status, headers, b"")
        longest = int(self.world.policy.limits.longest_pause)
        wait = longest + chance.randint(10, 400) if kind.endswith("long") else chance.randint(1, min(60, longest))
        if chance.random() < 0.3:
            now = int(self.world.now)
            headers = {
                "Date": formatdate(now, usegmt=True),
                "Retry-After": formatdate(now + wait, usegmt=True),
            }
        else:
            headers = {chance.choice(("Retry-After", "retry-after")): str(wait)}
        return Reply(status, headers, b'{"message": "slow down"}', wait=float(wait))

    def _account(self, call: Call) -> Reply | None:
        weather, now, process = self.world.weather, self.world.now, self.world.process
        if now >= self.source_mended_at:
            self.source = self.token
        if weather.strikes("token rotates", 0.1):
            self.token += 1
            self.source, self.source_mended_at = self.token, now
        elif weather.strikes("token dead", 0.05):
            self.token += 1
            self.source_mended_at = now + self.chance.uniform(60, 7200)
        elif weather.strikes("unverified", 0.05):
            self.unverified_until = now + self.chance.uniform(60, 7200)
        if process is not None and call.token != self.token:
            process.refusals += self.source != self.token  # else a better one could have been read
            return self._reply(401, {"message": f"the token {TOKEN}{call.token} is no good"})
        if now < self.unverified_until:
            if process is not None:
                process.refusals += 1
            return self._reply(451, {"message": "not verified"})
        return None

    def _nobody(self, host: str) -> Reply | None:
        """The host answers nobody at the moment."""
        if not self.is_down(host):
            return None
        match self.chance.randrange(3):
            case 0:
                return Reply(broke=Broken("the connection was refused", sent=False))
            case 1:
                return Reply(self.chance.choice((500, 502, 503)), {}, HTML)
            case _:
                return Reply(broke=Broken("no answer within 30 s"), after=30.0)

    def is_down(self, host: str) -> bool:
        began, ends = self.down.get(host, (0.0, 0.0))
        return began <= self.world.now < ends and not self.world.weather.calm

    def latency(self) -> float:
        return min(3.0, 0.005 + self.chance.expovariate(10.0))


class SimApi:
    """Implements `ExportApi` for one process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.service = world.service
        self.token = self.service.source
        self.posts_sent = 0
        self.gets_sent = 0

    async def create(self, request: Mapping[str, Any], identity: str | None) -> CreateAnswer:
        world = self.world
        world.alive()
        self.posts_sent += 1
        call = world.call("POST", world.key_of(request, identity))
        call.token = self.token
        world.point("post sent")
        answer = await self._exchange(call, request)
        assert not isinstance(answer, Reply)
        return answer  # type: ignore[return-value]  # a POST's reply is read as one

    async def get(self, report_id: str, identity: str | None) -> StatusAnswer:
        world = self.world
        world.alive()
        self.gets_sent += 1
        made = world.evidence.reports.get(report_id)
        call = world.call("GET", made.key if made else None, report_id)
        call.token = self.token
        world.point("get sent")
        return await self._exchange(call, None)  # type: ignore[return-value]  # as above

    async def renew_credentials(self) -> bool:
        self.world.alive()
        await asyncio.sleep(0)
        before, self.token = self.token, self.service.source
        return before != self.token

    async def _exchange(self, call: Call, request: Mapping[str, Any] | None) -> CreateAnswer | StatusAnswer:
        world, service = self.world, self.service
        token = self.token
        if request is not None:
            world.under_way[call.seq] = call, request
        await asyncio.sleep(service.latency())
        world.alive()
        world.under_way.pop(call.seq, None)
        reply = service.post(call, request) if request is not None else service.get(call, str(call.report_id))
        if request is not None:
            world.point("post arrived")
        await asyncio.sleep(service.latency() + reply.after)
        world.alive()
        if reply.broke is not None:
            answer: CreateAnswer | StatusAnswer = reply.broke
        else:
            read = create_answer if request is not None else status_answer
            answer = read(reply.status, reply.headers or {}, reply.body, now=world.wall(), secret=f"{TOKEN}{token}")
        world.answered(
            call, answer, reply.wait, truly_sent=reply.broke is None or reply.broke.sent, status=reply.status
        )
        if request is not None:
            world.point("post answered")
        else:
            world.point("get answered")
        if isinstance(answer, Throttled):
            world.point("gate answered")
        return answer


class SimFiles:
    """Implements `Files` for one process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running = 0

    @asynccontextmanager
    async def open(self, url: SignedUrl, *, offset: int = 0, validator: str | None = None) -> AsyncIterator[Body]:
        world, service = self.world, self.world.service
        world.alive()
        secret = url.reveal()
        report_id, dies_at = service.signed[secret.partition("Signature=")[2].partition("&")[0]]
        download = world.download(report_id)
        world.point("file open")
        self.running += 1
        if world.process is not None:
            world.process.downloads_at_once = max(world.process.downloads_at_once, self.running)
        try:
            download.outcome = "let go"
            await asyncio.sleep(service.latency())
            world.alive()
            yield self._answer(download, dies_at, offset, validator)
        finally:
            self.running -= 1
            if not world.dead:
                world.note(f"download {report_id}: {download.outcome}")

    def _answer(self, download: Download, dies_at: float, offset: int, validator: str | None) -> Body:
        service = self.world.service
        reply = service.file(self.world.evidence.reports[download.report_id], dies_at, self.running - 1)
        download.outcome = reply.outcome
        if reply.status == 0:
            raise FileBroken("the connection was refused")
        if reply.wait is not None:
            self.world.gate(reply.wait, "files")
        if reply.outcome == "refused":
            raise FileRefused(reply.status)
        if reply.outcome == "broken":
            raise FileBroken(f"the file host answered {reply.status}", wait=reply.wait, reached=reply.status < 500)
        data, etag = reply.data, reply.etag
        ranges = validator is not None and validator == etag and "ranges ignored" not in service.world.weather
        start = offset if ranges and 0 < offset < len(data) else 0
        pause = service.chance.uniform(10, 60) if reply.slow else service.latency() / 4
        length = len(data) - start if service.chance.random() < 0.7 else None
        blocks = self._blocks(download, data[start:], reply.cut, pause)
        return Body(start, length, reply.encoding, "application/json", etag, blocks)

    async def _blocks(self, download: Download, data: bytes, cut: int | None, pause: float) -> AsyncIterator[bytes]:
        size = max(1, len(data) // 3 + 1)
        end = len(data) if cut is None else min(cut, len(data))
        for begin in range(0, end, size):
            await asyncio.sleep(pause)
            self.world.alive()
            self.world.point("file block")
            yield data[begin : min(begin + size, end)]
        if cut is not None:
            download.outcome = "broken"
            raise FileBroken("the body was cut", reached=True)
        if download.outcome == "let go":
            download.outcome = "whole"
