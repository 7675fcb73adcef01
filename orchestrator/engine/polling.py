"""When to ask again. Pure: chance is passed in, a float in [0, 1)."""

from __future__ import annotations

from orchestrator.engine.policy import Polling

GROWTH = 1.5
"""By how much each wait of the backoff policy exceeds the one before it."""


def wait(polling: Polling, asked: int, chance: float) -> float:
    """Seconds from the creation (`asked` == 0) or from the latest answer until the next poll of a report.

    `asked` counts the polls so far. Under the adaptive policy this is the guess for a report that `asking` does not know. Jitter only lengthens, so that exports created together are not asked about
    together; `max` is the longest silence under every policy.
    """
    if polling.policy == "steady":
        base = polling.every
    elif asked == 0:
        base = polling.first
    else:
        # The exponent is bounded so that the power can't overflow; `max` has long taken over by then.
        base = polling.every * GROWTH ** min(asked - 1, 64)
    return min(base * (1 + polling.jitter * chance), polling.max)
