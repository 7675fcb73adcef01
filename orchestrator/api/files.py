"""Signed URLs to bytes, over sessions that know no credentials.

The URL is sent byte by byte as it was given, for it is signed. Redirects are followed by hand, three at most, each under
the address rule of `addresses.py`. A body is taken only if its end can be told from a cut: aiohttp alone accepts a
body without length and chunks that was cut anywhere. Bytes are passed on undecoded, so lengths count what the wire held.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from orchestrator.api.addresses import AddressRefused, GuardedResolver
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
from orchestrator.api.resolver import DaemonResolver
from orchestrator.api.wire import header, retry_after
from orchestrator.engine.ports import Body, Clock, FileBroken, FileRefused, SignedUrl

REDIRECTS = 3
READ_BUFFER = 256 * 1024

_URL = re.compile(r"[!-~]+")  # printable ASCII: anything else could not be sent as it was given
_STRONG_ETAG = re.compile(r'"[!#-~\x80-\uffff]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_TRY_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class _Resume:
    offset: int
    validator: str


class FileHost:
    """The `Files` over HTTP; an async context manager.

    `base_url` is the API's: where it is, file hosts may be. A transfer that brings less than `floor` bytes a second over
    `window` seconds of waiting is given up; only time spent waiting for the host counts, not a slow disk. `resolver`
    stands in for the system's name resolution. Opening raises `JobError` for a CA file or a proxy that can't be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        network: Network,
        clock: Clock,
        allow_private: bool = False,
        floor: float = 1024.0,
        window: float = 60.0,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._base_host = URL(base_url).host or ""
        self._network = network
        self._clock = clock
        self._allow_private = allow_private
        self._floor = floor
        self._window = window
        self._resolver = resolver
        self._guard: GuardedResolver | None = None
        self._proxies: Proxies | None = None
        self._direct: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._proxies = Proxies(self._network.proxy)
        context = tls_context(self._network.ca_file)
        inner = self._resolver or DaemonResolver()
        self._guard = GuardedResolver(inner, self._base_host, allow_private=self._allow_private)
        self._direct = self._session(_connector(context, self._guard))
        # A proxy may well have a private address, and it is the user who named it: no guard here.
        self._proxied = self._session(_connector(context, inner))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._direct is not None, "entered"
        assert self._proxied is not None, "entered"
        assert self._guard is not None, "entered"
        await self._direct.close()
        await self._proxied.close()
        await self._guard.close()

    def open(
        self, url: SignedUrl, *, offset: int = 0, validator: str | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """See `Files`. A host that answers a `Range` without proving that the file is the same is asked for all of it."""
        return self._open(url, _Resume(offset, validator) if offset > 0 and validator is not None else None)

    @asynccontextmanager
    async def _open(self, url: SignedUrl, resume: _Resume | None) -> AsyncIterator[Body]:
        response = await self._answer(url.reveal(), resume)
        try:
            offset, length = 0, None
            if resume is not None and response.status in (206, 416):
                length = _proven_rest(response, resume)
                if length is None:
                    response.release()
                    response = await self._answer(url.reveal(), None)
                else:
                    offset = resume.offset
            if offset == 0:
                length = _whole_length(response, self._clock)
            async with aclosing(self._blocks(response, length)) as blocks:
                yield Body(
                    offset=offset,
                    length=length,
                    encoding=_encoding(response),
                    content_type=header(response.headers, "content-type"),
                    validator=_validator(response),
                    blocks=blocks,
                )
        finally:
            response.release()  # a body that was not read to its end closes the connection

    async def _answer(self, target: str, resume: _Resume | None) -> aiohttp.ClientResponse:
        """The answer at the end of the redirects, its body unread."""
        for _ in range(REDIRECTS + 1):
            response = await self._get(target, resume)
            location = header(response.headers, "location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return response
            response.release()
            target = _absolute(location, target)
        raise FileBroken(f"the file host redirects more than {REDIRECTS} times", reached=True)

    async def _get(self, target: str, resume: _Resume | None) -> aiohttp.ClientResponse:
        assert self._proxies is not None, "entered"
        assert self._guard is not None, "entered"
        url = _parsed(target)
        headers = {}
        if resume is not None:
            headers = {"Range": f"bytes={resume.offset}-", "If-Range": resume.validator}
        arguments: dict[str, Any] = {}
        if (proxy := self._proxies.for_url(url)) is not None:
            credentials, arguments = proxy.arguments(url)
            headers |= credentials
        session = self._direct if proxy is None else self._proxied
        assert session is not None, "entered"
        host = url.host or ""
        try:
            await self._guard.check(url, proxied=proxy is not None)
            # Each byte of a header starts `sock_read` anew, and a proxy's silence is bounded by nothing else.
            async with asyncio.timeout(2 * self._network.timeout):
                return await session.get(url, headers=headers, allow_redirects=False, **arguments)
        except AddressRefused as error:
            raise FileBroken(str(error), trusted=False) from None
        except BREAKS as error:
            reached = isinstance(error, aiohttp.ClientResponseError) and not isinstance(
                error, aiohttp.ClientHttpProxyError
            )
            raise FileBroken(what_broke(error, host), trusted=not is_untrusted(error), reached=reached) from None

    async def _blocks(self, response: aiohttp.ClientResponse, length: int | None) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Ends only where it was announced to end."""
        host = response.url.host or ""
        now = asyncio.get_running_loop().time
        received = 0
        waited, since = 0.0, 0
        while length is None or received < length:
            started = now()
            try:
                # `sock_read` ends silence, but dies with a connection that the parser gave up (a bad chunk does that).
                async with asyncio.timeout(2 * self._network.timeout):
                    block = await response.content.readany()
            except BODY_BREAKS as error:
                raise FileBroken(what_broke(error, host), reached=True) from None
            waited += now() - started
            if not block:
                break
            received += len(block)
            if waited >= self._window:
                if received - since < self._floor * waited:
                    raise FileBroken(f"{host} sends less than {self._floor:g} bytes a second", reached=True)
                waited, since = 0.0, received
            yield block
        if length is not None and received != length:
            raise FileBroken(f"{host} sent {received} of {length} bytes", reached=True)

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        timeout = self._network.timeout
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # No total: a long download is no fault.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT, timeout), sock_read=timeout),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            middlewares=(once,),
        )


def _connector(context: ssl.SSLContext, resolver: AbstractResolver) -> aiohttp.TCPConnector:
    """A connection of its own for each request: on a shared one, what a host sends too much would be the next file."""
    return aiohttp.TCPConnector(limit=0, ssl=context, resolver=resolver, force_close=True)


# ------------------------------------------------------------------------------------------------- URLs and their hosts


def _parsed(target: str) -> URL:
    """Raises `FileBroken` for what is no URL: that is this file's trouble alone, so it counts as an answer."""
    try:
        if not _URL.fullmatch(target):
            raise ValueError
        url = URL(target, encoded=True)
        _ = url.port  # yarl takes host and port apart only when they are asked for
    except ValueError:
        raise FileBroken("the service gave a file URL that can't be used", reached=True) from None
    return url


def _absolute(location: str, base: str) -> str:
    """Where a redirect leads. An absolute target is not taken apart, for it may be signed as well."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    if location.startswith("//"):
        return f"{base.partition(':')[0]}:{location}"
    return urljoin(base, location)


# --------------------------------------------------------------------------------------------------- what answers mean


def _whole_length(response: aiohttp.ClientResponse, clock: Clock) -> int | None:
    """The length of a whole file, None if it comes in chunks. Raises `FileRefused`, `FileBroken` for all but a whole file."""
    status, headers = response.status, response.headers
    if status == 200:
        chunks = header(headers, "transfer-encoding")
        length = header(headers, "content-length")
        if chunks is not None and chunks.lower() == "chunked":
            return None
        if chunks is None and length is not None and _LENGTH.fullmatch(length):
            return int(length)
        raise FileBroken(
            "the file host sends a body with neither a length nor chunks, whose end can't be told from a cut",
            reached=True,
        )
    if 400 <= status < 500 and status not in (*_TRY_LATER, 416):
        raise FileRefused(status)
    wait = retry_after(headers, clock.now())
    raise FileBroken(f"the file host answered {status}", wait=wait, reached=status < 500)


def _proven_rest(response: aiohttp.ClientResponse, resume: _Resume) -> int | None:
    """The length of the rest of the same file: right start, right end, same strong ETag, not encoded. Else None."""
    found = _CONTENT_RANGE.fullmatch(header(response.headers, "content-range") or "")
    if response.status != 206 or found is None or _encoding(response) is not None:
        return None
    start, end, total = (int(figure) for figure in found.groups())
    rest = end - start + 1
    whole = start == resume.offset and end == total - 1 and rest > 0
    agreed = header(response.headers, "content-length") in (None, str(rest))
    return rest if whole and agreed and _validator(response) == resume.validator else None


def _encoding(response: aiohttp.ClientResponse) -> str | None:
    encoding = (header(response.headers, "content-encoding") or "identity").lower()
    return None if encoding == "identity" else encoding


def _validator(response: aiohttp.ClientResponse) -> str | None:
    etag = header(response.headers, "etag")
    return etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None
