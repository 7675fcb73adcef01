"""Calendar windows in a time zone: periods cut at local midnights, as seconds since the epoch. Pure: now is an argument.

Zone data comes from the `tzdata` package and never from the machine, so that a job means the same everywhere.

A local midnight is not always one instant (design: "compute in UTC, windows tile"):

    the clock jumps over it (Cairo 2014-08-01)      the day begins at the first instant after the jump
    it comes twice (Havana 2015-11-01)              the first one counts
    the whole day never was (Apia 2011-12-30)       it begins and ends at one instant: no window

Since each window ends at the very instant where the next one begins, windows tile without gap or overlap.
"""

from __future__ import annotations

import functools
import importlib.resources
import io
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from orchestrator.errors import JobError, Problem
from orchestrator.job.misfit import Misfit, Misfits, did_you_mean
from orchestrator.job.periods import FIRST_DAY, LAST_DAY, Every, meant, span


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time with a name: from `start` up to, not including, `end`, both seconds since the epoch."""

    label: str
    start: int
    end: int

    def state(self, now: float) -> str:
        """`closed` once it has ended, `open` while it lasts, `future` before."""
        if self.end <= now:
            return "closed"
        return "open" if self.start <= now else "future"


@dataclass(frozen=True, slots=True)
class Range:
    """Which windows a job asks for: from `first` to `last` (first days of windows), or the `count` last closed ones.

    `last` None means the last closed window. `include_current` adds the open one where the end is not given.
    """

    every: Every
    first: date | None
    last: date | None
    count: int | None
    include_current: bool


# ------------------------------------------------------------------------------------------------------------ zones


@functools.cache
def zone_names() -> frozenset[str]:
    """The IANA zones that the installed `tzdata` knows. Raises `JobError` if it is not installed."""
    return frozenset(_zone_data("zones").decode().split())


@functools.cache
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises `Misfit` if there is none, `JobError` if `tzdata` is not (wholly) installed."""
    if name not in zone_names():
        raise Misfit(
            "an IANA time zone such as Europe/Ljubljana or UTC is due here", hint=did_you_mean(name, zone_names())
        )
    return ZoneInfo.from_file(io.BytesIO(_zone_data("zoneinfo", *name.split("/"))), key=name)


def _zone_data(*path: str) -> bytes:
    try:
        return importlib.resources.files("tzdata").joinpath(*path).read_bytes()
    except (ImportError, OSError):
        # Never the machine's own zones instead: the same job could mean something else there.
        raise JobError(
            Problem(
                "the time zones are missing: the Python package tzdata is not, or not wholly, installed",
                code="zones.missing",
                hint="install it beside orchestrator: pip install --force-reinstall tzdata",
            )
        ) from None


def midnight(day: date, tz: ZoneInfo) -> int:
    """The instant at which the local `day` begins, in seconds since the epoch."""
    wall = datetime(day.year, day.month, day.day, tzinfo=tz)
    since_epoch = (day.toordinal() - FIRST_DAY.toordinal()) * 86_400
    early = since_epoch - _offset(wall)
    late = since_epoch - _offset(wall.replace(fold=1))
    if early <= late:  # there once (equal), or twice and `early` is the first
        return early
    # Skipped: PEP 495 puts fold=0 after the jump and fold=1 before it, and the jump itself anywhere between.
    before = _offset(datetime.fromtimestamp(late, tz))
    jumps = range(late, early)
    return late + bisect_left(jumps, True, key=lambda at: _offset(datetime.fromtimestamp(at, tz)) != before)


def _offset(wall: datetime) -> int:
    offset = wall.utcoffset()
    assert offset is not None
    return offset.days * 86_400 + offset.seconds


# ---------------------------------------------------------------------------------------------------------- windows


