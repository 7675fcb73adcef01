"""What a plan will take: requests, polls, time and bytes, as far as earlier exports tell. Pure.

Each figure is a range. Its ends differ by what is not known:

durations  Lessons about windows of the same length give the distribution that the run itself would go by (`durations`); few
           lessons leave its mean open. Without lessons it is the guess of the job file, a factor of three either way.
limits     Those that were found, or that the job file names. A limit that is left to find itself may stay where it starts
           (the service refuses more), or double with each wave up to its ceiling (it never refuses).
polls      As many as courtesy allows (`asking`); fewer, down to the least that makes sense, where requests hold the run up.
           Polls never hold a creation up for long, so time is reckoned with the few.
sizes      Earlier files, by seconds of their windows: the lower and the upper quartile of the same row of the job, or of all
           rows where a row has stored too few.

Nothing here knows of failures, of other users of the account, or of a service that has changed since.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from orchestrator.engine.asking import DEAREST, KEPT
from orchestrator.engine.durations import EDGES, MIDDLES, Estimate, cell, size_of
from orchestrator.engine.finding import DOUBLING
from orchestrator.engine.plan import Action, Item
from orchestrator.engine.policy import Limits, Policy, Polling
from orchestrator.engine.polling import wait
from orchestrator.engine.ports import Found, Lesson
from orchestrator.engine.schedule import courtesy, solve
from orchestrator.engine.states import Record, State

GUESSED = 3.0
"""A guess at a duration may be so many times too long or too short."""
CHANGES = 0.1
"""The share by which a mean of any number of lessons may be off: a service is not the same every day."""
ENOUGH = 4
"""Stored files of a row that give it quartiles of its own."""
NOBODY = 2e-4
"""A share of exports that is none."""


@dataclass(frozen=True, slots=True)
class Range:
    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Forecast:
    posts: int
    """Exports to be created."""
    collected: int
    """Exports that are under way on the service, or whose file is here but not at its place: they need no creation."""
    polls: Range
    seconds: Range
    bytes: Range | None
    """None where no file of such exports was ever stored."""
    lessons: int
    """Earlier exports from whose durations this comes; 0 for a guess."""
    same_length: bool
    """They had windows of the same length."""
    limits: str
    """`found` by earlier runs, `given` by the job file, or `open`: they find themselves, and nothing is known yet."""
    files: int
    """Stored files from whose sizes this comes."""

    @property
    def requests(self) -> Range:
        """To the API host: creations and polls."""
        return Range(self.posts + self.polls.low, self.posts + self.polls.high)


def forecast(
    items: Iterable[Item],
    records: Mapping[str, Record],
    *,
    policy: Policy,
    lessons: Sequence[Lesson] = (),
    found: Found | None = None,
) -> Forecast | None:
    """What it takes to do the work of a plan; None if it has none that the service would notice."""
    found = found or Found()
    posts: Counter[int] = Counter()
    waited_for: Counter[int] = Counter()
    here = 0
    sizes = _Sizes(records.values())
    expected = Range(0.0, 0.0)
    for item in items:
        if not item.has_work or item.action is Action.MOVE:
            continue
        record = records.get(item.key)
        window = (item.export.window.start, item.export.window.end) if item.export else records[item.key].window
        if record is not None and record.state is State.VERIFIED:
            here += 1
            continue
        # What the job no longer names is collected, and never created.
        under_way = item.export is None or (record is not None and record.state in (State.GENERATING, State.READY))
        (waited_for if under_way else posts)[size_of(window)] += 1
        expected += sizes.expected(item, window, record)
    total = posts + waited_for
    if not total and not here:
        return None
    pace = _pace(policy.limits, found)
    spells = {size: _spell(size, exports, lessons, policy.polling, pace) for size, exports in total.items()}
    work = _Work(total, posts.total(), spells)
    polls = work.polls()
    downloads = _downloads(records.values(), total.total(), policy.limits)
    low = pace.quick(work, polls.low) if total else 0.0
    high = pace.slow(work, polls.low) if total else 0.0
    return Forecast(
        posts=posts.total(),
        collected=waited_for.total() + here,
        polls=polls,
        seconds=Range(max(low, downloads.low), max(high, downloads.high)),
        bytes=expected if sizes.files and total else None,
        lessons=sum({spell.source: spell.lessons for spell in spells.values()}.values()),
        same_length=all(spell.source == size for size, spell in spells.items()),
        limits=pace.known,
        files=sizes.files,
    )


# ------------------------------------------------------------------------------------------------------- durations


@dataclass(frozen=True, slots=True)
class _Spell:
    """How long exports of a length of window take."""

    source: int | None
    """The length of window that the lessons are of; None for a guess."""
    lessons: int
    mass: Sequence[float]
    mean: float
    doubt: Range
    """Factors for the mean."""
    polls: Range
    """Questions that an export takes."""
    delay: float
    """Seconds from its end until that is noticed, on average."""

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the exports is finished. A guess's spread is its doubt, and no slow exports'."""
        if self.source is None:
            return self.mean
        sums = list(accumulate(self.mass))
        return EDGES[min(bisect_left(sums, share * sums[-1]), len(EDGES) - 1)]


