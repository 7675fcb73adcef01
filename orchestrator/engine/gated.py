"""`Files` behind the file host's gate: looked at in the last moment before a request, closed in the first after an answer.

Between the decision to fetch and the request lies the making of a temporary file, between a broken transfer and its fact the
putting away of what has come; a `Retry-After` that is heard meanwhile holds for everybody at once all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.engine.ports import Body, Clock, FileBroken, Files, SignedUrl
from orchestrator.engine.spending import Spending


class Held(FileBroken):
    """Nothing was sent: the file host has asked for silence since this download was decided on."""


class GatedFiles:
    """Implements `Files`; raises `Held` besides what that raises."""

    def __init__(self, files: Files, spending: Spending, clock: Clock) -> None:
        self._files = files
        self._spending = spending
        self._clock = clock

    @asynccontextmanager
    async def open(self, url: SignedUrl, *, offset: int = 0, validator: str | None = None) -> AsyncIterator[Body]:
        if self._spending.files_closed_until > self._clock.now():
            raise Held("not sent: the file host asked for silence")
        try:
            async with self._files.open(url, offset=offset, validator=validator) as body:
                yield body
        except FileBroken as broken:
            if broken.wait is not None:
                now = self._clock.now()
                self._spending.close("files", now + broken.wait, now)
            raise
