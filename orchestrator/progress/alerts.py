"""What is out of the ordinary in a run, in the words that all printers use. Pure."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engine.events import OutageBegan
from orchestrator.progress.tally import ProblemSeen, Tally
from orchestrator.progress.words import clock_in_zone, span

_HOSTS = {"api": "the API host", "files": "the file host"}


def host_name(host: str) -> str:
    return _HOSTS.get(host, host)


def pause(tally: Tally, now: float, moment: Callable[[float, float], str] = clock_in_zone) -> list[str]:
    """In pieces that a line may break between; empty while the gate is open."""
    if tally.paused_until <= now:
        return []
    return [
        f"paused by the service until {moment(tally.paused_until, now)}",
        f"{span(tally.paused_until - now)} to go",
    ]


def outage(told: OutageBegan, now: float, moment: Callable[[float, float], str] = clock_in_zone) -> list[str]:
    return [
        f"{host_name(told.host)} has not answered for {span(now - told.at)}",
        f"giving up at {moment(told.gives_up_at, now)}",
    ]


def parking(reason: str) -> list[str]:
    return [f"parking: {reason}", "what is under way gets a few seconds"]


def problem(seen: ProblemSeen, now: float) -> str:
    """`support 2024-05 (and 11 more): …, again in 0:12`."""
    others = f" (and {seen.times - 1:,} more)" if seen.times > 1 else ""
    if seen.again_at is None:
        return f"FAILED {seen.label}{others}: {seen.message}"
    again = f", again in {span(seen.again_at - now)}" if seen.again_at - now >= 1 else ""
    return f"{seen.label}{others}: {seen.message}{again}"
