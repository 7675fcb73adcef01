"""Calendar periods as spans of dates, and their labels. No time zone yet: that is `windows`.

day      2024-01-15                  week     2024-W05      (ISO 8601: from Monday, the year is the ISO year)
month    2024-01                     quarter  2024-Q1
year     2024                        N days   2024-01-15..2024-01-24
"""

from __future__ import annotations

import calendar
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.job.misfit import Misfit

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(9900, 12, 31)
"""Periods lie between these days: the epoch, and far enough from the end of Python's calendar that no step overflows."""

KINDS = ("day", "week", "month", "quarter", "year")
MAX_DAYS = 3660

_DAY = timedelta(days=1)
_EXAMPLES = {
    "day": "2024-01-15",
    "week": "2024-W05",
    "month": "2024-01",
    "quarter": "2024-Q1",
    "year": "2024",
    "days": "2024-01-15..2024-01-24",
}
_LOOSE = tuple(
    re.compile(form)
    for form in (
        r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})(?:[-/.](?P<day>[0-9]{1,2})(?:[T ].*)?)?",
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
        r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})",
        r"(?P<year>[0-9]{4})[-/ ]?(?P<unit>[QW])(?P<number>[0-9]{1,2})",
        r"(?P<unit>[QW])(?P<number>[0-9]{1,2})[-/ ]?(?P<year>[0-9]{4})",
    )
)
"""Ways of writing that can mean one thing only; 01/02/2024 is none of them."""
_LABEL = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?:W(?P<week>[0-9]{2})|Q(?P<quarter>[0-9])|(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?))?",
)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Every:
    """How the calendar is cut: one of `KINDS`, or `days` at a time counted from `anchor` in both directions."""

    kind: str
    days: int = 1
    anchor: date = FIRST_DAY

    def floor(self, day: date) -> date:
        """The first day of the period that `day` lies in."""
        match self.kind:
            case "day":
                return day
            case "week":
                return day - timedelta(days=day.weekday())
            case "month":
                return day.replace(day=1)
            case "quarter":
                return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
            case "year":
                return date(day.year, 1, 1)
            case _:
                return day - timedelta(days=(day - self.anchor).days % self.days)

    def following(self, first: date) -> date:
        """The first day of the period after the one that begins on `first`."""
        match self.kind:
            case "day":
                return first + _DAY
            case "week":
                return first + 7 * _DAY
            case "month":
                return _months_on(first, 1)
            case "quarter":
                return _months_on(first, 3)
            case "year":
                return date(first.year + 1, 1, 1)
            case _:
                return first + timedelta(days=self.days)

    def preceding(self, first: date) -> date:
        """The first day of the period before the one that begins on `first`."""
        return self.floor(first - _DAY)

    def last_day(self, first: date) -> date:
        return self.following(first) - _DAY

    def label(self, first: date) -> str:
        """The name of the period that begins on `first`, in plans, paths and patterns."""
        match self.kind:
            case "day":
                return first.isoformat()
            case "week":
                year, week, _ = first.isocalendar()
                return f"{year:04}-W{week:02}"
            case "month":
                return f"{first.year:04}-{first.month:02}"
            case "quarter":
                return f"{first.year:04}-Q{(first.month + 2) // 3}"
            case "year":
                return f"{first.year:04}"
            case _:
                return f"{first.isoformat()}..{self.last_day(first).isoformat()}"

    @property
    def example(self) -> str:
        """A label of this kind, for messages."""
        return _EXAMPLES["days" if self.kind not in KINDS else self.kind]

    def begin(self, text: str) -> date:
        """The first day of the period that `text` names by its label or its first day. Raises `Misfit`."""
        named = span(text)
        if named is not None and self._inside(named) and self.floor(named.first) == named.first:
            same_kind = self.label(named.first) == text
            if same_kind or named.first == named.last:
                return named.first
        raise self._off(text, named, end=False)

    def end(self, text: str) -> date:
        """The first day of the period that `text` names by its label or its *last* day. Raises `Misfit`.

        A date given as an end is included, as everything named is. The first day of a period is refused because it may
        be meant either way.
        """
        named = span(text)
        if named is not None and self._inside(named):
            first = self.floor(named.last)
            same_kind = self.label(first) == text
            last_day = named.first == named.last == self.last_day(first)
            if same_kind or last_day:
                return first
        raise self._off(text, named, end=True)

    def _inside(self, named: Span) -> bool:
        """Whether the periods that hold `named` lie between `FIRST_DAY` and `LAST_DAY`."""
        return named.first >= FIRST_DAY and self.floor(named.first) >= FIRST_DAY and named.last <= LAST_DAY

    def _off(self, text: str, named: Span | None, *, end: bool) -> Misfit:
        """What to say of an end that is no boundary, with the two nearest that are."""
        label = meant(text) if named is None else None
        if label is not None:
            try:
                _ = self.end(label) if end else self.begin(label)
            except Misfit as misfit:
                return misfit
        form = (
            f"a {self.kind}, such as {self.example},"
            if self.kind in KINDS
            else f"{self.days} days, such as {self.example},"
        )
        day = _near(text, end=end) if named is None else (named.last if end else named.first)
        what = f"{form} or the {'last' if end else 'first'} day of one is due here"
        if label is not None:
            return Misfit(what, hint=f"write {label}")
        if day is None:
            return Misfit(what, hint=f"write it as {self.example}")
        if not FIRST_DAY + 7 * _DAY <= day <= LAST_DAY:
            return Misfit(f"{what}, between {FIRST_DAY.year} and {LAST_DAY.year}")
        first = self.floor(day)
        two = (self.preceding(first), first) if end else (first, self.following(first))
        edges = [self.last_day(f) if end else f for f in two]
        names = " and ".join(
            self.label(f) if self.kind == "day" else f"{self.label(f)} ({edge.isoformat()})"
            for f, edge in zip(two, edges, strict=True)
        )
        hint = None
        if end and self.floor(day) == day and named is not None and named.first == named.last:
            hint = "`to` is included: name the last period that you want, or its last day"
        return Misfit(f"{what}; the two nearest are {names}", hint=hint)


