"""The real client and the real file host of one process, with a sheet of evidence for each thing that they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import l2_hosts
import l2_oracle
from evidence import Call, Download
from l2_wire import ASKING

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.engine.ports import (
    Body,
    Broken,
    CreateAnswer,
    FileBroken,
    FileRefused,
    SignedUrl,
    StatusAnswer,
    Throttled,
)
from orchestrator.errors import ContentError

if TYPE_CHECKING:
    from l2_jobs import JobWorld


@dataclass
class Exchange(l2_hosts.Call):
    """A call as the wire sees it; connections that are opened for it know it."""

    call: Call | None = None
    """Its sheet, if it is one to the API."""
    download: Download | None = None
    target: str = ""
    dies_at: float = 0.0
    """When its signed URL does."""
    corrupt: bool = False
    """The host means to send what is not the file."""

    @property
    def came_to_an_end(self) -> bool:
        """It is a download whose body ended, for the client, as it was announced."""
        return self.download is not None and self.download.outcome in ("whole", "corrupt")

    @property
    def clean(self) -> bool:
        """What came last came as it was meant, and it was the file."""
        return bool(self.replies) and self.replies[-1].whole and not self.corrupt and not self.tainted


class JobApi:
    """Implements `ExportApi` by the real client."""

    def __init__(self, world: JobWorld, client: LoopClient) -> None:
        self.world = world
        self.client = client

    @property
    def posts_sent(self) -> int:
        return self.client.posts_sent

    @property
    def gets_sent(self) -> int:
        return self.client.gets_sent

    async def renew_credentials(self) -> bool:
        self.world.alive()
        return await self.client.renew_credentials()

    async def create(self, request: Mapping[str, Any], identity: str | None) -> CreateAnswer:
        self.world.alive()
        call = self.world.call("POST", self.world.key_of(request, identity))
        return await self._exchange("create", call, lambda: self.client.create(request, identity))

    async def get(self, report_id: str, identity: str | None) -> StatusAnswer:
        self.world.alive()
        made = self.world.evidence.reports.get(report_id)
        call = self.world.call("GET", made.key if made else None, report_id)
        return await self._exchange("get", call, lambda: self.client.get(report_id, identity))

    async def _exchange(self, kind: str, call: Call, ask: Callable[[], Awaitable[Any]]) -> Any:
        world = self.world
        exchange = Exchange(call.seq, 0, kind, call.report_id or "", began=world.now, call=call)
        world.exchanges.append(exchange)
        call.sent = 0
        label = call.kind.lower()
        world.point(f"{label} sent")
        ASKING.set(exchange)
        try:
            answer = await ask()
        except asyncio.CancelledError:
            exchange.cancelled = True
            raise
        world.alive()
        exchange.outcome, exchange.ended = answer, world.now
        exchange.made, exchange.connects = [call.made] if call.made else [], call.sent
        # What the answer asks for counts if it came as it was meant, or if it was understood all the same.
        last = exchange.replies[-1] if exchange.replies else None
        wait = last.wait if last and (last.head_whole or isinstance(answer, Throttled)) else None
        troubled = isinstance(answer, Broken) or (isinstance(answer, Throttled) and answer.unavailable)
        world.answered(call, answer, wait, truly_sent=call.sent > 0, status=0 if troubled else 200)
        world.point(f"{label} answered")
        if isinstance(answer, Throttled):
            world.point("gate answered")
        return answer


class JobFiles:
    """Implements `Files` by the real file host."""

    def __init__(self, world: JobWorld, host: FileHost) -> None:
        self.world = world
        self.host = host
        self.running = 0
        self.tainted: set[str] = set()
        """Reports of whose files bytes have come that are not the file's, and may be gone on from."""

    @asynccontextmanager
    async def open(self, url: SignedUrl, *, offset: int = 0, validator: str | None = None) -> AsyncIterator[Body]:
        world = self.world
        world.alive()
        assert world.process is not None
        parts = urlsplit(url.reveal())
        target = f"{parts.path}?{parts.query}"
        report_id, dies_at = world.service.signed[parts.query.partition("Signature=")[2].partition("&")[0]]
        download = world.download(report_id)
        exchange = Exchange(download.seq, 0, "fetch", report_id, download=download, target=target, dies_at=dies_at)
        exchange.tainted = report_id in self.tainted
        world.exchanges.append(exchange)
        world.point("file open")
        self.running += 1
        world.process.downloads_at_once = max(world.process.downloads_at_once, self.running)
        download.outcome = "let go"
        ASKING.set(exchange)
        try:
            async with self.host.open(url, offset=offset, validator=validator) as body:
                exchange.tainted &= body.offset > 0
                yield replace(body, blocks=self._blocks(exchange, body.blocks))
        except (FileRefused, FileBroken) as error:
            self._broke(exchange, download, error)
            raise
        except ContentError:
            self._came(exchange, download)
            raise
        finally:
            self.running -= 1
            if not world.dead:
                world.note(f"download {report_id}: {download.outcome}")

    async def _blocks(self, exchange: Exchange, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for block in blocks:
            self.world.alive()
            self.world.point("file block")
            yield block
        assert exchange.download is not None
        self._came(exchange, exchange.download)

    def _came(self, exchange: Exchange, download: Download) -> None:
        """All that was to come; whether it is the file is a matter of what was sent, not of what the client makes of it."""
        download.outcome = "whole" if exchange.clean else "corrupt"
        self.tainted.discard(download.report_id)  # whatever it was, it is not gone on from

    def _broke(self, exchange: Exchange, download: Download, error: FileRefused | FileBroken) -> None:
        world = self.world
        assert world.process is not None
        download.outcome = "refused" if isinstance(error, FileRefused) else "broken"
        world.process.files_trouble |= isinstance(error, FileBroken)
        if exchange.tainted or exchange.corrupt or l2_oracle.taints(exchange.replies):
            self.tainted.add(download.report_id)
        last = exchange.replies[-1] if exchange.replies else None
        if last and last.wait is not None and (last.head_whole or getattr(error, "wait", None)):
            world.gate(last.wait, "files")
