"""The registry of situations that bring about an error, one a code of the table: see test_e2e_codes.py."""

from __future__ import annotations

import asyncio
import contextlib

PROVOKED = {}
"""Code -> the situation: a coroutine function that is given the stage and ends the program in that error."""

PLAYED = {}
"""Code -> what is played in its situation, because a machine that runs tests can't be relied upon to have it."""


def provokes(code, *, played=None):
    def register(situation):
        assert code not in PROVOKED, f"{code} is provoked twice"
        PROVOKED[code] = situation
        if played is not None:
            PLAYED[code] = played
        return situation

    return register


def playing(code):
    """How to start the program so that `code` (Python) has run before it."""
    return {"program": ("-c", f"{code}\nfrom orchestrator.cli.entry import main\nmain()")}


@contextlib.asynccontextmanager
async def listening(answer):
    """A host that answers every request with these bytes; gives its address."""

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
