"""What a server, or something between here and it, does to an answer on its way: a reply becomes acts on the wire."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from dataclasses import dataclass, field

from l2_wire import Act, Connection, Data, Drip, End, Wait

WIRE = (
    "cut head", "cut body", "nothing", "silence", "silence in body", "drip", "garbage", "garbage before", "odd head",
    "long length", "short length", "bad chunks", "early end", "gzip torn", "gzip lie", "gzip tail", "continue storm",
    "switching", "huge head", "idle close", "surplus", "request timeout",
)  # fmt: skip
"""How an answer can be spoilt; each name is the subject of a branch in `spoilt`."""
CONNECT = ("refused", "black hole", "tls", "dns")
SPAN = 600.0
"""Seconds in which everything that drips has dripped."""


@dataclass
class Reply:
    """An HTTP answer as the server means it, and what became of it."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    kind: str | None = None
    """What is odd about it before it leaves."""
    fault: str | None = None
    """What is done to it on its way."""
    head_whole: bool = True
    """The status line and the headers arrive whole, as they are meant and in time."""
    body_whole: bool = True
    """So does the body."""
    keeps_open: bool = True
    delimited: bool = True
    """Its end can be told from a cut: it has a length or chunks."""
    encoded: bool = False
    wait: float | None = None
    """What its Retry-After asks for, in truth."""
    kept: bool = False
    """It is sent on a connection on which another question was answered before."""

    @property
    def whole(self) -> bool:
        return self.head_whole and self.body_whole

    def goes_out_on(self, connection: Connection, report: str | None) -> None:
        """What the connection's past makes of it, and it of the connection's future; `report` is what a GET asked for."""
        self.kept = connection.requests > 1
        if connection.poisoned:
            self.head_whole = self.body_whole = False
        connection.poisoned |= self.fault is not None  # it may end, or hold what the next question did not ask for
        connection.proven = self.status == 200 and report is not None and self.names(report)

    def names(self, report: str) -> bool:
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        told = found.get("id") if isinstance(found, dict) else None
        return isinstance(told, str) and told.lower() == report.lower()


def head(status: int | str, headers: list[tuple[str, str]], *, version: str = "1.1", end: str = "\r\n") -> bytes:
    lines = [f"HTTP/{version} {status} Some Phrase", *(f"{name}: {value}" for name, value in headers)]
    return (end.join([*lines, "", ""])).encode("latin-1")