def _spell(size: int, exports: int, lessons: Sequence[Lesson], polling: Polling, pace: _Pace) -> _Spell:
    known = Counter(lesson.size for lesson in lessons)
    # Windows of another length tell more than a guess does; the nearest ones most.
    source = min(known, key=lambda other: (abs(other - size), other), default=None)
    estimate = Estimate(polling.first)
    latest = sorted((lesson for lesson in lessons if lesson.size == source), key=lambda lesson: lesson.created_at)
    of_it = latest[-KEPT:]
    estimate.learn(((lesson.low, lesson.high, 1.0) for lesson in of_it), ())
    mean, spread = _shape(estimate.mass)
    doubt = Range(1 / GUESSED, GUESSED)
    if of_it:
        unsure = CHANGES + spread / math.sqrt(len(of_it)) + (0.0 if source == size else 1.0)
        doubt = Range(1 / (1 + unsure), 1 + unsure)
    polls, delay = _asking(estimate.mass, mean, doubt, polling, pace if of_it else None)
    if polling.policy == "adaptive":
        polls = _by_chance(polls, exports)
    return _Spell(source, len(of_it), estimate.mass, mean if of_it else polling.first, doubt, polls, delay)


def _shape(mass: Sequence[float]) -> tuple[float, float]:
    """Mean in seconds, and the standard deviation as a share of it, without ages at which nobody finishes."""
    least = NOBODY * sum(mass)
    known = [(m, middle) for m, below, middle in zip(mass, accumulate(mass), MIDDLES, strict=True) if below > least]
    above = list(accumulate(m for m, _ in reversed(known)))
    known = [each for each, rest in zip(known, reversed(above), strict=True) if rest > least]
    whole = sum(m for m, _ in known)
    mean = sum(m * middle for m, middle in known) / whole
    return mean, math.sqrt(sum(m * (middle - mean) ** 2 for m, middle in known) / whole) / mean


def _asking(
    mass: Sequence[float], mean: float, doubt: Range, polling: Polling, pace: _Pace | None
) -> tuple[Range, float]:
    """Questions that an export takes, and seconds until its end is noticed. Without `pace`, of a guess."""
    if polling.policy != "adaptive":
        return Range(_asked(mass, doubt.low, polling), _asked(mass, doubt.high, polling)), wait(polling, 1, 0.5) / 2
    many = solve(mass, courtesy(mean), polling.max)
    if pace is not None and pace.places[1] / (many.mean + many.delay) * (many.polls + 1) <= pace.per_second[0]:
        return Range(many.polls / (1 + CHANGES), many.polls * (1 + CHANGES)), many.delay
    return Range(solve(mass, DEAREST * mean, polling.max).polls, many.polls), many.delay


def _by_chance(polls: Range, exports: int) -> Range:
    """One question an export is sure. How many more there are is chance: a count spreads by its root."""
    low, high = max(0.0, polls.low - 1), polls.high - 1
    fewer = max(0.0, low - 2 * math.sqrt(low / exports))
    return Range(1 + fewer, 1 + high + 2 * math.sqrt(high / exports))


def _asked(mass: Sequence[float], factor: float, polling: Polling) -> float:
    """Questions that an export takes if those are asked at fixed ages, and durations are `factor` times as long."""
    whole, sums = sum(mass), list(accumulate(mass))
    expected = 0.0
    for age in _ages(polling):
        unfinished = 1 - sums[cell(age / factor)] / whole if age else 1.0
        if unfinished < NOBODY:
            break
        expected += unfinished
    return expected


def _ages(polling: Polling) -> Iterator[float]:
    """0, and then the ages at which a report is asked about: a question comes if it was not finished one age before."""
    age = 0.0
    for asked in range(10_000):
        yield age
        age += wait(polling, asked, 0.5)


# ------------------------------------------------------------------------------------------------------------ pace


