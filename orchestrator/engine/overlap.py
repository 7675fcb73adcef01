"""Questions about one report that do not wait for each other's answers.

Where an answer takes long, one that finds an export unfinished costs its place that time. So a planned question may go while
earlier ones about the same report are under way. It does not hold its part: the part goes on as the first answer to say
something new has it, and what the others say is old then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from orchestrator.engine.choose import Ref
from orchestrator.engine.ports import Broken, Throttled
from orchestrator.engine.states import Part, State
from orchestrator.engine.step import Asked

LATE = 2.0
"""Nothing goes beside a question whose answer has taken so many times as long as usual: somebody may be in trouble."""


@dataclass(slots=True)
class _Asking:
    """The questions about one part."""

    turn: anyio.Lock = field(default_factory=anyio.Lock)
    """What their answers say is believed one after the other."""
    sent: dict[anyio.CancelScope, float] = field(default_factory=dict)
    """Those whose answers have not come, and when they went out."""
    scopes: set[anyio.CancelScope] = field(default_factory=set)
    """Theirs, and those of answers that are being believed."""
    heard: dict[str, float] = field(default_factory=dict)
    """Reports, and when the latest question whose answer told something of them went out."""


class Overlap:
    """Questions under way that do not hold their part. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._parts: dict[Ref, _Asking] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def since(self, ref: Ref) -> float | None:
        """When the oldest question about this part that has no answer went out, seconds since the epoch; None: all have theirs."""
        asking = self._parts.get(ref)
        return min(asking.sent.values(), default=None) if asking else None

    def begins(self, ref: Ref, now: float) -> anyio.CancelScope:
        """A question goes out, within the scope that this gives."""
        asking = self._parts.setdefault(ref, _Asking())
        scope = anyio.CancelScope()
        asking.scopes.add(scope)
        asking.sent[scope] = now
        return scope

    def ends(self, ref: Ref, scope: anyio.CancelScope) -> None:
        """It is done with, whether it was answered or let go of."""
        asking = self._parts[ref]
        asking.scopes.discard(scope)
        asking.sent.pop(scope, None)
        if not asking.scopes:
            del self._parts[ref]

    def let_go(self) -> None:
        """Nobody waits for the answers any more; what has come is believed all the same."""
        for asking in self._parts.values():
            for scope in asking.scopes:
                scope.cancel()

    @asynccontextmanager
    async def turn(self, ref: Ref, scope: anyio.CancelScope) -> AsyncIterator[None]:
        """The answer to a question is there: within this it is looked at alone, after those that came before it."""
        asking = self._parts[ref]
        async with asking.turn:
            del asking.sent[scope]
            yield

    def is_news(self, ref: Ref, fact: Asked, part: Part) -> bool:
        """Whether the part still waits for what an answer says. If so, what was asked before it is of no interest any more."""
        report = part.report(fact.report_id) if part.state is State.GENERATING else None
        if report is None or not report.live:
            return False
        heard = self._parts[ref].heard
        if 0.0 < fact.sent_at < heard.get(report.id, 0.0):
            return False
        if not isinstance(fact.answer, Throttled | Broken):
            heard[report.id] = fact.sent_at
        return True
