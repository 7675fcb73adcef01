"""The program with a bug of ours in it, whose last words hold every secret at hand: `planted_bugs.py BUG COMMAND…`."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import warnings

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.engine.ports import SignedUrl

GET, OPEN = LoopClient.get, FileHost.open


class Dying:
    def __init__(self, words: str) -> None:
        self.words = words

    def __del__(self) -> None:
        raise RuntimeError(self.words)


def words(client: LoopClient, url: SignedUrl | None = None) -> str:
    """As a careless `repr` would put it: headers, the bare token, and the URL in many forms."""
    headers = {"Authorization": f"Bearer {client._token}"}
    return f"planted: {headers} {client._token} {url!r} {url} {url.reveal() if url else ''} {[url and url.reveal()]}"


def in_create(client, request, identity):
    raise RuntimeError(words(client))


async def in_get(client, report_id, identity):
    answer = await GET(client, report_id, identity)
    url = getattr(answer, "url", None)
    if url is not None:
        raise ValueError(words(client, url)) from KeyError(url.reveal())
    return answer


def in_open(host, url, **options):
    raise LookupError(f"planted: {url!r} {url.reveal()}")


async def fail(said):
    raise RuntimeError(said)


def a_task(said):
    asyncio.ensure_future(fail(said))  # noqa: RUF006  nobody keeps it: that is the bug


def a_callback(said):
    asyncio.get_running_loop().call_soon(lambda: {}[said])


def a_thread(said):
    thread = threading.Thread(target=lambda: {}[said], name=said)
    thread.start()
    thread.join()


def a_warning(said):
    warnings.warn(said, ResourceWarning, stacklevel=1)


def a_log_line(said):
    logging.getLogger("aiohttp.client").error("%s", said)
    logging.getLogger("aiohttp.client").error("one is missing: %s %s", *[said])


async def beside(client, report_id, identity):
    """All goes well, but things that nobody waits for go wrong beside it."""
    answer = await GET(client, report_id, identity)
    if getattr(answer, "url", None) is not None:
        for leave in (a_task, a_callback, a_thread, Dying, a_warning, a_log_line):
            leave(words(client, answer.url))
        for _ in range(3):
            await asyncio.sleep(0)
    return answer


class Leaving(BaseException):
    """What no `except Exception` stops."""


def leaving(client, request, identity):
    raise Leaving(words(client))


BUGS = {
    "in create": (LoopClient, "create", in_create),
    "in get": (LoopClient, "get", in_get),
    "in open": (FileHost, "open", in_open),
    "beside": (LoopClient, "get", beside),
    "leaving": (LoopClient, "create", leaving),
}

if __name__ == "__main__":
    owner, name, bug = BUGS[sys.argv.pop(1)]
    setattr(owner, name, bug)
    from orchestrator.cli.entry import main

    main()
