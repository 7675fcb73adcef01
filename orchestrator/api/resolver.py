"""Name look-ups on threads that nobody waits for at the end.

asyncio's own go to a pool that is joined when the loop ends: with a name server that does not answer, a run that has parked
would sit there for many seconds, past its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from aiohttp.abc import AbstractResolver, ResolveResult


class DaemonResolver(AbstractResolver):
    """The system's resolver, a daemon thread a look-up. Raises `OSError` for a name that has no address."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def look_up() -> None:
            try:
                results, error = _look_up(host, port, family), None
            except (OSError, UnicodeError) as failure:
                results, error = [], failure
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(_settle, found, results, error)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        return await found

    async def close(self) -> None:
        """Nothing is held."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in known
    ]


def _settle(found: asyncio.Future[list[ResolveResult]], results: list[ResolveResult], error: Exception | None) -> None:
    if found.done():  # its caller was cancelled
        return
    if error is None:
        found.set_result(results)
    else:
        found.set_exception(error)
