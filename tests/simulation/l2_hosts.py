"""The servers of level L2: an export API and a file host that speak HTTP in raw bytes, and what they know to be true."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from l2_faults import CONNECT, WIRE, Reply, spoilt, written
from l2_wire import Act, Request

EPOCH = 1_800_000_000.0
TOKEN = "CANARYTOKEN-0123456789"
SIGNATURE = "CANARYSIGNATURE"
ESCAPED = json.dumps({"message": f"token {TOKEN} is bad"}).replace("C", "\\u0043").encode()
HTML = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>" + b"x" * 1200 + b"</body></html>"

API = (
    "400",
    "denied",
    "429",
    "503 with time",
    "5xx",
    "5xx after",
    "odd 2xx",
    "redirect",
    "odd status",
    "404",
    "no url",
    "other id",
)
FILES = (
    "file refused", "file 5xx", "file 429", "html", "html glued", "empty", "new version", "file redirect", "bad redirect",
    "redirect loop", "206 unasked",
)  # fmt: skip
CUTS = ("cut body", "silence in body", "drip")
RANGES = ("no ranges", "blind range", "wrong range", "416", "206 encoded")
OF_A_DOWNLOAD = frozenset({"host", "accept", "accept-encoding", "user-agent", "range", "if-range", "connection"})
"""Headers that may come with the question for a file: nothing in them says who asks."""
KINDS = (*WIRE, *CONNECT, *API, *FILES, *RANGES, "cancel")
FORBIDDEN = (
    "https://10.0.0.1/x", "https://169.254.169.254/latest/meta-data", "http://files.test/x", "https://[::1]/x", "https://127.0.0.1/",
    "https://2130706433/", "https://[::ffff:169.254.169.254]/", "file:///etc/passwd", "https://inner.test/x", "https://0.0.0.0/",
    "https://user:pw@files.test/x", "//inner.test/x", "https://api.test@inner.test/", "ftp://files.test/x", "https://localhost/x",
)  # fmt: skip


@dataclass
class Call:
    """One call of the client, what the servers did about it, and how it ended."""

    n: int
    tick: int
    """By the wire's count: when it began. What was sent before it belongs to an earlier call."""
    kind: str
    """create, get or fetch."""
    report: str = ""
    question: Any = None
    began: float = 0.0
    ended: float | None = None
    outcome: Any = None
    """The answer, the stored bytes, or the error."""
    cancelled: bool = False
    replies: list[Reply] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    connects: int = 0
    tainted: bool = False
    """Bytes that are not the file's may have come before, and be kept for a resumption."""


@dataclass
class Report:
    id: str
    format: str
    polls: int
    versions: list[bytes]
    """The file as it is and as it was."""
    etag: str

    def tag(self) -> str:
        digest = hashlib.sha256(self.versions[-1]).hexdigest()[:16]
        # A weak tag promises nothing about bytes: the next version has the same.
        return {"strong": f'"{digest}"', "weak": 'W/"1"', "none": ""}[self.etag]

    def change(self) -> None:
        """Another version of the same length, so that the head of the one and the tail of the other fit together."""
        data = self.versions[-1]
        self.versions.append(data.replace(b'"ok"', b'"no"') if b'"ok"' in data else data.replace(b'"no"', b'"ok"'))


def content(format_: str, chance: random.Random) -> bytes:
    if format_ == "xlsx":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
                archive.writestr(zipfile.ZipInfo(name), chance.randbytes(chance.choice((10, 3000))))
        return out.getvalue()
    rows = chance.choice((0, 1, 5, 40, 40, 400, 3000))
    made = [
        {"id": n, "text": chance.choice(("ok", 'a "quoted" },{ one', "é漢字", "HTTP/1.1 200 OK\r\n\r\n"))}
        for n in range(rows)
    ]
    return json.dumps(made, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, None, 1))).encode()


