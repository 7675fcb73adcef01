"""The job file as models: what may stand in it, what it means, and what holds when it says nothing.

Frozen, unknown keys refused. Scalars come as text (YAML's own guesses are switched off in `yaml_nodes`), and the field
decides how they are read; see `scalars`. Unions are read by functions of our own, so that pydantic's error locations
are exactly the paths of the document. Field descriptions are the help texts of the JSON Schema that editors show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from orchestrator.job import axes, commands, matrix, paths, scalars
from orchestrator.job.misfit import Misfit, nearest
from orchestrator.job.periods import KINDS, MAX_DAYS, Every
from orchestrator.job.references import SecretRef
from orchestrator.job.windows import Range, window_range, zone

# ----------------------------------------------------------------------------------------- types, and their schemas

_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_TEXT: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_TEXTS = {"type": "array", "items": _TEXT}
_AXIS = {
    "anyOf": [
        {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [_TEXT, _TEXTS]}},
        {**_TEXTS, "minItems": 1},
    ]
}
_AXIS_FILE = {"type": "string", "pattern": r"^file:.+#|\$\{", "examples": ["file:inboxes.csv#id,name"]}
_RULE = {"type": "object", "minProperties": 1, "propertyNames": {"enum": list(axes.AXES)}}


def _schema(*forms: dict[str, Any]) -> WithJsonSchema:
    """Any of the forms, or text with a reference in it, which works in every scalar."""
    return WithJsonSchema({"anyOf": [*forms, _REFERENCE]})


def _whole(least: int) -> WithJsonSchema:
    return _schema({"type": "integer", "minimum": least}, {"type": "string", "pattern": "^[0-9]+$"})


def _word(*words: str) -> WithJsonSchema:
    return _schema({"enum": list(words)})


def _zone(value: object) -> str:
    return zone(scalars.text(value, "an IANA time zone")).key


def _template(value: object) -> str:
    return paths.Template.parse(scalars.text(value, "a path")).text


def _axis(value: object, info: ValidationInfo) -> tuple[axes.Value, ...]:
    return axes.many(value, (info.context or {}).get("files"))


def _every(value: object) -> Every:
    if isinstance(value, Every):
        return value
    due = f"{', '.join(KINDS)} or {{days: N}} is due here"
    if isinstance(value, Mapping):
        if set(value) != {"days"}:
            raise Misfit(due, hint="two weeks are {days: 14}")
        try:
            return Every("days", scalars.integer(1, MAX_DAYS)(value["days"]))
        except Misfit as misfit:
            raise misfit.below("days") from None
    kind = scalars.scalar(value, f"{', '.join(KINDS)} or {{days: N}}")
    if kind in KINDS:
        return Every(kind)
    days = re.fullmatch(r"([0-9]{1,4}) ?d?(?:ays?)?", kind)
    near = "day" if kind == "daily" else nearest(kind, KINDS)
    if days is not None:
        raise Misfit(due, hint=f"write {{days: {days[1]}}}")
    if near is not None:
        raise Misfit(due, hint=f"did you mean `{near}`?")
    raise Misfit(due, hint="for another length write {days: N}: a fortnight is {days: 14}")


Text: TypeAlias = Annotated[str, BeforeValidator(scalars.text), WithJsonSchema(_TEXT)]
Flag: TypeAlias = Annotated[
    bool, BeforeValidator(scalars.boolean), _schema({"type": "boolean"}, {"enum": ["true", "false"]})
]
Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(scalars.duration),
    _schema(
        {"type": "number", "exclusiveMinimum": 0, "maximum": scalars.LONGEST},
        {"type": "string", "pattern": "^[0-9.]+(ms|[hms])?", "examples": ["10s", "1h30m"]},
    ),
]
Count: TypeAlias = Annotated[int, BeforeValidator(scalars.integer(1)), _whole(1)]
Auto: TypeAlias = Literal["auto"]
_AUTO = {"enum": ["auto"]}
Limit: TypeAlias = Annotated[
    int | Auto,
    BeforeValidator(scalars.or_auto(scalars.integer(1))),
    _schema({"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]+$"}, _AUTO),
]
Rate: TypeAlias = Annotated[
    float | Auto,
    BeforeValidator(scalars.or_auto(scalars.number("a number above 0 or auto", most=1e6, above=True))),
    _schema({"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "^[0-9.]+$"}, _AUTO),
]
Ids: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(axes.ids), WithJsonSchema(_TEXTS)]
Values: TypeAlias = Annotated[
    tuple[axes.Value, ...], BeforeValidator(_axis), WithJsonSchema({"anyOf": [*_AXIS["anyOf"], _AXIS_FILE]})
]
Command: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(commands.words),
    WithJsonSchema({"anyOf": [_TEXT, {**_TEXTS, "minItems": 1}]}),
]
Users: TypeAlias = Annotated[tuple[axes.Value, ...], BeforeValidator(axes.single), WithJsonSchema(_AXIS)]
Formats: TypeAlias = Annotated[
    tuple[axes.Value, ...],
    BeforeValidator(axes.formats),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"enum": list(axes.FORMATS)}}),
]
Rules: TypeAlias = Annotated[
    tuple[matrix.Rule, ...],
    BeforeValidator(matrix.rules),
    WithJsonSchema({"type": "array", "items": {**_RULE, "additionalProperties": {"anyOf": [_TEXT, _TEXTS]}}}),
]
Cells: TypeAlias = Annotated[
    tuple[matrix.Cell, ...],
    BeforeValidator(matrix.cells),
    WithJsonSchema({"type": "array", "items": {**_RULE, "additionalProperties": _TEXT}}),
]


class Section(BaseModel):
    """A mapping of the job file. A known key with nothing behind it counts as left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, Mapping):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


