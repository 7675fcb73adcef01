"""What all tests share."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import signal
from types import SimpleNamespace

import aiohttp
import aioresponses.core
import fuzzing
import pytest
from aiohttp.client_proto import ResponseHandler

# Whoever starts the tests in the background (`make test &` of a script, a runner under nohup) lets them inherit that SIGINT
# and others are ignored. So would every program that a test starts, and then be sent one of them.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL)):  # fmt: skip
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# pytest-asyncio asks for the current loop before it makes its own; Python 3.11 would make one that nobody closes, and
# its ResourceWarning then fails whichever test the garbage collector wakes in.
asyncio.set_event_loop(None)

# aioresponses 0.7.9 predates aiohttp 3.14 (pnuckowski/aioresponses#289): it builds responses without the `stream_writer`
# that they now demand, and over a reader whose flow control asserts a transport once a body fills its buffer. Both are
# mended here, for as long as its responses need it.
if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:

    class _Response(aiohttp.ClientResponse):
        def __init__(self, *args, **kwargs):
            kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
            super().__init__(*args, **kwargs)

    def _reader(loop=None):
        return aiohttp.StreamReader(ResponseHandler(loop=loop), limit=2**40, loop=loop)

    @pytest.fixture(autouse=True, scope="session")
    def _aioresponses_bridge():
        patch = pytest.MonkeyPatch()
        patch.setattr(aioresponses.core, "ClientResponse", _Response)
        patch.setattr(aioresponses.core, "stream_reader_factory", _reader)
        yield
        patch.undo()


_runtime_folders = itertools.count()


@pytest.fixture(autouse=True)
def _runtime_folder(monkeypatch, tmp_path_factory):
    """Ports come again: no run of one test shares limits and pauses with one of another test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.getbasetemp() / f"runtime-{next(_runtime_folders)}"))


@pytest.hookimpl(tryfirst=True)  # before `-k` is looked at
def pytest_collection_modifyitems(items):
    """Every property of hypothesis can be picked by `-k fuzz`, and takes the time that its number of examples needs."""
    for item in items:
        if hasattr(getattr(item, "obj", None), "hypothesis"):
            item.extra_keyword_matches.add("fuzz")
            if fuzzing.LARGE:
                item.add_marker(pytest.mark.timeout(0))
