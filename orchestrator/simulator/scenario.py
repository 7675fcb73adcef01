"""What the simulated service is like: how slow, how strict, and what goes wrong, as a YAML file or a `Scenario`.

Everything is optional, and the defaults are calm: any token, exports that take two seconds, nothing ever fails.

    duration: {median: 3, sigma: 0.6}
    rate_limit: {per_second: 10, burst: 5, retry_after: 2}
    outages:
      - {at: 30, for: 10, mode: refuse, on: both}
    faults:
      - {on: download, do: truncate, after: 0.5, by: rst, match: {attempt: 1}}
      - {on: create, do: reset_after, times: 2}

All times are seconds. The vocabulary of faults is the table VERBS in rules.py.
"""

from __future__ import annotations

import difflib
import math
import statistics
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import JobError, Problem
from orchestrator.simulator.document import Document, parse_document, read_document
from orchestrator.simulator.rules import Count, Fault, Match, Seconds

# The longest row without its padding; tests hold it.
SHORTEST_ROW = 600
_NORMAL = statistics.NormalDist()
Positive = Annotated[float, Field(gt=0, le=1e12)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True, validate_by_name=True
    )


class Spread(_Model):
    """Seconds: a number, `{min, max}` (even between them), or `{median, sigma}` (lognormal)."""

    min: Seconds = 0
    max: Seconds = 0
    median: Seconds | None = None
    sigma: Annotated[float, Field(ge=0, le=10)] = 0

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"min": value, "max": value} if isinstance(value, int | float | str) else value

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.model_fields_set not in ({"min", "max"}, {"median", "sigma"}):
            raise ValueError("allowed are a number of seconds, {min, max} or {median, sigma}")
        if self.min > self.max:
            raise ValueError("min must not be above max")
        return self

    def seconds(self, draw: float) -> float:
        """The time that belongs to a draw between 0 and 1."""
        if self.median is not None:
            return self.median * math.exp(self.sigma * _NORMAL.inv_cdf(draw))
        return self.min + draw * (self.max - self.min)


class RowCount(_Model):
    """Rows of an export: a number, `{min, max}`, or `{per_day: …}` of its window."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)] = 0
    per_day: Annotated[float, Field(ge=0, le=1e9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"min": value, "max": value} if isinstance(value, int | float | str) else value

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.model_fields_set not in ({"min", "max"}, {"per_day"}):
            raise ValueError("allowed are a number of rows, {min, max} or {per_day}")
        if self.min > self.max:
            raise ValueError("min must not be above max")
        return self

    def count(self, draw: float, span: int) -> int:
        """The rows of a window of `span` seconds; `draw` is between 0 and 1."""
        if self.per_day is not None:
            return round(self.per_day * span / 86_400)
        return self.min + int(draw * (self.max - self.min + 1))


class RateLimit(_Model):
    """A token bucket over all requests to the API host; what it refuses is answered 429."""

    per_second: Positive
    burst: Count = 1
    retry_after: Seconds = 1
    retry_after_form: Literal["seconds", "date", "none"] = "seconds"


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


class Outage(_Model):
    """From `at` (after the start of the server, or after the scenario was swapped in), for `for` seconds.

    refuse: nobody listens. hang: a request is held until the outage is over, then dropped. reset: dropped at once.
    """

    at: Seconds = 0
    for_: Annotated[float, Field(gt=0, le=1e9, alias="for")]
    mode: Annotated[Literal["refuse", "503", "500", "hang", "reset"], BeforeValidator(_as_text)] = "refuse"
    on: Literal["api", "files", "both"] = "both"

    def covers(self, listener: Literal["api", "files"], elapsed: float) -> bool:
        return self.on in (listener, "both") and self.at <= elapsed < self.at + self.for_


class Scenario(_Model):
    """The whole service. Given equal scenarios and questions, files and durations are equal."""

    seed: int = 0

    # the account
    tokens: tuple[str, ...] | None = None  # None: any
    rate_limit: RateLimit | None = None
    max_unfinished: Count | None = None
    early_grace: Seconds = 0.1  # a request this soon after a 429 may have been under way: it is not counted as early

    # the life of an export
    pending: Spread = Spread(min=0, max=0)
    duration: Spread = Spread(min=2, max=2)  # from the end of `pending` to the result
    expires_after: Positive | None = None  # from the result until the export is gone
    created_status: Literal[200, 201] = 200
    latency: Spread = Spread(min=0, max=0)  # before each answer of the API

    # what is in a file
    rows: RowCount = RowCount(min=100, max=100)
    row_bytes: Annotated[int, Field(ge=SHORTEST_ROW)] = SHORTEST_ROW
    end: Literal["exclusive", "inclusive"] = "exclusive"  # whether a row at exactly `end` is in the file

    # the file host
    url_lifetime: Positive = 3600
    url_escapes: bool = False  # signatures with %-escapes, which some clients rewrite
    download_rate: Positive | None = None  # bytes per second of each download
    encoding: Literal["identity", "gzip"] = "identity"  # gzip: whatever the client says it accepts
    chunked: bool = False
    ranges: bool = True
    etag: Literal["strong", "weak", "none"] = "strong"

    outages: tuple[Outage, ...] = ()
    faults: tuple[Fault, ...] = ()


def load_scenario(path: Path | None) -> Scenario:
    """The scenario of a YAML file; None is the calm one. Raises JobError with every problem and its place."""
    return Scenario() if path is None else _validate(read_document(path))


def parse_scenario(text: str, name: str = "scenario") -> Scenario:
    """The scenario of a YAML text (JSON is one too). `name` is what errors call it. Raises JobError."""
    return _validate(parse_document(text, name))


def _validate(document: Document) -> Scenario:
    try:
        return Scenario.model_validate(document.value)
    except ValidationError as errors:
        problems = [_problem(document, dict(error)) for error in errors.errors(include_url=False)]
    raise JobError(*sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _problem(document: Document, error: dict[str, Any]) -> Problem:
    path = tuple(error["loc"])
    line, column = document.place(path)
    key = ".".join(map(str, path)) or "scenario"
    said = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], str | int | float | bool):
        said = f"found {error['input']!r}; {said[:1].lower()}{said[1:]}"
    hint = None
    if error["type"] == "extra_forbidden":
        said = "this key is not known"
        close = difflib.get_close_matches(str(path[-1]), _keys(), n=1)
        hint = f"did you mean {close[0]}?" if close else None
    return Problem(said, code="scenario.invalid", file=document.file, line=line, column=column, key=key, hint=hint)


def _keys() -> list[str]:
    models: tuple[type[BaseModel], ...] = (Scenario, Spread, RowCount, RateLimit, Outage, Fault, Match)
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})
