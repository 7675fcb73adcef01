import asyncio
import socket
import threading

import pytest

from orchestrator.api.resolver import DaemonResolver


async def test_a_name_gives_its_addresses():
    found = await DaemonResolver().resolve("localhost", 80)
    assert {"127.0.0.1"} == {result["host"] for result in found}
    assert found[0]["port"] == 80
    assert found[0]["family"] == socket.AF_INET


async def test_a_name_without_addresses_is_an_os_error(monkeypatch):
    def refuse(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OSError, match="not known"):
        await DaemonResolver().resolve("nowhere.invalid")


def test_a_loop_that_ends_does_not_wait_for_a_look_up(monkeypatch):
    asked, free = threading.Event(), threading.Event()

    def hang(*args, **kwargs):
        asked.set()
        free.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def ask_and_leave():
        asking = asyncio.create_task(DaemonResolver().resolve("slow.invalid"))
        await asyncio.to_thread(asked.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask_and_leave())  # would hang here, for the look-up goes on
    assert not free.is_set()
    free.set()
