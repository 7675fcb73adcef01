"""Connections that are kept for a moment between two questions: only for those that may be asked again.

A connection of its own for each question costs a handshake (with TLS two round trips and a millisecond of work). But on one
that is kept, an answer can come to the wrong question: whatever a host sends too much is taken for the next answer. So
    - one question at a time has a connection for itself, and gives it back only when the answer is proven to be to this very
      question; after any other answer it is closed, and bad news is not believed that came on one that was used before;
    - it is closed when anything was said on it meanwhile (a late 408, a second answer);
    - it is kept for a shorter time than servers do, or the host might be closing it just when the next question is sent;
    - when one that was kept brings trouble all the same, none is kept for a while.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

KEPT = 1.0
"""Seconds. The shortest time for which a common server keeps an idle connection is two."""
WARY = 60.0
"""Seconds without any that is kept, after trouble with one."""


class Lane(aiohttp.TCPConnector):
    """One connection at a time, for one question at a time."""

    _held: ResponseHandler | None = None
    reused = False
    """The question goes out on a connection that an earlier one was answered on."""
    spoilt = False
    """Something that nobody had asked for came on it since then."""
    proven = False
    """The answer was to the question that was asked."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's word for all its time limits
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        self.reused = connection.protocol is self._held
        if self.reused and self._has_heard():
            connection.close()
            connection = await super().connect(req, traces, timeout)
            self.reused, self.spoilt = False, True
        self._held = connection.protocol
        return connection

    def _has_heard(self) -> bool:
        """Something came since the last answer: aiohttp would take it for the answer to the next question."""
        return self._held is not None and self._held.should_close

    def hang_up(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


class Lanes:
    """`open_session` makes a session on a lane, `make` a lane."""

    def __init__(self, make: Callable[[], Lane], open_session: Callable[[Lane], aiohttp.ClientSession]) -> None:
        self._make = make
        self._open_session = open_session
        self._sessions: dict[Lane, aiohttp.ClientSession] = {}
        self._free: list[Lane] = []
        """The one that was used last comes last, and is used next: its connection is the freshest."""
        self._wary_until = -math.inf

    @contextmanager
    def one(self) -> Iterator[tuple[Lane, aiohttp.ClientSession]]:
        """A lane that nobody else uses meanwhile, and the session on it."""
        lane = self._free.pop() if self._free else self._make()
        if lane not in self._sessions:
            self._sessions[lane] = self._open_session(lane)
        lane.reused = lane.spoilt = lane.proven = False
        if self._is_wary():
            lane.hang_up()  # it may have been given back before the trouble
        try:
            yield lane, self._sessions[lane]
        finally:
            if lane.spoilt:
                self.beware()
            if not lane.proven or self._is_wary():
                lane.hang_up()
            self._free.append(lane)

    def beware(self) -> None:
        """A connection that was kept brought trouble."""
        self._wary_until = asyncio.get_running_loop().time() + WARY

    def _is_wary(self) -> bool:
        return asyncio.get_running_loop().time() < self._wary_until

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
