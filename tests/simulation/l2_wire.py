"""The wire of level L2: sockets in memory, under the real aiohttp client, its connector and its parser.

The seam lies as low as asyncio lets it: `WireLoop` answers `getaddrinfo`, `sock_connect` and `create_connection`, so name
look-ups with their guard, happy eyeballs, connection pool, timeouts and the C parser are all the real ones. Bytes arrive
in fragments that the seed draws, one callback a fragment, so that anything may happen between any two of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol
from unittest import mock

import aiohttp.connector
from aiohttp.resolver import ThreadedResolver
from loop import STEPS, SimLoop

import orchestrator.api.client
import orchestrator.api.files

LARGEST_HEAD = 64 * 1024
ASKING: ContextVar[Any] = ContextVar("ASKING", default=None)
"""Whoever sets it finds it at each connection on which its question is sent, as `Connection.asked_by`."""


@dataclass(frozen=True)
class Data:
    """Bytes for the client, cut into fragments on their way."""

    data: bytes
    unasked: bool = False
    """Nobody has asked for them: an answer is behind them already."""


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Drip:
    """Byte by byte, so many seconds apart."""

    data: bytes
    every: float


@dataclass(frozen=True)
class End:
    """The server closes: with a FIN, or with a RST."""

    reset: bool


Act = Data | Wait | Drip | End


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: Connection
    sent_at: int
    """By the wire's count: when its first byte was sent."""


class Host(Protocol):
    heard: bytearray
    """Every byte that any client has sent here."""

    def connecting(self) -> str | None:
        """What goes wrong with this connection: `refused`, `black hole`, `tls`; None if nothing does."""

    def answer(self, request: Request) -> list[Act]: ...