def span(label: str) -> Span | None:
    """The days that a label of any kind names, or None if it names none. Days after the calendar's last are left out."""
    if ".." in label:
        first, _, last = label.partition("..")
        one, other = span(first), span(last)
        if (
            one is None
            or other is None
            or not _is_day(one, first)
            or not _is_day(other, last)
            or one.first > other.last
        ):
            return None
        return Span(one.first, other.last)
    found = _LABEL.fullmatch(label)
    if found is None or not label.isascii():
        return None
    year, week, quarter, month, day = (
        int(part) if part else 0 for part in found.group("year", "week", "quarter", "month", "day")
    )
    with suppress(ValueError):  # a month 13, a 30th of February, a week 53 where there is none
        if found["week"]:
            monday = date.fromisocalendar(year, week, 1)
            return Span(monday, monday + min(6 * _DAY, date.max - monday))  # 9999-W52 goes on in a year 10000
        if found["quarter"]:
            return Span(date(year, quarter * 3 - 2, 1), _last_of_month(year, quarter * 3))
        if found["day"]:
            return Span(date(year, month, day), date(year, month, day))
        if found["month"]:
            return Span(date(year, month, 1), _last_of_month(year, month))
        return Span(date(year, 1, 1), date(year, 12, 31))
    return None


def meant(text: str) -> str | None:
    """The label that `text`, which is none, was certainly meant to be: 2024-01-05 for 2024-1-5, 2024-Q1 for q1 2024."""
    if span(text) is not None:
        return None
    for form in _LOOSE:
        found = form.fullmatch(text.strip().upper())
        if found is not None:
            part = found.groupdict()
            if part.get("unit"):
                number = part["number"].zfill(2) if part["unit"] == "W" else part["number"].lstrip("0")
                label = f"{part['year']}-{part['unit']}{number}"
            else:
                label = "-".join(each.zfill(2) for each in (part["year"], part["month"], part["day"]) if each)
            return label if span(label) is not None else None
    return None


def _is_day(named: Span, text: str) -> bool:
    return named.first == named.last and text == named.first.isoformat()


def _last_of_month(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def _months_on(first: date, months: int) -> date:
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def _near(text: str, *, end: bool) -> date | None:
    """A day near what `text` may have meant: `2024-13` is near the end of 2024, `2024-00` near its begin."""
    head = text.partition("..")[0]
    while "-" in head:
        head, _, rest = head.rpartition("-")
        known = span(head)
        if known is not None:
            beyond = rest.lstrip("WQ").lstrip("0") != ""
            day = known.last if beyond else known.first
            # Beyond those days nothing is near, and a step might lead out of the calendar.
            return day if beyond != end or not FIRST_DAY <= day <= LAST_DAY else day + (_DAY if beyond else -_DAY)
    return None
