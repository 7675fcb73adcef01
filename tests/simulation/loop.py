"""An event loop in which time is virtual, order is drawn from a seed, and no thread ever starts.

Nothing waits: when nobody is ready, time jumps to the next timer. Whoever is ready at the same moment comes in an order
that the seed shuffles, so that no code gets used to one. `run_in_executor` runs the call on the loop itself, after a seeded
delay. The same seed gives the same run in every process, whatever its hash seed and its addresses: what asyncio, aiohttp
and anyio keep in sets (tasks, futures and cancel scopes) has hashes that depend on neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
from asyncio import base_events
from collections.abc import Callable
from typing import Any

from anyio._backends import _asyncio as anyio_backend

STEPS = 50_000
"""Callbacks in one process, after which it is taken to spin."""


class Killed(SystemExit):
    """The process dies here. asyncio lets a SystemExit out of the loop; any other error a task would survive as its result."""


class Spinning(BaseException):
    """The step limit: something goes round without time passing, or for ever."""


class Deadlock(BaseException):
    """Nobody is ready and no timer is set: the run would sleep for ever."""


class SimTask(asyncio.Task):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, *args: Any, serial: int, **kwargs: Any) -> None:
        self.serial = serial
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self.serial


class SimFuture(asyncio.Future):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, *, loop: asyncio.AbstractEventLoop, serial: int) -> None:
        self.serial = serial
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.serial


class SimLoop(base_events.BaseEventLoop):
    most_steps = STEPS

    def __init__(self, seed: str, now: float, io: Callable[[], float]) -> None:
        super().__init__()
        self.now = now
        self.steps = 0
        self.killed = False
        self._io = io
        self._chance = random.Random(seed)
        self._serial = 0
        self._futures = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.tasks: list[SimTask] = []
        self.set_exception_handler(lambda loop, context: None)  # tasks of a dead process are no news
        self.set_task_factory(self._task)

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, context: Any = None) -> SimTask:
        self._serial += 1
        task = SimTask(coro, loop=loop, context=context, serial=self._serial)
        self.tasks.append(task)
        return task

    def create_future(self) -> SimFuture:
        self._futures += 1
        return SimFuture(loop=self, serial=self._futures)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # passed over when its time comes

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def run() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001  as an executor does: the caller gets it
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_later(self._io(), run)
        return future

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            while self._timers and self._timers[0][2].cancelled():
                heapq.heappop(self._timers)
            if not self._timers:
                raise Deadlock
            self.now = max(self.now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                ready.append(handle)
        self.steps += len(ready)
        if self.steps > self.most_steps:
            raise Spinning
        batch = list(ready)
        ready.clear()
        if len(batch) > 1:
            self._chance.shuffle(batch)
        for n, handle in enumerate(batch):
            if handle.cancelled():
                continue
            handle._run()
            if self.killed:  # an `except BaseException` with an await in it must not walk on
                raise Killed
            if self._stopping:
                ready.extendleft(reversed(batch[n + 1 :]))
                break

    def _write_to_self(self) -> None:
        pass  # there is nobody to wake

    def bury(self) -> None:
        """Ends what the dead process has left. The world is closed to it by now; what it tries in `finally` comes to nothing."""
        for _ in range(20):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task._log_destroy_pending = False
                _close(task.get_coro())
        for task in self.tasks:
            anyio_backend._task_states.pop(task, None)  # its values hold on to its keys: worlds would pile up
        self.tasks.clear()
        self._timers.clear()
        self._ready.clear()
        self.close()


def _close(coro: Any) -> None:
    with contextlib.suppress(BaseException):  # a dead man's last words
        coro.close()


def install() -> None:
    """Hashes that depend on no address: sets of cancel scopes (a handful each) are then ordered by their history alone."""
    anyio_backend.CancelScope.__hash__ = lambda scope: 1  # type: ignore[method-assign]  # that is the point
