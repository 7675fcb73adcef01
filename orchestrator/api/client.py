"""The service's two calls: one attempt each, over the session that knows the token.

Nothing here retries, waits or follows a redirect, and nothing raises for what the network or the service does: every
outcome is one of the answers of `engine.ports`. Requests are counted where their headers are handed to the connection:
what never came so far was not sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from orchestrator.api.lanes import KEPT, Lane, Lanes
from orchestrator.api.network import (
    BODY_BREAKS,
    BREAKS,
    CONNECT,
    USER_AGENT,
    Network,
    Proxies,
    is_untrusted,
    once,
    tls_context,
    what_broke,
)
from orchestrator.api.probe import NOBODYS, Probed, Witness
from orchestrator.api.resolver import DaemonResolver
from orchestrator.api.wire import (
    CREATE_PATH,
    create_answer,
    is_about,
    request_body,
    served_at,
    status_answer,
    status_path,
)
from orchestrator.api.words import json_object
from orchestrator.engine.ports import Broken, Clock, CreateAnswer, Denied, Invalid, Status, StatusAnswer, Throttled
from orchestrator.errors import OrchestratorError

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read, counted after decompression. The documented ones have about a hundred."""


_UNSENDABLE = "the user to impersonate holds line breaks or control characters; nothing was sent"

_DOUBTFUL = (
    "the API's answer names no report, and came on a connection that was used before: it may be meant for another question, "
    "so this one is asked again on a connection of its own"
)


@dataclass(slots=True)
class _Attempt:
    """What the wire saw of one call."""

    sent: bool = False


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: str | None
    """Why the body is not whole; None if it is."""