class World:
    """What both hosts share: the seed's chance, which faults blow, the truth, and the story as it is told."""

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        self.chance = random.Random(f"world {seed}")
        swarm = random.Random(f"swarm {seed}")
        # Each seed leaves out half of the kinds, so that none can hide behind another.
        self.blowing = [] if calm or seed % 10 == 0 else [kind for kind in KINDS if swarm.random() < 0.5]
        self.strength = swarm.choice((0.1, 0.3, 0.6))
        self.calls: list[Call] = []
        self.reports: dict[str, Report] = {}
        self.urls: dict[str, str] = {}
        """Target of a signed request → report."""
        self.fetching: dict[str, Call] = {}
        self.requests = {"POST": 0, "GET": 0}
        """Heads that the API host has heard."""
        self.hits: dict[str, int] = {}
        self.story: list[str] = []
        self.now = lambda: 0.0

    def tell(self, text: str) -> None:
        self.story.append(f"{self.now():10.3f}  {text}")

    def draw(self, kinds: Iterable[str], *, share: float = 1.0) -> str | None:
        """A fault that blows in this seed, or none."""
        blowing = [kind for kind in kinds if kind in self.blowing]
        if not blowing or self.chance.random() >= self.strength * share:
            return None
        kind = self.chance.choice(blowing)
        self.hits[kind] = self.hits.get(kind, 0) + 1
        return kind

    def url(self, report: Report) -> str:
        signature = "".join(
            self.chance.choices(("~", "%2F", "%7e", "+", "-", "_", "%41", "=", "a", "(", "'", ","), k=12)
        )
        target = f"/RF_{report.id}?Expires=1&Signature={SIGNATURE}{signature}&Key-Pair-Id=K%2f1"
        self.urls[target] = report.id
        return f"https://files.test{target}"

    def sign_on(self, request: Request, call: Call, reply: Reply, acts: list[Act]) -> list[Act]:
        if request.sent_at > call.tick:
            call.replies.append(reply)
        told = ", ".join(str(part) for part in (reply.status, reply.kind, reply.fault) if part)
        self.tell(f"call {call.n}: {request.method} heard on connection {id_of(self, request)}, answered with {told}")
        return acts


def id_of(world: World, request: Request) -> int:
    return request.connection.loop.net.connections.index(request.connection)