# --------------------------------------------------------------------------------------------------------- sections


class Api(Section):
    base_url: Annotated[str, BeforeValidator(scalars.base_url), WithJsonSchema({"type": "string"})] = Field(
        default="https://api.intheloop.io",
        description="Address of the API: https, or http on a loopback host. A path before the API's own is kept.",
    )
    token: Annotated[
        SecretRef,
        BeforeValidator(SecretRef.parse),
        PlainSerializer(str),
        WithJsonSchema({"type": "string", "pattern": r"^\$\{[^}]+\}$"}),
    ] = Field(description="The API token by reference: ${ENV} or ${file:PATH}. A literal token is refused.")
    impersonate: Text | None = Field(default=None, description="The user on whose behalf all calls are made.")
    allow_private: Flag = Field(default=False, description="Whether files may come from hosts on private addresses.")


class Request(Section):
    timezone: Annotated[str, BeforeValidator(_zone), WithJsonSchema({"type": "string"})] = Field(
        default="UTC",
        description="IANA zone in which the service calculates; windows are cut at its local midnights.",
    )
    format: Annotated[Literal["json", "xlsx"], BeforeValidator(scalars.choice(*axes.FORMATS)), _word(*axes.FORMATS)] = (
        Field(
            default="json",
            description="Format of the files.",
        )
    )
    end: Annotated[
        Literal["exclusive", "inclusive"],
        BeforeValidator(scalars.choice("exclusive", "inclusive")),
        _word("exclusive", "inclusive"),
    ] = Field(
        default="exclusive",
        description="exclusive sends the next window's start as `end`; inclusive, one second less.",
    )
    tags: Ids = Field(default=(), description="Only rows with at least one of these tag ids.")
    teams: Ids = Field(default=(), description="Only these shared inboxes, by id.")
    teammates: Ids = Field(default=(), description="Only these agents, by e-mail address.")
    customers: Ids = Field(default=(), description="Only these customers, by e-mail address.")


class WindowAxis(Section):
    every: Annotated[
        Every,
        BeforeValidator(_every),
        _schema(
            {"enum": list(KINDS)},
            {
                "type": "object",
                "required": ["days"],
                "additionalProperties": False,
                "properties": {"days": {"type": ["integer", "string"], "minimum": 1, "maximum": MAX_DAYS}},
            },
        ),
    ] = Field(description="How long a window is: day, week, month, quarter, year or {days: N}.")
    from_: Text | None = Field(
        default=None,
        alias="from",
        description="The first window, by its label (2024-01, 2024-W05, 2024-Q1, 2024, 2024-01-15) or its first day.",
    )
    to: Text | None = Field(
        default=None,
        description="The last window, included, by its label or its last day. Left out: the last closed window.",
    )
    last: Annotated[int, BeforeValidator(scalars.integer(1, 100_000)), _whole(1)] | None = Field(
        default=None,
        description="So many of the last closed windows, instead of `from` and `to`.",
    )
    include_current: Flag = Field(
        default=False,
        description="Export the open window too, marked partial, and again after it has closed.",
    )

    @property
    def range(self) -> Range:
        """The windows asked for, as far as that can be said without knowing the time."""
        return window_range(self.every, self.from_, self.to, count=self.last, include_current=self.include_current)

    @model_validator(mode="after")
    def _on_boundaries(self) -> Self:
        _ = self.range
        return self