class LoopClient:
    """The `ExportApi` over HTTP; an async context manager.

    `base_url` may carry a path prefix. `token` gives the API token; it is called when the client is opened, where its
    errors pass through, and by `renew_credentials`. Opening raises `JobError` for a CA file or a proxy that can't be used.
    """

    def __init__(self, base_url: str, *, token: Callable[[], str], network: Network, clock: Clock) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = URL(base_url).host or ""
        self._read_token = token
        self._token = ""
        self._network = network
        self._clock = clock
        self._proxies: Proxies | None = None
        self._session: aiohttp.ClientSession | None = None
        self._lanes: Lanes | None = None
        self._sent: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._token = self._read_token()
        self._proxies = Proxies(self._network.proxy)
        context = tls_context(self._network.ca_file)
        # How many requests run at once is the engine's decision: a queue in here would hide it (`limit=0`). A POST gets a
        # connection of its own: on one that the host is just closing it would be a possible duplicate for nothing.
        self._session = self._open(
            aiohttp.TCPConnector(limit=0, ssl=context, force_close=True, resolver=DaemonResolver())
        )
        self._lanes = Lanes(
            lambda: Lane(limit=0, ssl=context, keepalive_timeout=KEPT, resolver=DaemonResolver()), self._open
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None, "entered"
        assert self._lanes is not None, "entered"
        await self._session.close()
        await self._lanes.close()

    @property
    def posts_sent(self) -> int:
        return self._sent["POST"]

    @property
    def gets_sent(self) -> int:
        return self._sent["GET"]

    async def create(self, request: Mapping[str, Any], identity: str | None) -> CreateAnswer:
        """POSTs an export. See `ExportApi`."""
        if not _can_be_sent(identity):
            return Invalid(_UNSENDABLE)
        token = self._token  # what an answer may repeat; it may be renewed meanwhile
        assert self._session is not None, "entered"
        reply = await self._exchange(self._session, "POST", CREATE_PATH, identity, request_body(request))
        if not isinstance(reply, _Reply):
            return reply
        answer = create_answer(reply.status, reply.headers, reply.body, now=self._clock.now(), secret=token)
        return _explained(answer, reply) if isinstance(answer, Broken) else answer

    async def get(self, report_id: str, identity: str | None) -> StatusAnswer:
        """GETs a report. See `ExportApi`."""
        assert self._lanes is not None, "entered"
        with self._lanes.one() as (lane, session):
            answer, lane.proven = await self._ask(session, report_id, identity)
            if lane.reused and not lane.proven and not isinstance(answer, Throttled):
                self._lanes.beware()
                if not isinstance(answer, Broken):
                    return Broken(_DOUBTFUL)
            return answer

    async def _ask(
        self, session: aiohttp.ClientSession, report_id: str, identity: str | None
    ) -> tuple[StatusAnswer, bool]:
        """The answer, and whether it says itself that it is to this question."""
        token = self._token
        reply = await self._exchange(session, "GET", status_path(report_id), identity)
        if not isinstance(reply, _Reply):
            return reply, False
        answer = status_answer(
            reply.status, reply.headers, reply.body, now=self._clock.now(), secret=token, report_id=report_id
        )
        if isinstance(answer, Broken):
            return _explained(answer, reply), False
        return answer, isinstance(answer, Status) and is_about(reply.body, report_id)

    async def probe(self, identity: str | None) -> Probed:
        """Asks for a report that there can't be: how far a run would get, and what the service thinks of the token."""
        witness = Witness(limit=1, ssl=tls_context(self._network.ca_file), force_close=True, resolver=DaemonResolver())
        async with self._open(witness) as session:
            asked_at = self._clock.now()
            reply = await self._exchange(session, "GET", status_path(NOBODYS), identity)
            now = self._clock.now()
        if not isinstance(reply, _Reply):
            return Probed(reply, certificate_ends=witness.certificate_ends)
        answer = status_answer(reply.status, reply.headers, reply.body, now=now, secret=self._token)
        served = served_at(reply.headers)
        return Probed(
            _explained(answer, reply) if isinstance(answer, Broken) else answer,
            talks_json=json_object(reply.body) is not None,
            behind=None if served is None else served - (asked_at + now) / 2,
            certificate_ends=witness.certificate_ends,
        )

    async def renew_credentials(self) -> bool:
        """Reads the token again. A source that can't be read now gives no other token."""
        try:
            token = self._read_token()
        except (OrchestratorError, OSError):
            return False
        changed = token != self._token
        self._token = token
        return changed

    async def _exchange(
        self, session: aiohttp.ClientSession, method: str, path: str, identity: str | None, body: bytes | None = None
    ) -> _Reply | Broken | Denied:
        assert self._proxies is not None, "entered"
        # Refused here, for aiohttp would raise, and a line break in a header is a second header.
        if not self._token.isprintable():
            return Denied(401, "the token holds line breaks or control characters; nothing was sent")
        if not _can_be_sent(identity):
            return Broken(_UNSENDABLE, sent=False)
        headers = {"Authorization": f"Bearer {self._token}"}
        if identity is not None:
            headers["X-Impersonate-User"] = identity
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = URL(self._base_url + path, encoded=True)
        arguments: dict[str, Any] = {}
        if (proxy := self._proxies.for_url(url)) is not None:
            credentials, arguments = proxy.arguments(url)
            headers |= credentials
        attempt = _Attempt()
        deadline = asyncio.get_running_loop().time() + self._network.timeout
        try:
            response = await session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=attempt,
                **arguments,
            )
        except BREAKS as error:
            return Broken(what_broke(error, self._host), sent=attempt.sent, trusted=not is_untrusted(error))
        try:
            received, cut = await self._read(response, deadline)
        finally:
            response.release()  # a body that was not read to its end closes the connection
        return _Reply(response.status, response.headers, received, cut)

    async def _read(self, response: aiohttp.ClientResponse, deadline: float) -> tuple[bytes, str | None]:
        body = bytearray()
        try:
            # aiohttp's own time limit dies with its connection, and a parser that gives up may leave a reader waiting.
            async with asyncio.timeout_at(deadline):
                while block := await response.content.readany():
                    body += block
                    if len(body) > LARGEST_ANSWER:
                        return bytes(body[:LARGEST_ANSWER]), "the answer is longer than 1 MiB"
        except BODY_BREAKS as error:
            return bytes(body), what_broke(error, self._host)
        return bytes(body), None

    def _open(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        timeout = self._network.timeout
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT, timeout)),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            trace_configs=[self._wiretap()],
            middlewares=(once,),
        )

    def _wiretap(self) -> aiohttp.TraceConfig:
        async def sent(
            _session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
        ) -> None:
            self._sent[params.method] += 1
            context.trace_request_ctx.sent = True

        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(sent)
        return trace


def _can_be_sent(identity: str | None) -> bool:
    return identity is None or identity.isprintable()


def _explained(answer: Broken, reply: _Reply) -> Broken:
    return answer if reply.cut is None else replace(answer, detail=f"{answer.detail} ({reply.cut})")