def window_range(
    every: Every,
    first: str | None,
    last: str | None,
    *,
    count: int | None = None,
    include_current: bool = False,
) -> Range:
    """The range that a job file's `from`, `to` and `last` name. Raises `Misfits`, each at its key.

    Periods of N days are counted from `first`; without one, from 1970-01-01, so that `last: N` names the same
    windows on every day.
    """
    if count is not None:
        if first is not None or last is not None:
            raise Misfit("`last` stands alone: it goes without `from` and `to`", at=("last",), show=False)
        return Range(every, None, None, count, include_current)
    if first is None:
        raise Misfit(
            "`from` is missing", hint=f"write `from: {every.example}`, or `last: 1` for the last closed window"
        )
    found: list[Misfit] = []
    begin = end = None
    try:
        if every.kind == "days":
            every = replace(every, anchor=_anchor(every, first))
        begin = every.begin(first)
    except Misfit as misfit:
        found.append(misfit.below("from"))
    try:
        end = every.end(last) if last is not None and not (found and every.kind == "days") else None
    except Misfit as misfit:
        found.append(misfit.below("to"))
    if begin is not None and end is not None and end < begin:
        found.append(Misfit(f"`to` lies before `from` ({every.label(begin)})", at=("to",)))
    if found:
        raise Misfits(found)
    return Range(every, begin, end, None, include_current)


def windows(range_: Range, tz: ZoneInfo, now: float) -> Iterator[Window]:
    """The windows of the range, earliest first. Days that never were are left out.

    Where no end is given and the first window has not closed yet, that window is yielded alone: a job that starts
    this month has something to wait for.
    """
    every = range_.every
    closed = _last_closed(every, tz, now)
    first, last = range_.first, range_.last
    if last is None:
        last = _next_real(every, tz, closed) if range_.include_current else closed
    if first is None:
        first = closed
        for _ in range((range_.count or 1) - 1):
            first = _previous_real(every, tz, first)
    last = max(first, last)
    start = midnight(first, tz)
    while first <= last:
        following = every.following(first)
        end = midnight(following, tz)
        if start < end:
            yield Window(every.label(first), start, end)
        first, start = following, end


def window(every: Every, label: str, tz: ZoneInfo) -> Window:
    """The window of that label, wherever it lies. Raises `Misfit` if the label is none of this kind."""
    first = every.begin(label)
    found = Window(every.label(first), midnight(first, tz), midnight(every.following(first), tz))
    if found.start == found.end:
        raise Misfit(f"that day never was in {tz.key}", hint="its clocks jumped over it; leave it out")
    return found


def _anchor(every: Every, first: str) -> date:
    """Where N-day periods begin: `first` is a date, or the label of a whole period."""
    named = span(first)
    if named is None:
        raise Misfit("a first day is due here, such as 2024-01-15", hint=f"write {meant(first) or 'it like that'}")
    if not FIRST_DAY <= named.first <= named.last <= LAST_DAY:
        raise Misfit(f"a first day between {FIRST_DAY.year} and {LAST_DAY.year} is due here")
    days = (named.last - named.first).days + 1
    if days not in (1, every.days):
        raise Misfit(
            f"a first day is due here, or {every.days} days as {every.label(named.first)}",
            hint=f"this names {days} days",
        )
    return named.first


def _last_closed(every: Every, tz: ZoneInfo, now: float) -> date:
    first = every.floor(datetime.fromtimestamp(now, tz).date())
    while midnight(every.following(first), tz) > now or _empty(every, tz, first):
        first = every.preceding(first)
    return first


def _previous_real(every: Every, tz: ZoneInfo, first: date) -> date:
    first = every.preceding(first)
    if first < FIRST_DAY:
        raise Misfit("this reaches back before 1970", at=("last",))
    return _previous_real(every, tz, first) if _empty(every, tz, first) else first


def _next_real(every: Every, tz: ZoneInfo, first: date) -> date:
    first = every.following(first)
    return every.following(first) if _empty(every, tz, first) else first


def _empty(every: Every, tz: ZoneInfo, first: date) -> bool:
    return midnight(first, tz) == midnight(every.following(first), tz)