class Matrix(Section):
    window: WindowAxis = Field(description="Calendar windows, cut in request.timezone.")
    team: Values = Field(
        default=(), description="Shared inboxes: label: id, label: [ids], a list of ids, or file:PATH#id,label."
    )
    tag: Values = Field(default=(), description="Tags, written as `team` is.")
    teammate: Values = Field(default=(), description="Agents by e-mail address, written as `team` is.")
    customer: Values = Field(default=(), description="Customers by e-mail address, written as `team` is.")
    impersonate: Users = Field(default=(), description="Users on whose behalf to ask: label: e-mail, or a list.")
    format: Formats = Field(default=(), description="Formats: a list of json and xlsx.")
    exclude: Rules = Field(
        default=(), description="Cells to leave out: axis: pattern (label, glob, list, range of windows)."
    )
    include: Cells = Field(default=(), description="Cells outside the product: axis: label.")

    _order: tuple[str, ...] = PrivateAttr(default=())

    @property
    def order(self) -> tuple[str, ...]:
        """The axes in the order in which the job file names them."""
        return self._order

    @model_validator(mode="wrap")
    @classmethod
    def _keep_order(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # pydantic keeps the order of its fields, not of the document, and paths and plans follow the document.
        found = handler(data)
        if isinstance(data, Mapping):
            found._order = tuple(key for key in data if key in axes.AXES)  # noqa: SLF001 - our own attribute
        return found

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, data: Any) -> Any:
        # Unlike elsewhere, an axis with nothing behind it is a mistake: left out, it would ask for everything.
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in ("exclude", "include")}


class Limits(Section):
    unfinished: Limit = Field(default=16, description="Exports created and not yet finished; a number, or auto.")
    requests_per_second: Rate = Field(
        default=5.0, description="All requests to the API host; a number, which may be fractional, or auto."
    )
    downloads: Limit = Field(default=4, description="Downloads at one time; a number, or auto.")
    longest_pause: Duration = Field(default=900.0, description="A Retry-After beyond this parks the run.")
    shared: Flag = Field(
        default=True,
        description="Runs at one time on this machine with the same base_url and token share these limits and every pause.",
    )


class Polling(Section):
    policy: Annotated[
        Literal["adaptive", "backoff", "steady"],
        BeforeValidator(scalars.choice("adaptive", "backoff", "steady")),
        _word("adaptive", "backoff", "steady"),
    ] = Field(
        default="adaptive",
        description="When to ask for a report: adaptive (learns how long exports take), backoff or steady.",
    )
    first: Duration = Field(
        default=10.0, description="Wait before the first poll; under adaptive the guess until something is learned."
    )
    every: Duration = Field(
        default=10.0,
        description="Wait between polls; under backoff the first of them, × 1.5 a step. Two reads at least so far apart "
        "tell that an export is gone.",
    )
    max: Duration = Field(default=60.0, description="The longest silence in every policy.")
    jitter: Annotated[
        float,
        BeforeValidator(scalars.number("a number from 0 to 1", most=1.0)),
        _schema({"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": "^[0-9.]+$"}),
    ] = Field(default=0.2, description="Each wait is multiplied by 1 … 1 + jitter.")