@dataclass(frozen=True, slots=True)
class _Pace:
    """Limits: where they start and how far they may go."""

    places: tuple[int, int]
    per_second: tuple[float, float]
    known: str

    def slow(self, work: _Work, polls: float) -> float:
        """Seconds, if no limit can be exceeded from where it starts and exports take long."""
        held = work.mean(high=True) * max(0, work.exports - self.places[0]) / self.places[0]
        asked = (work.posts + polls) / self.per_second[0]
        return max(held + work.longest(self.places[0], high=True), asked + work.mean(high=True))

    def quick(self, work: _Work, polls: float) -> float:
        """Seconds, if limits that find themselves grow as fast as they can and exports take as little as is likely."""
        mean, (places, most) = work.mean(), self.places
        done, held = places, 0.0
        while done < work.exports and places < most:
            places = min(most, 2 * places)
            done += places
            held += mean
        held += mean * max(0, work.exports - done) / places
        return max(held + work.longest(places), self._sent(work.posts + polls) + mean)

    def _sent(self, requests: float) -> float:
        """Seconds for so many requests at a rate that doubles up to its ceiling."""
        start, most = self.per_second
        growth = math.log(2) / DOUBLING
        climbing = math.log(most / start) / growth
        while_climbing = (most - start) / growth
        if requests <= while_climbing:
            return math.log1p(requests * growth / start) / growth
        return climbing + (requests - while_climbing) / most


def _pace(limits: Limits, found: Found) -> _Pace:
    places = _reach(limits.unfinished, limits.unfinished_start, found.unfinished)
    per_second = _reach(limits.requests_per_second, limits.requests_start, found.per_second)
    known = "given"
    if found.unfinished or found.per_second:
        known = "found"
    elif places[0] < places[1] or per_second[0] < per_second[1]:
        known = "open"
    return _Pace((int(places[0]), int(places[1])), per_second, known)


def _reach(most: float, start: float | None, found: float | None) -> tuple[float, float]:
    """Where a limit begins, and how far it may be expected to go."""
    if found is not None:
        return min(most, found), min(most, found)
    return min(most, start or most), most


# ------------------------------------------------------------------------------------------------------------ work


@dataclass(frozen=True, slots=True)
class _Work:
    sizes: Mapping[int, int]
    """Exports by length of window."""
    posts: int
    spells: Mapping[int, _Spell]

    @property
    def exports(self) -> int:
        return sum(self.sizes.values())

    def mean(self, *, high: bool = False) -> float:
        """Seconds for which an export holds its place, on average."""
        return sum(n * _taken(self.spells[size], high=high) for size, n in self.sizes.items()) / self.exports

    def longest(self, places: int, *, high: bool = False) -> float:
        """How long the slowest of those takes that run beside each other."""
        share = 1 - (0.5 if high else 1.0) / (min(self.exports, places) + 1)
        return max(spell.quantile(share) / spell.mean * _taken(spell, high=high) for spell in self.spells.values())

    def polls(self) -> Range:
        found = Range(0.0, 0.0)
        for size, n in self.sizes.items():
            each = self.spells[size].polls
            found += Range(n * each.low, n * each.high)
        return found


def _taken(spell: _Spell, *, high: bool) -> float:
    """Seconds for which an export holds its place, on average."""
    return spell.mean * (spell.doubt.high if high else spell.doubt.low) + spell.delay


def _downloads(records: Iterable[Record], files: int, limits: Limits) -> Range:
    """Seconds that the files take at least, at the pace of earlier ones."""
    took = [
        part.stored_at - part.ready_at
        for record in records
        for part in record.parts
        if part.stored is not None and part.ready_at is not None and part.stored_at is not None
    ]
    if not took:
        return Range(0.0, 0.0)
    each = max(0.0, median(took)) * files
    return Range(each / limits.downloads, each / (limits.downloads_start or limits.downloads))


# ----------------------------------------------------------------------------------------------------------- sizes


class _Sizes:
    """Bytes of stored files, by the seconds of their windows."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.files = 0
        self._rows: dict[tuple[str, ...], list[float]] = {}
        for record in records:
            for part in record.parts:
                if part.stored is not None and not part.stored.partial and record.state is not State.SUPERSEDED:
                    self.files += 1
                    density = part.stored.bytes / max(1, record.window[1] - record.window[0])
                    row = _row(record.coordinates, part.request)
                    self._rows.setdefault(row, []).append(density)
        self._overall = _quartiles([density for row in self._rows.values() for density in row])
        self._of_row = {row: _quartiles(known) for row, known in self._rows.items() if len(known) >= ENOUGH}

    def expected(self, item: Item, window: tuple[int, int], record: Record | None) -> Range:
        request = item.export.request if item.export else record.parts[0].request if record else {}
        density = self._of_row.get(_row(dict(item.coordinates), request), self._overall)
        seconds = window[1] - window[0]
        return Range(density.low * seconds, density.high * seconds)


def _row(coordinates: Mapping[str, str], request: Mapping[str, object]) -> tuple[str, ...]:
    """What exports have in common whose files are alike but for their windows."""
    return (str(request.get("resultFormat")), *(label for axis, label in coordinates.items() if axis != "window"))


def _quartiles(values: Sequence[float]) -> Range:
    if not values:
        return Range(0.0, 0.0)
    ordered = sorted(values)
    last = len(ordered) - 1
    return Range(ordered[last // 4], ordered[-(-3 * last // 4)])