def chunks(data: bytes, chance: random.Random, *, last: bytes = b"0\r\n\r\n") -> bytes:
    """In chunks of all sizes, some with extensions, some with a trailer behind them."""
    out, at = bytearray(), 0
    largest = max(chance.choice((1, 10, 1000, 100_000)), len(data) // 50)
    while at < len(data):
        piece = data[at : at + chance.randint(1, largest)]
        at += len(piece)
        size = f"{len(piece):x}" if chance.random() < 0.7 else f"{len(piece):04X}"
        extension = chance.choice(("", "", ";name=value", ';q="; 0"'))
        out += f"{size}{extension}\r\n".encode() + piece + b"\r\n"
    if last == b"0\r\n\r\n" and chance.random() < 0.2:
        last = b"0\r\nX-Checksum: abc\r\n\r\n"
    return bytes(out) + last


def bodiless(status: int) -> bool:
    return status in (204, 304)


def written(reply: Reply, chance: random.Random, *, may_gzip: bool = True, delimited: bool = False) -> list[Act]:
    """The reply as an honest server writes it, in one of the many ways that are right (`delimited`: with a plain end)."""
    headers, body = list(reply.headers), reply.body
    acts: list[Act] = []
    for _ in range(chance.choice((0, 0, 0, 0, 1, 3))):
        acts += [Data(head(chance.choice((100, 102, 103)), [])), Wait(chance.choice((0.0, 0.1)))]
    if bodiless(reply.status):
        return [*acts, Data(head(reply.status, headers))]
    if may_gzip and chance.random() < 0.15:
        reply.encoded = True
        headers.append(("Content-Encoding", chance.choice(("gzip", "GZIP"))))
        body = members(body, chance)
    if chance.random() < 0.15:
        reply.keeps_open = False
        headers.append(("Connection", "close"))
    match chance.random():
        case x if x < 0.6:
            headers.append(("Content-Length", str(len(body))))
        case x if x < 0.9 or delimited:
            headers.append(("Transfer-Encoding", chance.choice(("chunked", "Chunked"))))
            body = chunks(body, chance)
        case _:
            reply.keeps_open = reply.delimited = False
            version = chance.choice(("1.0", "1.1"))
            return [*acts, Data(head(reply.status, headers, version=version) + body), End(reset=False)]
    chance.shuffle(headers)
    acts += [Data(head(reply.status, headers) + body)]
    return acts if reply.keeps_open else [*acts, Wait(0.01), End(reset=False)]


def members(body: bytes, chance: random.Random) -> bytes:
    """gzip in one member or in two."""
    cut = chance.choice((0, chance.randrange(len(body) + 1)))
    return b"".join(gzip.compress(piece, 1, mtime=0) for piece in (body[:cut], body[cut:]) if piece or not body)


def spoilt(reply: Reply, fault: str, chance: random.Random, *, surplus: bytes = b"") -> list[Act]:
    """The reply as `fault` lets it arrive. Says in `reply` how much of it can be believed."""
    reply.fault = fault
    if bodiless(reply.status):
        reply.body = b""
    end = End(reset=chance.random() < 0.5)
    length = [*reply.headers, ("Content-Length", str(len(reply.body)))]
    plain = head(reply.status, length) + reply.body
    at_head = len(plain) - len(reply.body)
    reply.head_whole = reply.body_whole = False
    match fault:
        case "nothing":
            return [Wait(chance.choice((0.0, 0.0, 1.0))), end]
        case "cut head":
            return [Data(plain[: chance.randrange(1, at_head)]), end]
        case "cut body" if reply.body:
            reply.head_whole = True
            if chance.random() < 0.5:
                return [Data(plain[: chance.randrange(at_head, len(plain))]), end]
            body = chunks(reply.body, chance)
            chunked = head(reply.status, [*reply.headers, ("Transfer-Encoding", "chunked")])
            return [Data(chunked + body[: chance.randrange(len(body) - 2)]), end]
        case "silence":
            return [Data(plain[: chance.randrange(at_head)]), Wait(SPAN), End(reset=False)]
        case "silence in body" if reply.body:
            reply.head_whole = True
            return [Data(plain[: chance.randrange(at_head, len(plain))]), Wait(SPAN), End(reset=False)]
        case "drip":
            cut = chance.choice((0, at_head))
            reply.head_whole = cut > 0
            return [
                Data(plain[:cut]),
                Drip(plain[cut : cut + 400], chance.choice((1.5, 29.0))),
                Data(plain[cut + 400 :]),
            ]
        case "garbage":
            return [Data(chance.choice(GARBAGE) or chance.randbytes(chance.randrange(1, 2000))), end]
        case "garbage before":
            return [Data(chance.choice((b"\r\n", b"\n", b"\0", b" ", b"\r\n\r\n", b"x")) + plain), end]
        case "odd head":
            return [Data(odd_head(reply, chance)), Wait(chance.choice((0.0, 1.0))), end]
        case "huge head":
            name, value = chance.choice((("X-Long", "x" * 20_000), ("X" * 20_000, "x"), ("Location", "/" * 9000)))
            many = [(f"X-{n}", "y") for n in range(chance.choice((1, 300)))]
            return [Data(head(reply.status, [*length, *many, (name, value)]) + reply.body), end]
        case "long length":
            reply.head_whole = True
            more = chance.choice((1, 2, 1000, 10**9))
            longer = head(reply.status, [*reply.headers, ("Content-Length", str(len(reply.body) + more))])
            return [Data(longer + reply.body), chance.choice((end, Wait(SPAN)))]
        case "short length" if reply.body:
            cut = chance.randrange(len(reply.body))
            return [
                Data(head(reply.status, [*reply.headers, ("Content-Length", str(cut))]) + reply.body),
                Wait(1.0),
                end,
            ]
        case "bad chunks":
            chunked = head(reply.status, [*reply.headers, ("Transfer-Encoding", "chunked")])
            body = bad_chunks(reply.body, chance)
            cut = chance.randrange(len(body) + 1)
            first, rest = Data(chunked + body[:cut]), Data(body[cut:])
            return [first, Wait(chance.choice((0.0, 0.1))), rest, Wait(chance.choice((0.0, 1.0, SPAN))), end]
        case "early end" if reply.body:  # what a proxy does that lost its own server: cut, and properly terminated
            reply.head_whole = True
            cut = reply.body[: chance.randrange(len(reply.body))]
            if chance.random() < 0.5:
                return [Data(head(reply.status, [*reply.headers, ("Content-Length", str(len(cut)))]) + cut)]
            return [Data(head(reply.status, [*reply.headers, ("Transfer-Encoding", "chunked")]) + chunks(cut, chance))]
        case "gzip torn" | "gzip lie" | "gzip tail":
            body = _encoded(reply.body, fault, chance)
            coding = ("Content-Encoding", "gzip" if fault != "gzip lie" else chance.choice(CODINGS))
            return [Data(head(reply.status, [*reply.headers, coding, ("Content-Length", str(len(body)))]) + body)]
        case "continue storm":
            storm: list[Act] = [Data(head(100, []))]
            return [*([*storm, Wait(2.0)] * 100), Data(plain)]
        case "switching":
            switch = head(101, [("Upgrade", "websocket"), ("Connection", "Upgrade")])
            return [Data(switch + plain), Wait(1.0), end]
        case "idle close":
            reply.head_whole = reply.body_whole = True
            return [Data(plain), Wait(chance.choice((0.0, 0.5, 2.0, 5.0))), end]
        case "surplus":
            reply.head_whole = reply.body_whole = True
            return [Data(plain), Wait(chance.choice((0.001, 0.01, 1.0))), Data(surplus, unasked=True)]
        case "request timeout":
            reply.head_whole = reply.body_whole = True
            late = head(408, [("Content-Length", "0"), ("Connection", "close")])
            return [Data(plain), Wait(chance.choice((0.5, 2.0, 5.0))), Data(late, unasked=True), end]
    return [Data(plain[: at_head - 1]), end]  # a body that is to be spoilt, of an answer that has none


CODINGS = ("gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "x-unknown")
GARBAGE = (
    b"", b"\r\n" * 50, b"\0" * 500, b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"<html>HTTP/0.9</html>",
    b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200\n\n{}", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"220 ftp ready\r\n", b"HTTP/9.9 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)  # fmt: skip


def odd_head(reply: Reply, chance: random.Random) -> bytes:
    """A head that no RFC knows, with the right body behind it. Some parsers take it, others don't."""
    body, size = reply.body, len(reply.body)
    status: int | str = reply.status
    headers = list(reply.headers)
    end, version = "\r\n", "1.1"
    match chance.randrange(9):
        case 0:
            status = chance.choice(
                ("20", "2000", "abc", "-200", "099", "0", "999", f"{status} \0", f"0x{status}", f" {status}")
            )
        case 1:
            lengths = (
                "",
                "-1",
                "+5",
                "0x5",
                "5 5",
                "5, 5",
                f"{size}, {size}",
                "9" * 30,
                f"{size}.0",
                "１２",
                f"{size}\0",
            )
            headers.append(("Content-Length", chance.choice(lengths).encode().decode("latin-1")))
        case 2:
            headers += [
                ("Content-Length", str(size)),
                ("Content-Length", str(chance.choice((size, size // 2, size + 5)))),
            ]
        case 3:
            headers += [("Transfer-Encoding", "chunked"), ("Content-Length", str(chance.choice((size, 1))))]
            body = chance.choice((body, chunks(body, chance)))
        case 4:
            coding = chance.choice(
                ("identity", "gzip, chunked", "chunked, gzip", "xchunked", "chunked, chunked", "chu\tnked")
            )
            headers.append(("Transfer-Encoding", coding))
            body = chance.choice((body, chunks(body, chance), chunks(zlib.compress(body), chance)))
        case 5:
            headers += [
                ("Content-Length", str(size)),
                chance.choice((("", "x"), ("X y", "z"), ("X\0", "1"), ("X-A", "a\0b"), ("X-A", "a\rb"))),
            ]
        case 6:
            headers += [("X-Folded", "one\r\n two"), ("Content-Length", str(size))]
        case 7:
            end = chance.choice(("\n", "\r", "\r\r\n"))
            headers.append(("Content-Length", str(size)))
        case _:
            version = chance.choice(("0.9", "1.0", "1.2", "2.0", "11", "1.1.1", "x"))
            headers.append(("Content-Length", str(size)))
    return head(status, headers, version=version, end=end) + body


def bad_chunks(body: bytes, chance: random.Random) -> bytes:
    size = f"{len(body):x}"
    return chance.choice((
        chunks(body, chance, last=b""),
        chunks(body, chance, last=b"0\r\n"),
        chunks(body, chance, last=b"zz\r\n"),
        chunks(body, chance, last=b"-1\r\n\r\n"),
        chunks(body, chance, last=b"5\r\nab\r\n0\r\n\r\n"),
        chunks(body, chance, last=b"0\r\n" + b"X-T: " + b"t" * 20_000),
        f"{len(body) + 7:x}\r\n".encode() + body + b"\r\n0\r\n\r\n",
        f"{max(len(body) - 7, 0):x}\r\n".encode() + body + b"\r\n0\r\n\r\n",
        f"{size}\r\n".encode() + body + b"0\r\n\r\n",
        f"{'f' * 20}\r\n".encode() + body,
        f"{size}\n".encode() + body + b"\n0\n\n",
        f"0x{size}\r\n".encode() + body + b"\r\n0\r\n\r\n",
        f"{size};{'e' * 20_000}\r\n".encode() + body + b"\r\n0\r\n\r\n",
        body,
    ))  # fmt: skip


def _encoded(body: bytes, fault: str, chance: random.Random) -> bytes:
    packed = members(body, chance)
    match fault:
        case "gzip torn":
            return packed[: chance.randrange(1, len(packed))]
        case "gzip tail":
            return packed + chance.choice((b"\0", b"<html>", packed[:5], b"\x1f\x8b\x08"))
        case _:
            return body