class Retry(Section):
    attempts: Count = Field(default=6, description="Tries of one request that the host answers badly.")
    base: Duration = Field(default=1.0, description="Shortest bound of the jittered wait between tries.")
    max: Duration = Field(default=60.0, description="Longest bound of the jittered wait between tries.")
    exports: Annotated[int, BeforeValidator(scalars.integer(0)), _whole(0)] = Field(
        default=3,
        description="New creations of one part after Failed, expiry or getting stuck.",
    )
    stuck_after: Duration = Field(default=7200.0, description="A report that does not move for so long is stuck.")
    outage: Duration = Field(default=900.0, description="A host that answers nobody for so long parks the run.")
    ambiguous: Annotated[
        Literal["recreate", "stop"],
        BeforeValidator(scalars.choice("recreate", "stop")),
        _word("recreate", "stop"),
    ] = Field(
        default="recreate", description="After a POST without a readable answer: create anew, or fail that export."
    )


class Network(Section):
    proxy: Annotated[
        str | scalars.ProxyUrl,
        BeforeValidator(scalars.proxy),
        PlainSerializer(str),
        WithJsonSchema({"type": "string", "examples": ["env", "none"]}),
    ] = Field(default="env", description="env (HTTPS_PROXY and NO_PROXY), none, or the proxy's URL.")
    timeout: Duration = Field(
        default=30.0, description="Longest wait for a connection and between two pieces of an answer."
    )
    ca_file: Text | None = Field(default=None, description="A PEM file of certificate authorities to trust.")


class Output(Section):
    to: Annotated[str, BeforeValidator(scalars.folder), WithJsonSchema(_TEXT)] = Field(
        description="The folder for the files, relative to the job file.",
    )
    path: Annotated[str, BeforeValidator(_template), WithJsonSchema(_TEXT)] | None = Field(
        default=None,
        description="Path of each file: {axis}, {ext}, {name}, {key}. Default: every axis in turn.",
    )
    missing: Annotated[
        Literal["export", "keep"],
        BeforeValidator(scalars.choice("export", "keep")),
        _word("export", "keep"),
    ] = Field(default="export", description="A stored file that is gone: export it again, or keep it as done.")
    state: Annotated[str, BeforeValidator(scalars.folder), WithJsonSchema(_TEXT)] | None = Field(
        default=None,
        description="Folder for journal, lock and temporary files; default <to>/.orchestrator.",
    )


class Hooks(Section):
    on_success: Command | None = Field(
        default=None, description="Command after a run that ended well; it gets the run's report as JSON on stdin."
    )
    on_failure: Command | None = Field(
        default=None, description="Command after a run in which an export failed, or that was stopped."
    )
    on_parked: Command | None = Field(default=None, description="Command after a run that was parked before its end.")
    timeout: Duration = Field(default=60.0, description="How long a command may take before it is ended.")


class Metrics(Section):
    file: Text | None = Field(
        default=None,
        description="Where each run writes its figures for Prometheus' textfile collector, relative to the job file; ends with .prom.",
    )


AUTOMATIC = ("unfinished", "requests_per_second", "downloads")
"""The keys that `limits: auto` stands for."""


def _limits(value: object) -> object:
    return dict.fromkeys(AUTOMATIC, "auto") if value == "auto" else value


class JobFile(Section):
    """A job: what to export, how fast, and where to."""

    version: Annotated[Literal[1], BeforeValidator(scalars.version), WithJsonSchema({"enum": [1, "1"]})] = Field(
        description="Version of the job file's format: 1.",
    )
    name: Annotated[str, BeforeValidator(scalars.name), WithJsonSchema(_TEXT)] = Field(
        description="Name of the job: lower-case letters, digits and hyphens.",
    )
    api: Api = Field(description="The service and the account.")
    request: Request = Field(
        default_factory=Request, description="What every export asks for unless an axis says otherwise."
    )
    matrix: Matrix = Field(description="What is expanded into exports: the product of its axes.")
    limits: Annotated[Limits, BeforeValidator(_limits)] = Field(
        default_factory=Limits,
        description="How fast, and how much at once: a number is where it starts and the most it may be, auto starts low and "
        "finds itself; `limits: auto` is all three.",
    )
    polling: Polling = Field(default_factory=Polling, description="When to ask whether a report is ready.")
    retry: Retry = Field(default_factory=Retry, description="When to try again, and when to give up.")
    network: Network = Field(default_factory=Network, description="Proxy, timeout and certificates.")
    output: Output = Field(description="Where the files go.")
    hooks: Hooks = Field(default_factory=Hooks, description="Commands to start when a run has ended.")
    metrics: Metrics = Field(default_factory=Metrics, description="Figures of each run for Prometheus.")
