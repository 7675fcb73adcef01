"""One listening port that can be shut and opened again, as in an outage, without ever being given away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from orchestrator.errors import JobError, Problem, said_by_system
from orchestrator.simulator.wire import break_off

_BACKLOG = 1024


class Door:
    """While it is shut the port stays bound but nobody listens: connecting is refused, and no one else can take it.

    Raises JobError when the port can't be had. Belongs to the running event loop.
    """

    def __init__(
        self, host: str, port: int, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    ) -> None:
        self._host = host
        self._socket = _bind(host, port)
        self._port: int = self._socket.getsockname()[1]
        self._web = web.Server(handler, handler_cancellation=True, access_log=None)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def open(self) -> None:
        """Listen. Does nothing when it is open already."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        # Not served at once: a cancellation between the two steps must not lose the server.
        self._server = await loop.create_server(self._web, sock=self._socket, backlog=_BACKLOG, start_serving=False)
        await self._server.start_serving()

    def shut(self) -> None:
        """Stop listening and reset every connection. Does nothing when it is shut already."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._socket = _bind(self._host, self._port)
        self._break_off()

    async def close(self) -> None:
        """Shut for good: what is being answered is cut off."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        self._break_off()
        await self._web.shutdown(0.1)

    def _break_off(self) -> None:
        for connection in self._web.connections:
            if connection.transport is not None:
                break_off(connection.transport, reset=True)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError, TypeError) as error:  # TypeError: a host that can't be encoded
        bound.close()
        raise JobError(
            Problem(
                f"port {port} on {host} can't be opened",
                code="simulator.port",
                cause=_cause(error),
                hint="choose another port, or 0 for any that is free: simulate --port 0",
            )
        ) from None
    return bound


def _cause(error: Exception) -> str | None:
    match error:
        case OSError():
            return said_by_system(error)
        case OverflowError():
            return "ports are numbers from 0 to 65535"
        case _:
            return "this is no host's name"
