"""One attempt to bring a file here, and what it leaves for the next."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zlib
from contextlib import asynccontextmanager

import openpyxl
import pytest
from fakes import Contents

from orchestrator.engine.ports import Body, FileBroken, FileRefused, SignedUrl
from orchestrator.engine.transfer import Transfers
from orchestrator.errors import ContentError
from orchestrator.storage.memory import MemoryStorage

REF = ("k1-0", 0)
URL = SignedUrl("https://files.test/1?Signature=canary")
DATA = b'[{"row": 1}, {"row": 2}, {"row": 3}]'


class Host:
    """Answers with `plan`'s bodies in turn: (offset, bytes, how the body ends)."""

    def __init__(self, *plan, encoding=None, validator='"v"'):
        self.plan = list(plan)
        self.encoding = encoding
        self.validator = validator
        self.asked = []

    @asynccontextmanager
    async def open(self, url, *, offset=0, validator=None):
        self.asked.append((offset, validator))
        begins, data, ends = self.plan.pop(0)
        if isinstance(ends, FileRefused):
            raise ends
        yield Body(begins, len(data), self.encoding, None, self.validator, self.blocks(data, ends))

    async def blocks(self, data, ends):
        for n in range(0, len(data), 7):
            await asyncio.sleep(0)
            yield data[n : n + 7]
        if ends is not None:
            raise ends


CUT = FileBroken("cut", reached=True)


async def fetch(host, storage, heard=None, times=1):
    transfers = Transfers(host, storage, Contents(), kept=2)
    for n in range(times):
        try:
            return await transfers.fetch(REF, URL, "json", heard or (lambda received, total: None))
        except (FileBroken, FileRefused):
            if n == times - 1:
                raise
    raise AssertionError


async def test_whole_bytes_are_counted_hashed_and_kept_under_a_temporary_name():
    storage, heard = MemoryStorage(), []
    digest, temp = await fetch(Host((0, DATA, None)), storage, lambda *told: heard.append(told))
    assert (digest.bytes, digest.rows, digest.sha256) == (len(DATA), 3, hashlib.sha256(DATA).hexdigest())
    storage.crash()
    assert storage.temps == {temp: DATA}
    assert heard[-1] == (len(DATA), len(DATA))
    assert not storage.files


@pytest.mark.parametrize("cut", range(1, len(DATA)))
async def test_a_cut_is_gone_on_from(cut):
    storage = MemoryStorage()
    host = Host((0, DATA[:cut], CUT), (cut, DATA[cut:], None))
    digest, temp = await fetch(host, storage, times=2)
    assert host.asked == [(0, None), (cut, '"v"')]
    assert digest.sha256 == hashlib.sha256(DATA).hexdigest()
    assert storage.temps == {temp: DATA}


@pytest.mark.parametrize("cut", [0, 1, 20])
async def test_a_host_that_begins_anew_is_followed(cut):
    storage = MemoryStorage()
    digest, temp = await fetch(Host((0, b"[9, 9, 9, 9, 9, 9, 9, 9", CUT), (0, DATA, None)), storage, times=2)
    assert (digest.rows, storage.temps) == (3, {temp: DATA})


async def test_a_url_that_dies_keeps_what_has_come():
    storage = MemoryStorage()
    host = Host((0, DATA[:9], CUT), (0, b"", FileRefused(403)), (9, DATA[9:], None))
    transfers = Transfers(host, storage, Contents(), kept=2)
    for error in (FileBroken, FileRefused):
        with pytest.raises(error):
            await transfers.fetch(REF, URL, "json", lambda *_: None)
        assert transfers.received(REF) == 9
    digest, _ = await transfers.fetch(REF, URL, "json", lambda *_: None)
    assert (digest.rows, host.asked[-1]) == (3, (9, '"v"'))


async def test_without_a_validator_nothing_is_kept():
    storage = MemoryStorage()
    host = Host((0, DATA[:9], CUT), (0, DATA, None), validator=None)
    await fetch(host, storage, times=2)
    assert host.asked == [(0, None), (0, None)]
    assert len(storage.temps) == 1


async def test_encoded_bytes_are_decoded_and_not_gone_on_from():
    packed = zlib.compress(DATA, wbits=31)
    storage = MemoryStorage()
    host = Host((0, packed[:9], CUT), (0, packed, None), encoding="gzip")
    digest, temp = await fetch(host, storage, times=2)
    assert host.asked == [(0, None), (0, None)]
    assert (digest.bytes, storage.temps) == (len(DATA), {temp: DATA})


async def test_a_host_that_goes_on_elsewhere_is_not_believed():
    storage = MemoryStorage()
    with pytest.raises(FileBroken, match="not asked for"):
        await fetch(Host((5, DATA[5:], None)), storage)
    assert not storage.temps


@pytest.mark.parametrize("body", [DATA[:-1], b"<html></html>", b"", DATA + b"x"])
async def test_wrong_content_leaves_nothing(body):
    storage = MemoryStorage()
    with pytest.raises(ContentError):
        await fetch(Host((0, body, None)), storage)
    assert not storage.temps


async def test_a_cancelled_download_leaves_nothing():
    storage = MemoryStorage()
    host = Host((0, DATA, None))
    host.blocks = lambda data, ends: never()

    async def never():
        await asyncio.Event().wait()
        yield b""

    task = asyncio.create_task(fetch(host, storage))
    for _ in range(10):
        await asyncio.sleep(0)
    assert storage.temps
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not storage.temps


async def test_what_broken_downloads_have_left_is_thrown_away_in_the_end():
    storage = MemoryStorage()
    transfers = Transfers(Host((0, DATA[:9], CUT)), storage, Contents(), kept=2)
    with pytest.raises(FileBroken):
        await transfers.fetch(REF, URL, "json", lambda *_: None)
    assert storage.temps
    await transfers.close()
    assert not storage.temps


async def test_a_workbook_is_looked_into_before_it_counts():
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for row in (["id"], [1], [2]):
        book.active.append(row)
    book.save(packed)
    transfers = Transfers(Host((0, packed.getvalue(), None)), storage := MemoryStorage(), Contents(), kept=2)
    digest, temp = await transfers.fetch(REF, URL, "xlsx", lambda *_: None)
    assert storage.temps[temp] == packed.getvalue()
    assert digest.bytes == len(packed.getvalue())


async def test_no_more_broken_downloads_are_kept_than_asked_for():
    storage = MemoryStorage()
    transfers = Transfers(Host(*[(0, DATA[:9], CUT)] * 4), storage, Contents(), kept=2)
    for n in range(4):
        with pytest.raises(FileBroken):
            await transfers.fetch((f"k{n}", 0), URL, "json", lambda received, total: None)
    assert [transfers.received((f"k{n}", 0)) for n in range(4)] == [0, 0, 9, 9]
    assert len(storage.temps) == 2
