"""What a run says before it begins: where its limits begin, and until when it works. Pure."""

from __future__ import annotations

from orchestrator.engine.policy import Limits
from orchestrator.engine.ports import Found
from orchestrator.engine.runner import Command
from orchestrator.progress.words import clock, clock_in_zone

_EARLIER = "found by earlier runs"


def limits(given: Limits, found: Found, command: Command) -> str:
    """The limits that `command` keeps to, as the job file gives them and earlier runs have found them."""
    told: list[tuple[str, float, float | None, float | None]] = []
    if command != "collect":
        told.append(("exports at Loop", given.unfinished, given.unfinished_start, found.unfinished))
    told.append(("requests a second", given.requests_per_second, given.requests_start, found.per_second))
    if command != "submit":
        told.append(("downloads at once", given.downloads, given.downloads_start, None))
    fixed, free = [], []
    for unit, most, start, known in told:
        begins = min(most, known or start or most)
        if start is not None:
            free.append(f"{_figure(begins)} {unit}{f' ({_EARLIER})' if known else ''}")
        else:
            fixed.append(f"{_figure(most)} {unit}{f' ({_figure(begins)} {_EARLIER})' if begins < most else ''}")
    if not fixed:
        return f"Limits find themselves, beginning at {', '.join(free)}."
    others = f"; {', '.join(free)} to begin with, as these find themselves" if free else ""
    return f"Limits: at most {', '.join(fixed)}{others}."


def deadline(park_at: float, ended_at: float, now: float, command: Command) -> str:
    """What `--deadline` means for this run. Times are seconds since the epoch."""
    works = f"Deadline: it works until {clock(park_at, now)} and has ended by {clock_in_zone(ended_at, now)}."
    if command != "run":
        return works
    return f"{works} What would not be ready by then is not created any more; the next run goes on."


def _figure(n: float) -> str:
    return f"{n:,}" if isinstance(n, int) else f"{round(n, 2):,g}"
