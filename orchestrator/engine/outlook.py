"""Tells what the run has learned: how long exports take, and the limits as they are found. No I/O."""

from __future__ import annotations

import math

from orchestrator.engine.asking import Asking
from orchestrator.engine.events import Learned
from orchestrator.engine.ports import Observer
from orchestrator.engine.spending import Spending

EVERY = 1.0
"""Seconds between two looks, at least."""
_NOTICEABLE = 0.1
"""A figure that has changed by such a share is told."""


class Outlook:
    def __init__(self, asking: Asking, spending: Spending, observer: Observer) -> None:
        self._asking = asking
        self._spending = spending
        self._observer = observer
        self._looked_at = -math.inf
        self._told: Learned | None = None

    def look(self, now: float, *, at_last: bool = False) -> None:
        """Tells what has changed since it was told last; `at_last` even if it has just been looked at."""
        if now < self._looked_at + EVERY and not at_last:
            return
        self._looked_at = now
        expected = self._asking.expected()
        spending = self._spending
        learned = Learned(
            now,
            seconds=expected[0] if expected else None,
            longest=expected[1] if expected else None,
            per_second=spending.pace.per_second,
            unfinished=spending.cap.most,
            downloads=spending.places.most,
            rate_found=spending.pace.known,
            cap_found=spending.cap.known,
        )
        if self._told is None or _differs(self._told, learned):
            self._told = learned
            self._observer.tell(learned)


def _differs(before: Learned, after: Learned) -> bool:
    if (before.rate_found, before.cap_found) != (after.rate_found, after.cap_found):
        return True
    pairs = (
        (before.seconds or 0.0, after.seconds or 0.0),
        (before.per_second, after.per_second),
        (before.unfinished, after.unfinished),
        (before.downloads, after.downloads),
    )
    return any(abs(new - old) > _NOTICEABLE * old for old, new in pairs)
