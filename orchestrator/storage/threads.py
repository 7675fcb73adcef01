"""Work on threads that a cancelled caller waits for.

A thread can't be stopped. If its caller went away at once, a file could be closed, renamed or reused under a write that
still goes on. So the caller is cancelled only when the thread has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import CancelScope

T = TypeVar("T")


async def settled(work: Awaitable[T], on_cancel: Callable[[], object] | None = None) -> T:
    """The result of `work`, which runs to its end even if the caller is cancelled; the caller hears of it after that.

    `on_cancel` may hurry the work up.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        with CancelScope(shield=True):
            while not task.done():
                with contextlib.suppress(asyncio.CancelledError):  # once is enough; it is raised below
                    await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it
        raise
    return task.result()


class Stopped(Exception):
    """The reader of this file has gone away."""


class StoppableFile(io.FileIO):
    """A file to read whose next read fails once `stop` is set: digesting gigabytes must not outlive its caller by much."""

    def __init__(self, fd: int, stop: threading.Event) -> None:
        super().__init__(fd, "rb")
        self._stop = stop

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]  # typeshed's Buffer is not importable before 3.12
        if self._stop.is_set():
            raise Stopped
        return super().readinto(buffer)
