"""What a fact means for a part: `step(record, fact, now, policy)` gives the new record and what it wants next.

Pure. Nothing here waits or asks; time and chance are arguments. Recovery after a crash is the same function: the
first fact of every run is `Resumed`, and it finds in the record whatever the crash has left.

A step gives journal events; the record is what `states.apply` makes of them, so the journal folds to the same one.
Beside the durable record stands `Live`, what only this run knows: the signed URL, when to ask again, failures in a row.

How a report's end is told (loop-api.md: `PendingOrExpired` means "not started" or "gone", and only memory can tell):
    gone     it was seen alive by a GET of ours, and two reads at least `polling.every` apart say it is gone; or it
             was never seen alive and a read that comes later than `retry.stuck_after` still says so. A 404 needs two
             reads apart as well. Age without a fresh answer decides nothing.
    stuck    a fresh answer later than `retry.stuck_after` still says that it is at work. It is followed on, slowly,
             beside its successor; whichever completes first wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.content.digest import Digest
from orchestrator.engine import backoff, polling
from orchestrator.engine.health import Streak
from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import (
    Accepted,
    Broken,
    CreateAnswer,
    Denied,
    Invalid,
    NotFound,
    SignedUrl,
    Status,
    StatusAnswer,
    Throttled,
)
from orchestrator.engine.states import (
    Alive,
    Cause,
    Created,
    Doubted,
    Event,
    Failed,
    File,
    Intended,
    Lost,
    Part,
    Ready,
    Record,
    Refused,
    Report,
    State,
    Stored,
    Torn,
    Unanswered,
    Verified,
    apply,
)

CORRUPT_FETCHES = 3
"""Fetches of one report whose content was wrong, after which the report itself is taken for broken."""

# ------------------------------------------------------------------------------------------------------------- wants


@dataclass(frozen=True, slots=True)
class Create:
    at: float
    """Not before."""
    again: bool = False
    """The part was begun before."""


@dataclass(frozen=True, slots=True)
class Poll:
    at: float
    report_id: str
    planned: bool = False
    """`at` is the polling policy's doing, not that of a doubt or a failure: under the adaptive policy `asking` knows better."""
    early: float = math.inf
    """From when it may go if a turn would be lost otherwise."""


@dataclass(frozen=True, slots=True)
class Fetch:
    at: float
    report_id: str
    url: SignedUrl


@dataclass(frozen=True, slots=True)
class Place:
    """Bring verified bytes to their final name, or find out that they are there already."""

    at: float


Want = Create | Poll | Fetch | Place

# ------------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run takes the export up, whatever state it was left in."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A POST is about to be sent."""


@dataclass(frozen=True, slots=True)
class NotPosted:
    """The intent was journalled, but the POST was not sent after all (the gate closed, or the run parks)."""

    detail: str


@dataclass(frozen=True, slots=True)
class Posted:
    answer: CreateAnswer
    streak: Streak | None = None
    """Failures in a row including this one, if the answer is `Broken` or `Throttled(unavailable)`."""


@dataclass(frozen=True, slots=True)
class Asked:
    report_id: str
    answer: StatusAnswer
    streak: Streak | None = None
    sent_at: float = 0.0
    """When the question went out, seconds since the epoch; 0 if it did not."""


@dataclass(frozen=True, slots=True)
class Fetched:
    report_id: str
    digest: Digest
    temp: str