class Host:
    cuts = 0.0
    """How much oftener a body is cut here."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard = bytearray()

    def connecting(self) -> str | None:
        return self.world.draw(("refused", "black hole", "tls"), share=0.3)

    def _sent(
        self, request: Request, call: Call, reply: Reply, surplus: bytes = b"", *, may_gzip: bool = True
    ) -> list[Act]:
        # Cuts come oftener where they matter most: half a file is what a resumption begins with.
        fault = self.world.draw(CUTS, share=self.cuts) or self.world.draw(WIRE)
        if fault is None:
            acts = written(reply, self.world.chance, may_gzip=may_gzip)
        else:
            acts = spoilt(reply, fault, self.world.chance, surplus=surplus)
        reply.goes_out_on(request.connection, call.report if call.kind == "get" else None)
        return self.world.sign_on(request, call, reply, acts)


class ApiHost(Host):
    def answer(self, request: Request) -> list[Act]:
        world = self.world
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        world.requests[request.method] += 1
        call = world.calls[int(request.headers["x-impersonate-user"].partition("@")[0])]
        kind = world.draw(API)
        if request.method == "POST":
            assert request.target == "/api/v1/report/export"
            assert request.headers["content-type"] == "application/json"
            assert json.loads(request.body) == call.question
            reply = self._created(call, kind)
            reply.kind = kind
            return self._sent(request, call, reply)
        assert request.target == f"/api/v1/report/exports/{call.report}"
        assert not request.body
        other = json.dumps(
            {"id": "someone-elses", "status": "Completed", "url": f"https://files.test/?{SIGNATURE}"}
        ).encode()
        surplus = f"HTTP/1.1 200 OK\r\nContent-Length: {len(other)}\r\n\r\n".encode() + other
        reply = self._told(world.reports[call.report], kind)
        reply.kind = kind
        return self._sent(request, call, reply, surplus)

    def _created(self, call: Call, kind: str | None) -> Reply:
        world, chance = self.world, self.world.chance
        if (reply := self._refusal(kind)) is not None:
            return reply
        status, body = chance.choice((200, 201)), b""
        if kind == "odd status":
            status = chance.choice((202, 204, 206, 299, 304, 402, 408, 409, 410, 425, 500, 503, 599))
            if chance.random() < 0.5:
                return Reply(status, [], HTML)
        id_ = f"{chance.getrandbits(64):016x}-{len(world.reports)}"
        format_ = call.question["resultFormat"].lower()
        etag = chance.choice(("strong", "strong", "strong", "weak", "none"))
        world.reports[id_] = Report(id_, format_, chance.randrange(4), [content(format_, chance)], etag)
        call.made.append(id_)
        if kind == "5xx after":
            return Reply(chance.choice((500, 502, 504)), [], f"oops {TOKEN}".encode())
        if kind == "odd 2xx":
            odd = (
                b"",
                HTML,
                b'{"status": "Processing"}',
                b'{"id": 7}',
                b'{"id": "x',
                b"[]",
                b"[" * 5000,
                b'{"id": "a\\nb"}',
                b"\xff\xfe{}",
            )
            return Reply(status, [], chance.choice(odd))
        body = json.dumps({"id": id_, "status": "Processing", "url": None}).encode()
        return Reply(status, [("Content-Type", "application/json")], body)

    def _told(self, report: Report, kind: str | None) -> Reply:
        chance = self.world.chance
        if (reply := self._refusal(kind)) is not None:
            return reply
        if kind in ("404", "odd status", "5xx after"):
            return Reply(404 if kind == "404" else chance.choice((202, 204, 304, 400, 409, 410, 500)), [], b"{}")
        answer: dict[str, Any] = {"id": report.id, "status": "Completed", "url": self.world.url(report)}
        if report.polls > 0:
            report.polls -= 1
            answer |= {"status": chance.choice(("Processing", "PendingOrExpired", "Cooking")), "url": None}
        if kind == "no url":
            answer["url"] = None
        elif kind == "other id":
            answer |= {"id": "someone-elses", "url": f"https://files.test/?{SIGNATURE}"}
        elif kind == "odd 2xx":
            return Reply(
                200, [], chance.choice((b"", HTML, b"[]", b"{}", b'{"status": 5}', json.dumps(answer).encode()[:-3]))
            )
        elif chance.random() < 0.2:
            answer["id"] = report.id.upper()  # the same UUID, and nobody said that its case is kept
        return Reply(200, [("Content-Type", "application/json")], json.dumps(answer).encode())

    def _refusal(self, kind: str | None) -> Reply | None:
        """An answer that creates nothing and tells nothing."""
        chance = self.world.chance
        body = chance.choice((b"", HTML, b'{"message": "no", "code": "x"}', f"token {TOKEN} is bad".encode(), ESCAPED))
        match kind:
            case "400":
                return Reply(400, [], body)
            case "denied":
                return Reply(chance.choice((401, 403, 451)), [], body)
            case "429" | "503 with time":
                date = EPOCH + self.world.now() + chance.choice((-5000, 0, 5000))  # the server's clock is its own
                later = ("Retry-After", formatdate(date + 7, usegmt=True))
                waits = ([("Retry-After", "7")], [later, ("Date", formatdate(date, usegmt=True))])
                return Reply(int(kind[:3]), chance.choice(waits), body, wait=7.0)
            case "5xx":
                return Reply(chance.choice((500, 502, 503, 504)), [], body)
            case "redirect":
                target = chance.choice((*FORBIDDEN, f"https://files.test/?token={TOKEN}", "/elsewhere", "http://["))
                return Reply(chance.choice((301, 302, 303, 307, 308)), [("Location", target)], body)
        return None


class FileHosts(Host):
    """The file host and the one to which it redirects: one piece of software on two addresses."""

    cuts = 0.7

    def answer(self, request: Request) -> list[Act]:
        world = self.world
        names = set(request.headers)
        assert names <= OF_A_DOWNLOAD, names
        assert request.target in world.urls, f"not as it was signed: {request.target}"
        report = world.reports[world.urls[request.target]]
        call = world.fetching[report.id]
        kind = (world.draw(RANGES) if "range" in request.headers else None) or world.draw(FILES)
        if kind == "new version":
            report.versions.append(content(report.format, world.chance))
        elif kind == "blind range" and world.chance.random() < 0.5:
            report.change()
        reply, may_gzip = self._file(request, report, kind)
        reply.kind = kind
        surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
        acts = self._sent(request, call, reply, surplus, may_gzip=may_gzip)
        if kind in ("html", "html glued", "empty"):
            reply.body_whole = False
        return acts

    def _file(self, request: Request, report: Report, kind: str | None) -> tuple[Reply, bool]:
        chance, tag, data = self.world.chance, report.tag(), report.versions[-1]
        headers = [("Content-Type", "application/octet-stream"), *([("ETag", tag)] if tag else [])]
        match kind:
            case "file refused":
                return Reply(chance.choice((400, 401, 403, 404, 410)), [], HTML), True
            case "file 5xx":
                return Reply(chance.choice((500, 502, 503, 504, 408, 204, 202)), [], HTML), True
            case "file 429":
                return Reply(429, [("Retry-After", "7")], HTML), True
            case "html":
                return Reply(200, [("Content-Type", chance.choice(("text/html", "application/json")))], HTML), True
            case "html glued":
                return Reply(200, headers, data + HTML), True
            case "empty":
                return Reply(200, headers, b""), True
            case "file redirect" | "redirect loop" | "bad redirect":
                if kind == "bad redirect":
                    target = chance.choice(FORBIDDEN)
                else:
                    more = f"&hop={chance.getrandbits(32)}"
                    path = (
                        (request.target + more)
                        if kind == "redirect loop"
                        else request.target.partition("&hop")[0] + more
                    )
                    self.world.urls[path] = report.id
                    if kind == "redirect loop" and path.count("&hop") < 6:
                        self.world.hits[kind] += 1
                    target = chance.choice((f"https://cdn.test{path}", f"//cdn.test{path}", path))
                return Reply(chance.choice((301, 302, 303, 307, 308)), [("Location", target)], HTML), True
        return ranged(request, data, headers, kind, chance)


def ranged(
    request: Request, data: bytes, headers: list[tuple[str, str]], kind: str | None, chance: random.Random
) -> tuple[Reply, bool]:
    """What a host that holds `data` answers to a question for it, all or from somewhere on; and whether it may be packed."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    start = int(asked[1]) if asked else None
    if kind == "206 unasked" and start is None:
        part = [("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")]
        return Reply(206, [*headers, *part], data), False
    if kind == "416":
        return Reply(416, [("Content-Range", f"bytes */{len(data)}")], b""), False
    tag = dict(headers).get("ETag", "")
    same = tag.startswith('"') and request.headers.get("if-range") == tag
    if start is None or kind == "no ranges" or start >= len(data) or not (same or kind == "blind range"):
        return Reply(200, headers, data), True
    if kind == "wrong range":
        # Best of all where the same bytes stand before it as before the right place: the seam is then not seen.
        seam = data.rfind(data[max(start - 12, 0) : start], 0, start - 1)
        start = seam + 12 if seam >= 0 and start >= 12 else chance.randrange(len(data))
    part = [("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")]
    if kind == "206 encoded":
        part.append(("Content-Encoding", "gzip"))
    return Reply(206, [*headers, *part], data[start:]), False
