"""Calls that are cancelled at each of their awaits, over real sockets into real files: nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import sys

import anyio
import pytest
from api_servers import CLOCK, RawServer, answer

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.cli.wiring import Contents
from orchestrator.engine.ports import SignedUrl
from orchestrator.engine.transfer import Transfers
from orchestrator.storage.local import BLOCK, LocalStorage

REPORT = b'{"id": "5f3e", "status": "Processing"}'
FILE = b"[" + b" " * (BLOCK + 10) + b"]"
"""More than one block, so that a write is among the awaits."""
MOST = 200
DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class Interrupted:
    """Awaits `work`, and at its `n`-th await cancels whoever awaits; `awaits` tells how many there were."""

    def __init__(self, work, n, cancel):
        self._work = work
        self._n = n
        self._cancel = cancel
        self.awaits = 0

    def __await__(self):
        steps = self._work.__await__()
        answer = error = None
        while True:
            try:
                waiting = steps.throw(error) if error is not None else steps.send(answer)
            except StopIteration as done:
                return done.value
            self.awaits += 1
            if self.awaits == self._n:
                self._cancel()
            answer = error = None
            try:
                answer = yield waiting
            except BaseException as thrown:  # noqa: BLE001  handed on
                error = thrown


async def in_pieces(head, reader, writer):
    reply = answer(200, FILE, 'ETag: "v1"') if b"/file" in head else answer(200, REPORT)
    for piece in (reply[:10], reply[10:-20], reply[-20:]):
        writer.write(piece)
        await writer.drain()
        for _ in range(5):
            await asyncio.sleep(0)


CALLS = {
    "create": lambda client, transfers, url: client.create({"timezone": "UTC"}, None),
    "get": lambda client, transfers, url: client.get("5f3e", None),
    "fetch": lambda client, transfers, url: transfers.fetch(("k", 0), SignedUrl(f"{url}/file"), "json", lambda *_: None),
}  # fmt: skip


def left():
    """Tasks that are not done, and open files and sockets."""
    return len([task for task in asyncio.all_tasks() if not task.done()]), len(os.listdir(DESCRIPTORS))


async def interrupted(call, n, how):
    """Whether the call was cancelled; if not, it was over before its `n`-th await."""
    work = None
    with anyio.CancelScope() as scope:

        async def run():
            nonlocal work
            work = Interrupted(call, n, scope.cancel if how == "scope" else task.cancel)
            await work

        if how == "scope":
            await run()
        else:
            task = asyncio.create_task(run())
            try:
                await task
            except asyncio.CancelledError:
                return True
    assert scope.cancelled_caught or work.awaits < n, f"it went on although cancelled at await {n}"
    return scope.cancelled_caught


@pytest.mark.parametrize("how", ["task", "scope"])
@pytest.mark.parametrize("kind", CALLS)
async def test_cancelled_at_any_await_a_call_leaves_no_socket_no_task_and_no_file(tmp_path, kind, how):
    network = Network(timeout=20.0, proxy="none")
    state = tmp_path / "state"
    state.mkdir()
    async with (
        RawServer(in_pieces) as server,
        LoopClient(
            url := f"http://localhost:{server.port}", token=lambda: "token", network=network, clock=CLOCK
        ) as client,
        FileHost(url, network=network, clock=CLOCK) as files,
        LocalStorage(tmp_path / "out", state) as storage,
    ):
        transfers = Transfers(files, storage, Contents(), kept=1)
        before = left()
        for n in range(1, MOST):
            if not await interrupted(CALLS[kind](client, transfers, url), n, how):
                break
            assert [len(pool._acquired) for pool in (client._session.connector, files._direct.connector)] == [0, 0]
            assert list((state / "tmp").iterdir()) == [], f"cancelled at await {n}"
            async with asyncio.timeout(20):
                # The host must hear of the end too, and a look-up that nobody awaits come to one; neither gives a signal.
                while left() != before:  # noqa: ASYNC110  as said above
                    await asyncio.sleep(0)
    assert 4 < n < MOST - 1