class Connection:
    """The server's end: hears requests, plays what the host answers."""

    def __init__(self, host: Host, loop: WireLoop, chance: random.Random) -> None:
        self.host = host
        self.loop = loop
        self.asked_by = ASKING.get()
        self.transport: Transport | None = None
        self.questions = 0
        """So many were begun on it."""
        self.requests = 0
        """So many were heard whole."""
        self.poisoned = False
        """Something that no request had asked for was sent on it, or will be."""
        self.spoke_unasked = False
        """It has arrived whole: of half of it nobody can know, but the other half is no answer to anything."""
        self.proven = True
        """The last answer on it named what was asked for: it may be used again."""
        self._chance = chance
        self._arriving: deque[bytes] = deque()
        self._sent_at = 0
        self._buffer = bytearray()
        self._acts: deque[Act] = deque()
        self._pieces: Iterator[tuple[float, bytes]] = iter(())
        self._pumping = False
        self._answered = False
        self._unasked = -1
        """Bytes that nobody asked for, still to come; below 0 when there are none."""
        self._cut_small = chance.random() < loop.net.dusty
        self._lag = chance.choice((0.0, 0.0, 0.001, 0.02))

    # ---------------------------------------------------------------------------------------- from the client

    def sent(self, data: bytes) -> None:
        if self.questions == self.requests:
            if not self.proven:
                self.loop.complaints.append("a question is sent on a connection whose last answer proves nothing")
            if self.spoke_unasked:
                self.loop.complaints.append("a question is sent on a connection on which something came unasked")
            self.questions += 1
            self.asked_by = ASKING.get()
            self._answered = False
            self._sent_at = self.loop.net.tick()
            self.loop.net.passing("sent", self)
        cut = self._chance.randrange(len(data) + 1) if self._chance.random() < 0.3 else len(data)
        for piece in (data[:cut], data[cut:]):
            if piece:
                self._arriving.append(piece)
                self.loop.call_later(self._lag, self.arrive)

    @property
    def in_flight(self) -> bool:
        return bool(self._arriving)

    def arrive(self) -> None:
        """What was sent next reaches the host, whether or not its sender still lives."""
        data = self._arriving.popleft()
        self.host.heard += data
        self._buffer += data
        while (request := self._request()) is not None:
            self.requests += 1
            self.play(self.host.answer(request))

    def _request(self) -> Request | None:
        head, blank, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not blank:
            assert len(self._buffer) < LARGEST_HEAD, "the client sends a head without end"
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        assert version == "HTTP/1.1"
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        del self._buffer[: len(head) + 4 + length]
        return Request(method, target, headers, rest[:length], self, self._sent_at)

    # ------------------------------------------------------------------------------------------- to the client

    def play(self, acts: list[Act]) -> None:
        self._acts.extend(acts)
        self.wake()

    def wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            self.loop.call_later(self._lag, self._pump)

    def _pump(self) -> None:
        self._pumping = False
        transport = self.transport
        if transport is None or transport.gone or transport.paused:
            return
        delay, piece = next(self._pieces, (0.0, b""))
        if piece:
            self._unasked -= len(piece)
            self.spoke_unasked |= self._unasked == 0
            if not self._answered:
                self._answered = True
                self.loop.net.passing("answered", self)
            transport.deliver(piece)
        elif not self._acts:
            return
        else:
            match self._acts.popleft():
                case Data(data, unasked):
                    self._pieces, self._unasked = self._fragments(data), len(data) if unasked else -1
                case Drip(data, every):
                    self._pieces = ((every, data[n : n + 1]) for n in range(len(data)))
                case Wait(seconds):
                    delay = seconds
                case End(reset):
                    transport.hang_up(reset=reset)
                    return
        self._pumping = True
        self.loop.call_later(delay, self._pump)

    def _fragments(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        """A few hundred fragments at most: many of one byte where heads and small bodies are, larger ones then."""
        chance, at = self._chance, 0
        dust = chance.randrange(400) if self._cut_small else 0
        largest = max(chance.choice((1, 7, 100, 1500, 20_000, 300_000)), len(data) // 200, self.loop.net.coarse)
        while at < len(data):
            size = 1 if at < dust else chance.randint(1, largest)
            yield chance.choice((0.0, 0.0, 0.0, self._lag)), data[at : at + size]
            at += size


class Transport(asyncio.Transport):
    """The client's end, with the manners of asyncio's own socket transport."""

    def __init__(self, loop: WireLoop, protocol: Any, connection: Connection) -> None:
        super().__init__()
        self.gone = False
        self.paused = False
        self._loop = loop
        self._protocol = protocol
        self._connection = connection
        connection.transport = self
        protocol.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.gone and data:
            self._connection.sent(bytes(data))

    def deliver(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except Exception as error:  # noqa: BLE001  as asyncio: whatever a protocol raises ends its connection
            self._lose(error)

    def hang_up(self, *, reset: bool) -> None:
        if reset:
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        elif not self._protocol.eof_received():
            self._lose(None)

    def close(self) -> None:
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def is_closing(self) -> bool:
        return self.gone

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self._connection.wake()

    def is_reading(self) -> bool:
        return not self.paused and not self.gone

    def _lose(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self._loop.call_soon(self._protocol.connection_lost, error)


@dataclass
class Net:
    """Names, addresses, and who listens there."""

    chance: random.Random
    names: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    """Address → who listens."""
    black_holes: set[str] = field(default_factory=set)
    strayed: list[str] = field(default_factory=list)
    """Addresses that were knocked at although nobody may go there."""
    connections: list[Connection] = field(default_factory=list)
    lookup_fails: Callable[[str], bool] = lambda name: False
    passing: Callable[[str, Connection | None], None] = lambda what, connection: None
    """Hears what a connection comes to: `connecting`, `connected`, `sent` and `answered` (their first bytes)."""
    dusty: float = 0.4
    """The share of connections on which heads and small bodies come byte by byte."""
    coarse: int = 0
    """Bytes below which no other fragment need be: many small ones take their time."""
    ticks: int = 0

    def tick(self) -> int:
        """Counts what happens on the wire: finer than the time, in which much happens at once."""
        self.ticks += 1
        return self.ticks


class WireLoop(SimLoop):
    """The seeded loop in virtual time, with a network of its own."""

    most_steps = 20 * STEPS  # each fragment of each answer is one

    def __init__(self, seed: str, net: Net, now: float = 0.0, io: Callable[[], float] = lambda: 0.001) -> None:
        super().__init__(seed, now, io)
        self.net = net
        self.complaints: list[str] = []
        """What was told to the loop's exception handler: connections never closed, errors never looked at."""
        self.set_exception_handler(
            lambda _, context: self.complaints.append(f"{context.get('message')} {context.get('exception')!r}")
        )
        self._opening: dict[socket.socket, tuple[Host, str | None]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(self.net.chance.choice((0.0, 0.001, 0.05)))
        if host not in self.net.names or self.net.lookup_fails(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        v6, v4, stream = socket.AF_INET6, socket.AF_INET, socket.SOCK_STREAM
        return [
            (v6, stream, 6, "", (a, port, 0, 0)) if ":" in a else (v4, stream, 6, "", (a, port))
            for a in self.net.names[host]
        ]

    async def sock_connect(self, sock: Any, address: Any) -> None:
        if address[0] in self.net.black_holes:
            await asyncio.sleep(1000)
        self.net.passing("connecting", None)
        host = self.net.hosts.get(address[0])
        if host is None:
            self.net.strayed.append(address[0])
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        fault = host.connecting()
        await asyncio.sleep(1000 if fault == "black hole" else self.net.chance.choice((0.0, 0.01, 0.2)))
        if fault == "refused":
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        self._opening[sock] = host, fault

    async def create_connection(self, protocol_factory: Any, *_: Any, **options: Any) -> Any:
        host, fault = self._opening.pop(options["sock"])
        options["sock"].close()
        await asyncio.sleep(0.001)
        assert options["ssl"] is not None, "all hosts of this world are https"
        if fault == "tls":
            raise ssl.SSLCertVerificationError(1, "certificate verify failed")
        connection = Connection(host, self, self.net.chance)
        self.net.connections.append(connection)
        self.net.passing("connected", connection)
        protocol = protocol_factory()
        return Transport(self, protocol, connection), protocol


class Timed(Protocol):
    def time(self) -> float: ...


_CONTEXT = ssl.create_default_context()  # loading the system's certificates takes longer than a whole run


@contextlib.contextmanager
def played_on(loop: Timed) -> Iterator[None]:
    """What of the real program does not ask the loop: a clock of aiohttp's, and the threads of name look-ups."""
    with (
        mock.patch.object(aiohttp.connector, "monotonic", loop.time),
        mock.patch.object(ssl, "create_default_context", return_value=_CONTEXT),
        mock.patch.object(orchestrator.api.client, "DaemonResolver", ThreadedResolver),
        mock.patch.object(orchestrator.api.files, "DaemonResolver", ThreadedResolver),
    ):
        yield
