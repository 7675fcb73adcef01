"""Faults to plant: the vocabulary, when a rule applies, and the counting that decides it.

A rule sees only requests that would otherwise have been answered well: whatever the token, the rate limit, the body
or the signature make of a request comes first. Every rule counts what it matches, and the first one that is due acts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.simulator.chance import chance
from orchestrator.simulator.question import Question

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]  # no clock and no date overflows within thirty years
On = Literal["create", "get", "download"]


class Verb(NamedTuple):
    """Where a fault can be planted, the options it takes, and those it can't do without."""

    on: frozenset[str]
    options: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


def _verb(on: str, options: str = "", required: str = "") -> Verb:
    return Verb(frozenset(on.split()), frozenset(f"{options} {required}".split()), frozenset(required.split()))


_EVERYWHERE = "create get download"
VERBS = {
    # answers of any listener
    "status": _verb(_EVERYWHERE, "body retry_after created", "code"),  # `created`: the export exists all the same
    "reset_before": _verb(_EVERYWHERE, "by"),  # the connection ends without an answer; nothing was created
    "delay": _verb(_EVERYWHERE, required="seconds"),  # the right answer, late
    "hang": _verb(_EVERYWHERE, "created"),  # no answer, and the connection stays
    "redirect": _verb(_EVERYWHERE, "code created", "to"),  # `{url}` in `to` is the request's own URL
    "wrong_status_text": _verb(_EVERYWHERE, "text"),  # the right answer under another reason phrase
    # answers of the API
    "reset_after": _verb("create", "by"),  # the export exists, and nobody was told
    "bad_json": _verb("create get", "text"),  # 200 and this text (`{id}` is the id), cut JSON by default
    "no_id": _verb("create get"),
    "unknown_status": _verb("create get", "text"),
    "completed_without_url": _verb("get"),  # matches only GETs of a completed export
    # what becomes of an export
    "failed": _verb("create"),
    "stuck": _verb("create"),
    "expire": _verb("create"),  # Processing for its duration, then gone
    # files
    "truncate": _verb("download", "after by"),
    "no_length": _verb("download", "after by"),  # neither length nor chunks: only the end of the connection ends it
    "corrupt": _verb("download", "how after"),
    "wrong_range": _verb("download"),  # matches only range requests: one byte off, and says so
    "etag_change": _verb("download", "careless"),  # the file was replaced; careless: If-Range is not looked at
    "forbidden": _verb("download"),  # 403 with XML, as when a URL has expired
}  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)


class Match(_Model):
    """Which requests a rule is about; all that is given must hold.

    The first group looks at what the export asks for, `status` at what a GET would truly be told. The counting group
    looks at requests that passed the others, from 1: `nth` and `every` count all of them, `attempt` those of one
    export (for `create`: of one question by one user, so `attempt: 1` is each export's first creation).
    """

    team: str | None = None
    tag: str | None = None
    teammate: str | None = None
    customer: str | None = None
    impersonate: str | None = None
    format: Literal["Json", "Xlsx"] | None = None
    start: int | None = None
    end: int | None = None
    status: str | None = None

    nth: Count | tuple[Count, ...] | None = None
    every: Count | None = None
    attempt: Count | tuple[Count, ...] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None

    def fits(self, question: Question, impersonate: str | None, status: str | None) -> bool:
        """Whether the first group holds."""
        return all(
            wanted is None or found
            for wanted, found in (
                (self.team, self.team in question.teams),
                (self.tag, self.tag in question.tags),
                (self.teammate, self.teammate in question.teammates),
                (self.customer, self.customer in question.customers),
                (self.impersonate, self.impersonate == impersonate),
                (self.format, self.format == question.format),
                (self.start, self.start == question.start),
                (self.end, self.end == question.end),
                (self.status, self.status == status),
            )
        )

    def is_due(self, count: int, attempt: int, draw: float) -> bool:
        """Whether the counting group holds, of a request that `fits`."""
        return (
            _among(self.nth, count)
            and _among(self.attempt, attempt)
            and (self.every is None or count % self.every == 0)
            and (self.probability is None or draw < self.probability)
        )


def _among(wanted: int | tuple[int, ...] | None, number: int) -> bool:
    return wanted is None or number == wanted or (isinstance(wanted, tuple) and number in wanted)


class Fault(_Model):
    """One rule: `do` this `on` such requests, where `match` holds, at most `times` times. See VERBS for the options."""

    on: On
    do: str
    match: Match = Match()
    times: Count | None = None

    code: Annotated[int, Field(ge=200, le=599)] = 302
    body: Literal["json", "html", "empty"] = "json"
    retry_after: Seconds | str | None = None  # a number counts as an announcement; a text is sent as it is
    created: bool = False
    seconds: Seconds = 0
    to: str = ""
    text: str | None = None
    by: Literal["fin", "rst", "hang"] = "fin"
    after: Seconds | None = None  # below 1 a fraction of the body, else bytes
    how: Literal["flip", "html", "html_after", "empty", "object", "cut"] = "flip"
    careless: bool = False

    @model_validator(mode="after")
    def _is_in_the_vocabulary(self) -> Self:
        verb = VERBS.get(self.do)
        if verb is None:
            raise ValueError(f"do: {self.do} is not known; allowed are {', '.join(VERBS)}")
        if self.on not in verb.on:
            raise ValueError(f"{self.do} can't be planted on {self.on}; allowed is on: {', '.join(sorted(verb.on))}")
        given = self.model_fields_set - {"on", "do", "match", "times"}
        if unknown := given - verb.options:
            allowed = ", ".join(sorted(verb.options)) or "none"
            raise ValueError(f"{self.do} takes no option {', '.join(sorted(unknown))}; allowed are: {allowed}")
        if missing := verb.required - given:
            raise ValueError(f"{self.do} needs {', '.join(sorted(missing))}")
        if self.created and self.on != "create":
            raise ValueError("created: true is for on: create")
        if self.by == "hang" and self.on != "download":
            raise ValueError("by: hang is for downloads; elsewhere use do: hang")
        return self

    def cut(self, length: int) -> int:
        """Where in a body of `length` bytes the fault strikes: the middle when `after` is not given."""
        after = 0.5 if self.after is None else self.after
        return min(length, int(after * length) if after < 1 else int(after))


class Rules:
    """Counts requests against the rules of a scenario and says which fault, if any, strikes."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = faults
        self._seed = seed
        self._counts = [0] * len(faults)
        self._attempts: Counter[tuple[int, str]] = Counter()
        self._left: list[float] = [float("inf") if fault.times is None else fault.times for fault in faults]

    def strike(
        self,
        on: On,
        question: Question,
        *,
        subject: str,
        impersonate: str | None = None,
        status: str | None = None,
        ranged: bool = False,
    ) -> Fault | None:
        """The fault for this request. `subject` names the export it is about, and must not depend on chance."""
        struck: Fault | None = None
        for number, fault in enumerate(self._faults):
            if fault.on != on or not fault.match.fits(question, impersonate, status):
                continue
            if (fault.do == "completed_without_url" and status != "Completed") or (
                fault.do == "wrong_range" and not ranged
            ):
                continue
            self._counts[number] += 1
            self._attempts[number, subject] += 1
            attempt = self._attempts[number, subject]
            draw = 0.0
            if fault.match.probability is not None:
                draw = chance(self._seed, "fault", number, subject, attempt)
            if struck is None and self._left[number] and fault.match.is_due(self._counts[number], attempt, draw):
                self._left[number] -= 1
                struck = fault
        return struck
