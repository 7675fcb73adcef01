"""When to try again. Pure: chance is passed in, a float in [0, 1)."""

from __future__ import annotations

from orchestrator.engine.policy import Retry


def wait(retry: Retry, failures: int, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row: full jitter between `base` and a ceiling that doubles up to `max`."""
    ceiling = min(retry.max, retry.base * 2.0 ** min(failures, 64))
    floor = min(retry.base, ceiling)
    return floor + chance * (ceiling - floor)


def probe_wait(retry: Retry) -> float:
    """Seconds between two requests to a host that answers nobody.

    Six a minute at most, so that a host in trouble is left alone; several within `outage`, so that one that comes back is noticed.
    """
    return min(10.0, retry.max, retry.outage / 10)