@dataclass(frozen=True, slots=True)
class UrlDied:
    """The file host refuses the URL: ask for a fresh one."""

    status: int


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Nothing was sent: the gate had closed."""


@dataclass(frozen=True, slots=True)
class FetchBroke:
    detail: str
    streak: Streak
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class FetchWrong:
    """The bytes came whole, but their content is not what it should be."""

    report_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Placed:
    pass


@dataclass(frozen=True, slots=True)
class NotThere:
    """Verified bytes are at neither name."""


Fact = (
    Resumed
    | Posting
    | NotPosted
    | Posted
    | Asked
    | Fetched
    | UrlDied
    | NotFetched
    | FetchBroke
    | FetchWrong
    | Placed
    | NotThere
)

# -------------------------------------------------------------------------------------------------------------- live


@dataclass(frozen=True, slots=True)
class Watch:
    """The polling of one report within this run."""

    asked: int
    due: float
    planned: bool = False
    """As in `Poll`."""


@dataclass(frozen=True, slots=True)
class Live:
    """What only this run knows of a part. It dies with the process, and nothing is lost by that."""

    may_create: bool = True
    """False if what is under way is collected, but nothing is created."""
    named: bool = True
    """False for an export that the job no longer names: whatever becomes of it, the run has not failed."""
    watches: Mapping[str, Watch] = field(default_factory=dict)
    ages_from: Mapping[str, float] = field(default_factory=dict)
    """Reports that an earlier run created by a clock that was ahead of this one, and when this run took them up."""
    create_at: float = 0.0
    fetch_at: float = 0.0
    url: tuple[str, SignedUrl] | None = None
    """A report id and the URL of its file."""
    posting: Streak | None = None
    asking: Streak | None = None
    fetching: Streak | None = None
    deaths: int = 0
    """URLs in a row that the file host refused."""
    wrong: Mapping[str, int] = field(default_factory=dict)
    """Fetches of each report whose content was wrong."""
    unknown_status: str | None = None
    """A status that no documentation names, as last seen."""


@dataclass(frozen=True, slots=True)
class Step:
    record: Record
    live: Live
    events: tuple[Event, ...]
    wants: tuple[Want, ...]


def step(
    record: Record, index: int, live: Live, fact: Fact, *, now: float, policy: Policy, chance: Callable[[], float]
) -> Step:
    """What `fact` means for part `index` of `record`.

    `now` is in seconds since the epoch; `chance` gives floats in [0, 1). Raises `states.IllegalMove` if the fact
    can't be (a bug of the caller's).
    """
    return _Stepper(record, index, live, now=now, policy=policy, chance=chance).take(fact)


class _Stepper:
    """One step under way: events are folded in as they are decided, so each decision sees the record it leads to."""

    def __init__(
        self, record: Record, index: int, live: Live, *, now: float, policy: Policy, chance: Callable[[], float]
    ) -> None:
        self.record = record
        self.index = index
        self.live = live
        self.now = now
        self.policy = policy
        self.chance = chance
        self.events: list[Event] = []
        self.read_at = now
        """When the question went out whose answer this step is about: what it says may be as old as that."""

    @property
    def part(self) -> Part:
        return self.record.parts[self.index]

    def take(self, fact: Fact) -> Step:
        match fact:
            case Resumed():
                self._resumed()
            case Posting():
                self._emit(Intended(self.record.key, self.now, self.index, n=self.part.intents + 1))
            case NotPosted(detail):
                self._refuse(detail)
            case Posted(answer, streak):
                self._posted(answer, streak)
            case Asked(report_id, answer, streak, sent_at):
                self.read_at = sent_at or self.now  # 0: it did not go out
                self._asked(report_id, answer, streak)
            case Fetched(report_id, digest, temp):
                self._fetched(report_id, digest, temp)
            case UrlDied(status):
                self._url_died(status)
            case NotFetched():
                pass  # it wants what it wanted before
            case FetchBroke(detail, streak, pause):
                self._fetch_broke(detail, streak, pause)
            case FetchWrong(report_id, code, message):
                self._fetch_wrong(report_id, code, message)
            case Placed():
                self._emit(Stored(self.record.key, self.now, self.index))
            case NotThere():
                self._emit(Torn(self.record.key, self.now, self.index))
                self._ask_now()
        return Step(self.record, self.live, tuple(self.events), wants(self.part, self.live, self.now))

    # ---------------------------------------------------------------------------------------------------- decisions

    def _resumed(self) -> None:
        if self.part.state is State.CREATING:
            self._unanswered("the run ended before the answer was kept")
        ahead = {report.id: self.now for report in self.part.reports if report.created_at > self.now}
        self.live = replace(self.live, ages_from=ahead)
        self._ask_now()

    def _posted(self, answer: CreateAnswer, streak: Streak | None) -> None:
        if not _says_nothing(answer, streak):
            self.live = replace(self.live, posting=streak)
        match answer:
            case Accepted(report_id):
                self._emit(Created(self.record.key, self.now, self.index, n=self.part.intents, report_id=report_id))
                self._watch(report_id, 0, self._poll_wait(0), planned=True)
            case Throttled(_, detail):
                self._refuse(detail)
                self._try_posting_again(streak, detail)
            case Invalid(detail):
                self._refuse(detail)
                self._fail(
                    "request.invalid",
                    f"the service refuses this request: {detail}",
                    "Change what the job asks for; an unchanged request is not sent again (unless with --only failed).",
                )
            case Denied(status, detail):
                self._refuse(detail)
                self._deny(status, detail)
            case Broken(detail, sent):
                if sent:
                    self._unanswered(detail)
                else:
                    self._refuse(detail)
                self._try_posting_again(streak, detail)

    def _try_posting_again(self, streak: Streak | None, detail: str) -> None:
        if streak is None or self.part.state is not State.WAITING:
            return
        if not self._tries_left(streak):
            self._fail_tries("creating the export", streak, detail)
        self.live = replace(self.live, create_at=self.now + self._backoff(streak.failures))

    def _unanswered(self, detail: str) -> None:
        self._emit(Unanswered(self.record.key, self.now, self.index, n=self.part.intents, detail=detail))
        if self.policy.retry.ambiguous == "stop":
            self._fail(
                "create.ambiguous",
                f"whether the service created this export is not known: {detail}",
                "Look in Loop whether it exists; then run again (retry.ambiguous: recreate does so by itself and counts "
                "the possible duplicate).",
            )

    def _asked(self, report_id: str, answer: StatusAnswer, streak: Streak | None) -> None:
        if not _says_nothing(answer, streak):
            self.live = replace(self.live, asking=streak)
        report = self.part.report(report_id)
        assert report is not None, "only known reports are asked about"
        asked = self.live.watches[report_id].asked + 1
        # What the answer finds out may end the watch; until then the next look is planned as usual.
        after = self._poll_wait(asked) if report.live else self.policy.polling.max
        self._watch(report_id, asked, after, planned=report.live)
        match answer:
            case Status("Completed", url) if url is not None:
                if self.part.state is not State.READY or not report.live or report.doubted_at is not None:
                    self._emit(Ready(self.record.key, self.now, self.index, report_id=report_id))
                self.live = replace(self.live, url=(report_id, url), fetch_at=self.now)
            case Status("Completed" | "Processing" as status):
                if not report.alive or report.doubted_at is not None:
                    self._emit(Alive(self.record.key, self.now, self.index, report_id=report_id, status=status))
                self._give_up_if_stuck(report)
            case Status("PendingOrExpired" as status):
                self._pending(report, status)
            case Status("Expired"):
                self._lose(report, Cause.EXPIRED)
            case Status("Failed"):
                self._lose(report, Cause.FAILED)
            case Status(status):
                self.live = replace(self.live, unknown_status=status)
                self._give_up_if_stuck(report)
            case NotFound():
                self._doubt(report, "404", Cause.MISSING)
            case Throttled() | Broken():
                if streak is None:
                    # The gate holds everybody back; nothing was learned, so the poll is due as soon as it opens.
                    self._watch(report_id, asked - 1, 0.0)
                elif self._tries_left(streak):
                    self._watch(report_id, asked, self._backoff(streak.failures))
                else:
                    self._fail_tries("asking for the export", streak, answer.detail)
            case Denied(status, detail):
                self._deny(status, detail)

    def _pending(self, report: Report, status: str) -> None:
        if report.alive:
            self._doubt(report, status, Cause.EXPIRED)
        elif self._age(report) > self.policy.retry.stuck_after:
            self._lose(report, Cause.EXPIRED)

    def _doubt(self, report: Report, status: str, cause: Cause) -> None:
        every = self.policy.polling.every
        asked = self.live.watches[report.id].asked
        # A first read in the future was made before the clock was set back: the series begins anew.
        if report.doubted_at is None or report.doubted_at > self.now:
            self._emit(Doubted(self.record.key, self.now, self.index, report_id=report.id, status=status))
            self._watch(report.id, asked, every)
        elif self.read_at - report.doubted_at >= every:
            self._lose(report, cause)
        else:
            self._watch(report.id, asked, max(0.0, report.doubted_at + every - self.now))

    def _give_up_if_stuck(self, report: Report) -> None:
        if report.live and self._age(report) > self.policy.retry.stuck_after:
            self._lose(report, Cause.STUCK)

    def _age(self, report: Report) -> float:
        return self.now - self.live.ages_from.get(report.id, report.created_at)

    def _lose(self, report: Report, cause: Cause) -> None:
        self._emit(Lost(self.record.key, self.now, self.index, report_id=report.id, cause=cause))
        self.live = replace(self.live, url=None, deaths=0, create_at=self.now + self._backoff(self.part.spent))
        if cause is Cause.STUCK:
            self._watch(report.id, self.live.watches[report.id].asked, self.policy.polling.max)
        used_up = self.part.spent > self.policy.retry.exports
        if used_up and self.part.state is State.WAITING and self.live.named:
            self._fail(
                f"export.{cause.value}", _LOSSES[cause].format(times=_times(self.part.spent)), _LOSS_HINTS[cause]
            )

    def _fetched(self, report_id: str, digest: Digest, temp: str) -> None:
        report = self.part.report(report_id)
        assert report is not None, "only known reports are fetched"
        self.live = replace(self.live, url=None, fetching=None, deaths=0)
        file = File(
            report_id=report_id,
            bytes=digest.bytes,
            sha256=digest.sha256,
            rows=digest.rows,
            exported_at=report.created_at,
            partial=report.created_at < self.record.window[1],
            path=self.record.path,
            temp=temp,
        )
        self._emit(Verified(self.record.key, self.now, self.index, file=file))

    def _url_died(self, status: int) -> None:
        deaths = self.live.deaths + 1
        self.live = replace(self.live, url=None, deaths=deaths)
        if deaths >= self.policy.retry.attempts:
            self._fail(
                "download.refused",
                f"the file host refuses even fresh URLs of this export (HTTP {status}, {_times(deaths)})",
                "Run again later; if it stays so, tell Loop's support the report id.",
            )
        # One death is the common case (the URL had grown old in the queue): a fresh one is asked for at once.
        self._ask_now(0.0 if deaths == 1 else self._backoff(deaths - 1))

    def _fetch_broke(self, detail: str, streak: Streak, pause: float | None) -> None:
        # The host took the URL, or was not there to refuse it: the deaths are not in a row any more.
        self.live = replace(self.live, fetching=streak, deaths=0)
        if self._tries_left(streak):
            self.live = replace(self.live, fetch_at=self.now + max(pause or 0.0, self._backoff(streak.failures)))
        else:
            self._fail_tries("downloading the file", streak, detail)

    def _fetch_wrong(self, report_id: str, code: str, message: str) -> None:
        report = self.part.report(report_id)
        assert report is not None, "only known reports are fetched"
        wrong = self.live.wrong.get(report_id, 0) + 1
        self.live = replace(self.live, url=None, wrong={**self.live.wrong, report_id: wrong}, fetching=None)
        if wrong < CORRUPT_FETCHES:
            self._ask_now(self._backoff(wrong))
        elif self.part.spent < self.policy.retry.exports:
            self._lose(report, Cause.CORRUPT)
        else:
            hint = _CONTENT_HINTS.get(code, _LOSS_HINTS[Cause.CORRUPT])
            self._fail(code, f"the file is not what it should be, even exported anew: {message}", hint)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _emit(self, event: Event) -> None:
        self.record = apply(self.record, event)
        self.events.append(event)

    def _refuse(self, detail: str) -> None:
        self._emit(Refused(self.record.key, self.now, self.index, n=self.part.intents, detail=detail))

    def _deny(self, status: int, detail: str) -> None:
        if status == 403:  # 401 and 451 speak of the account, and end the run instead
            self._fail(
                "request.forbidden",
                f"the token may not ask for this export (HTTP 403): {detail}",
                "Look whether the token's user sees these inboxes, tags and agents in Loop.",
            )

    def _fail(self, code: str, message: str, hint: str | None) -> None:
        if self.part.state is not State.FAILED:
            self._emit(Failed(self.record.key, self.now, self.index, code=code, message=message, hint=hint))

    def _fail_tries(self, doing: str, streak: Streak, detail: str) -> None:
        self._fail(
            "service.failing",
            f"{doing} failed {_times(streak.tries)} while the host answered others: {detail}",
            "Run again to try anew; if it stays so, narrow the export down or tell Loop's support.",
        )

    def _tries_left(self, streak: Streak) -> bool:
        return streak.tries < self.policy.retry.attempts

    def _backoff(self, failures: int) -> float:
        return backoff.wait(self.policy.retry, failures, self.chance())

    def _poll_wait(self, asked: int) -> float:
        return polling.wait(self.policy.polling, asked, self.chance())

    def _watch(self, report_id: str, asked: int, after: float, *, planned: bool = False) -> None:
        watch = Watch(asked, self.now + after, planned)
        self.live = replace(self.live, watches={**self.live.watches, report_id: watch})

    def _ask_now(self, after: float = 0.0) -> None:
        for report in self.part.reports:
            watch = self.live.watches.get(report.id, Watch(0, 0.0))
            self._watch(report.id, watch.asked, after)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


_LOSSES = {
    Cause.FAILED: "the service failed to make this export, {times}",
    Cause.EXPIRED: "the export expired before it could be fetched, {times}",
    Cause.MISSING: "the service does not know the export that it had created, {times}",
    Cause.STUCK: "the export never finished, {times}",
}
"""Not of `CORRUPT`: the last of its files fails the export, in the words of what is wrong with it."""
_LOSS_HINTS = {
    Cause.FAILED: "Ask for less at once (smaller windows), or tell Loop's support the report ids.",
    Cause.EXPIRED: "Run again, and let the run go on until it ends: exports wait for a limited time only.",
    Cause.MISSING: "Look whether api.base_url, the token and api.impersonate are still those that created it.",
    Cause.CORRUPT: "Run again later; if it stays so, tell Loop's support the report ids.",
    Cause.STUCK: "Ask for less at once (smaller windows), or raise retry.stuck_after.",
}


_BETWEEN = "Look at network.proxy and at what this machine reaches: something between here and the file host answers or alters. Then run again."
_CONTENT_HINTS = {
    "content.page": _BETWEEN,
    "content.encoding": _BETWEEN,
    "content.rows": "Look for a newer orchestrator: the service may have changed its format. Else ask Loop's support.",
    "content.bomb": "Nothing was stored. Look at what stands between here and the file host; if nothing does, report it to Loop's support.",
}
"""Where another try later is hardly of use."""


def _says_nothing(answer: CreateAnswer | StatusAnswer, streak: Streak | None) -> bool:
    """Being told to wait neither continues nor ends a row of failures."""
    return isinstance(answer, Throttled) and streak is None


_FOLLOWED = frozenset({None, Cause.STUCK})
"""A report is followed as long as it may complete; a stuck one may."""


def wants(part: Part, live: Live, now: float) -> tuple[Want, ...]:
    """What the part wants next, as its record and this run's knowledge of it stand.

    Nobody waits for the stuck report of an export that the job no longer names: it may never end.
    """
    match part.state:
        case State.VERIFIED:
            return (Place(now),)
        case State.READY if live.url is not None:
            return (Fetch(live.fetch_at, *live.url),)
        case State.READY | State.GENERATING:
            return _polls(part, live)
        case State.WAITING if live.may_create:
            return (*_polls(part, live), Create(live.create_at, again=live.create_at > 0 or bool(part.reports)))
        case _:
            return ()


def follows(part: Part, live: Live, report_id: str) -> bool:
    """Whether the part still asks about this report: what an answer says of it counts."""
    return any(poll.report_id == report_id for poll in _polls(part, live))


def _polls(part: Part, live: Live) -> tuple[Poll, ...]:
    return tuple(
        Poll(live.watches[r.id].due, r.id, live.watches[r.id].planned)
        for r in part.reports
        if r.cause in _FOLLOWED and r.id in live.watches
    )
