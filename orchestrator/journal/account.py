"""What is known of an account, kept in a journal.

A pause is kept with the moment it was set, for another process may have had another idea of the time: what is left of
it is never more than its whole length, and a clock that went back gives the whole length again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from orchestrator.engine.ports import Clock, Found, Lesson

LESSONS = 300
"""How many lessons are kept: the latest ones."""


LATEST = 253_402_300_799.0
"""The last second of the year 9999: what lies after it is no time that anybody meant."""


def understood(rows: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """What is kept, from its names and JSON texts. Forgotten is what can't be understood: the service will say it again."""
    kept = {}
    for name, text in rows:
        try:
            value = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            continue
        if isinstance(name, str) and _makes_sense(name, value):
            kept[name] = value
    return kept


def _makes_sense(name: str, value: Any) -> bool:
    if name == "lessons":
        return isinstance(value, list) and all(map(_is_lesson, value))
    if name == "found":
        return isinstance(value, dict) and set(value) == _FOUND and all(map(_is_limit, value.values()))
    if name.partition("-")[0] == "pause":
        return isinstance(value, dict) and is_time(value.get("set_at")) and is_time(value.get("until"))
    return True


def is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LATEST


_FOUND = set(Found._fields)


def _is_lesson(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != len(Lesson._fields) or not all(map(is_time, value)):
        return False
    lesson = Lesson(*value)
    return isinstance(lesson.size, int) and lesson.low <= lesson.high


def _is_limit(value: Any) -> bool:
    return value is None or (is_time(value) and value > 0)


def left_of(pause: Mapping[str, float], now: float) -> float:
    """Seconds that are left of a pause as it is kept; none if it is not positive."""
    return min(pause["until"] - now, pause["until"] - pause["set_at"])


class Keeper(Protocol):
    """Where values are kept: a journal that is open."""

    @property
    def account(self) -> dict[str, Any]:
        """What is kept, by name."""

    async def remember(self, name: str, value: Any) -> None:
        """Keeps a value; durable when it returns."""

    def note(self, name: str, value: Any) -> None:
        """Keeps a value some time soon."""


class JournalAccount:
    """Implements `Account` on any journal of this room, from the moment the journal is open."""

    def __init__(self, keeper: Keeper, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock
        self._until: dict[str, float] = {}

    async def paused_until(self, host: str = "api") -> float:
        if host not in self._until:
            self._until[host] = await self._left_by_another(_name(host))
        return self._until[host]

    async def pause(self, until: float, host: str = "api") -> None:
        longest = self._until[host] = max(await self.paused_until(host), until)
        # Written even if it is no longer than what is known: an earlier, longer one may still be on its way.
        await self._keeper.remember(_name(host), {"set_at": self._clock.now(), "until": longest})

    async def lessons(self) -> tuple[Lesson, ...]:
        return tuple(Lesson(*lesson) for lesson in self._keeper.account.get("lessons", ()))

    async def learn(self, lessons: Sequence[Lesson]) -> None:
        if lessons:
            self._keeper.note("lessons", [list(lesson) for lesson in (*await self.lessons(), *lessons)[-LESSONS:]])

    async def found(self) -> Found:
        return Found(**self._keeper.account.get("found", {}))

    async def keep(self, found: Found) -> None:
        if found != await self.found():
            self._keeper.note("found", found._asdict())

    async def _left_by_another(self, name: str) -> float:
        pause = self._keeper.account.get(name)
        if pause is None:
            return 0.0
        now = self._clock.now()
        left = left_of(pause, now)
        if left <= 0:
            return 0.0
        if pause["set_at"] > now:
            # This clock is behind: it counts from here on, or each later process would wait the whole length again.
            await self._keeper.remember(name, {"set_at": now, "until": now + left})
        return now + left


def _name(host: str) -> str:
    return "pause" if host == "api" else f"pause-{host}"
