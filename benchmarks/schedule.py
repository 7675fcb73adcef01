"""The best that a client could do who knows every duration: greedy schedules in creation order. Pure.

Each gives the makespan: seconds from the first request to the moment when the last export is noticed. The last one knows
the distribution alone.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence


def greedy(durations: Sequence[float], places: int, latency: float = 0.0) -> float:
    """List scheduling: each export goes, in order, to the place that is free first.

    A place is held for the export's duration and for `latency`, after which the client has the answer that says so.
    For N equal durations d and a multiple of `places` this is the floor N * (d + latency) / places.
    """
    free = [0.0] * places
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration + latency)
    return max(free)


def greedy_at_a_rate(durations: Sequence[float], places: int, per_second: float, burst: int) -> float:
    """The same where each export costs two requests, a POST and one GET, out of one token bucket.

    The bucket holds `burst` tokens and is full at the start; requests and answers take no time. An export's GET is sent
    as soon as the export is finished and a token is there; a POST, as soon as fewer than `places` exports are unfinished
    *at the service* and a token is there. The client knows when an export ends, so a POST need not wait for the GET
    that tells of a free place. When both wait for a token, the POST goes first: it keeps the service at work, and the
    GETs are made up for later.
    """
    now, tokens = 0.0, float(burst)
    waiting = deque(durations)
    unfinished: list[float] = []
    to_notice = 0
    noticed = 0
    while noticed < len(durations):
        while unfinished and unfinished[0] <= now:
            heapq.heappop(unfinished)
            to_notice += 1
        may_post = bool(waiting) and len(unfinished) < places
        if tokens >= 1 and may_post:
            heapq.heappush(unfinished, now + waiting.popleft())
            tokens -= 1
            continue
        if tokens >= 1 and to_notice:
            to_notice -= 1
            noticed += 1
            tokens -= 1
            continue
        # Until a token comes for a request that waits, or something ends that makes one.
        wake = unfinished[0] if unfinished else float("inf")
        if may_post or to_notice:
            wake = min(wake, now + (1 - tokens) / per_second)
        tokens = min(float(burst), tokens + (wake - now) * per_second)
        now = wake
        tokens = round(tokens, 9)  # a token must not be missed by a rounding error
    return now


def one_a_turn(
    durations: Sequence[float], places: int, per_second: float, unfinished: Callable[[float], float]
) -> float:
    """The same by a client that spreads its requests evenly and knows no single duration, only how they are distributed.

    `unfinished` is the share of exports that take longer than so many seconds. Each turn goes to a POST where a place is
    known to be free, else to a GET for the export that is likeliest to be finished by now.
    """
    waiting = deque(durations)
    running: list[
        tuple[float, float, float]
    ] = []  # when it was created, its duration, the age at which it was asked about
    now = 0.0
    while waiting or running:
        if waiting and len(running) < places:
            running.append((now, waiting.popleft(), 0.0))
        else:
            asked = min(running, key=lambda each: unfinished(now - each[0]) / max(unfinished(each[2]), 1e-300))
            created, duration, _ = asked
            running.remove(asked)
            if now - created < duration:
                running.append((created, duration, now - created))
            elif not waiting and not running:
                break
        now += 1 / per_second
    return now
