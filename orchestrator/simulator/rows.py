r"""The files of the simulated service: rows made up from the question alone.

The same question gives the same bytes, whichever export of it they are fetched from, so a test knows what must end
up on disk without asking. A row is padded to a fixed length, and row *i* is made without its predecessors: the length
of a file and any range of its bytes are known at once, and a result of a gigabyte is never held anywhere.

    [row 0,\nrow 1,\n … row n-1\n]      each row with its two closing bytes is `row_bytes` long
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from orchestrator.simulator.chance import chance
from orchestrator.simulator.question import Question, read_question
from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.workbook import workbook

BLOCK = 256 * 1024
COLUMNS = (
    "conversationId", "createdAt", "team", "agent", "customer", "channel", "subject", "tags", "responseSeconds", "note",
)  # fmt: skip
_VARIANTS = 13  # prime, so that no period of the calendar fits it
_LONGEST_ID = 64
_TEAMS = ("support", "sales", "billing")
_AGENTS = ("ana@example.com", "borut@example.com", "chloé@example.com")
_CUSTOMERS = ("žiga.čeh@example.net", "maria@example.net", "李雷@example.net", "o'neil@example.net")
_TAGS = ("vip", "refund", "bug", "onboarding")
_CHANNELS = ("email", "chat", "phone")
# Text that trips what cuts JSON by searching for brackets, commas or quotes.
_SUBJECTS = (
    "Invoice 2023/09",
    'She said "no"',
    "a],[b",
    "}, {",
    "C:\\temp\\",
    "Überweisung fehlt",
    "<html>is not HTML</html>",
    "emoji 🙂",
)


class Source(Protocol):
    """Bytes of a known length that can be read from any place. `length` is in bytes."""

    @property
    def length(self) -> int: ...

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `stop`, in blocks of some 256 KiB."""


@dataclass(frozen=True, slots=True)
class Held:
    """A source whose bytes are all in memory: workbooks, compressed bodies, error pages."""

    data: bytes = field(repr=False)

    @property
    def length(self) -> int:
        return len(self.data)

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, BLOCK):
            yield self.data[at : min(at + BLOCK, stop)]


class Rows:
    """The rows of one question, and the JSON file made of them.

    `revision` counts how often the file was replaced by another of the same shape (the fault `etag_change`).
    """

    def __init__(self, question: Question, scenario: Scenario, revision: int = 0) -> None:
        self.question = question
        self.row_bytes = scenario.row_bytes
        # A question that is asked for as a workbook has the rows that it has as JSON.
        name = replace(question, format="Json").name
        span = question.end - question.start + (scenario.end == "inclusive")
        self.count = scenario.rows.count(chance(scenario.seed, "rows", name), span) if span > 0 else 0
        self._span = span
        self._zone = question.zone
        self._last = max(1, self.count - 1) if scenario.end == "inclusive" else self.count
        self._salt = hashlib.blake2b(repr((scenario.seed, name, revision)).encode(), digest_size=8).hexdigest()
        self._variants = [self._variant(number) for number in range(_VARIANTS)] if self.count else []
        self._templates = [self._template(variant) for variant in self._variants]
        self._padding = (" lorem ipsum" * (self.row_bytes // 12 + 1)).encode()

    @property
    def length(self) -> int:
        return 1 + self.count * self.row_bytes if self.count else 2

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        if not self.count:
            yield b"[]"[start:stop]
            return
        if start == 0 < stop:
            yield b"["
            start = 1
        per_block = max(1, BLOCK // self.row_bytes)
        row, end = (start - 1) // self.row_bytes, -((1 - stop) // self.row_bytes)
        while row < end:
            until = min(row + per_block, end)
            block = b"".join([self._row(number) for number in range(row, until)])
            first = 1 + row * self.row_bytes
            skip, surplus = max(0, start - first), max(0, first + len(block) - stop)
            yield block[skip : len(block) - surplus] if skip or surplus else block
            row = until

    def records(self) -> Iterator[tuple[Any, ...]]:
        """The rows as values, in the order of COLUMNS."""
        for number in range(self.count):
            row = json.loads(self._row(number)[:-2])
            yield tuple(row[column] for column in COLUMNS)

    def _row(self, number: int) -> bytes:
        # Both edges are shown: the first row is at `start`, and where the end is inclusive the last one is at `end`.
        instant = self.question.start + min(number * self._span // self._last, self._span - 1)
        created = dt.datetime.fromtimestamp(instant, self._zone).isoformat()
        text = self._templates[number % _VARIANTS] % (number, created.encode())
        closing = b'"},\n' if number < self.count - 1 else b'"}\n]'
        return text + self._padding[: self.row_bytes - len(text) - 4] + closing

    def _variant(self, number: int) -> dict[str, Any]:
        def one_of(values: tuple[str, ...]) -> str:
            return values[int(chance(self._salt, number, *values) * len(values))]

        question = self.question
        tags = {one_of(_TAGS)}
        if question.tags:
            tags = {_short(one_of(question.tags)), one_of(_TAGS)}
        return {
            "team": _short(one_of(question.teams or _TEAMS)),
            "agent": _short(one_of(question.teammates or _AGENTS)),
            "customer": _short(one_of(question.customers or _CUSTOMERS)),
            "channel": one_of(_CHANNELS),
            "subject": one_of(_SUBJECTS),
            "tags": sorted(tags),
            "responseSeconds": int(chance(self._salt, number) * 86_400),
        }

    def _template(self, variant: dict[str, Any]) -> bytes:
        fixed = json.dumps(variant, ensure_ascii=False, separators=(",", ":")).encode().replace(b"%", b"%%")
        opening = b'{"conversationId":"' + self._salt.encode() + b'-%08x","createdAt":"%s",'
        return opening + fixed[1:-1] + b',"note":"'


def _short(identifier: str) -> str:
    """An id as a column shows it: one that would not fit a row is shown by its hash."""
    if len(json.dumps(identifier, ensure_ascii=False).encode()) <= _LONGEST_ID:
        return identifier
    return hashlib.sha256(identifier.encode()).hexdigest()[:32]


def make_result(question: Question, scenario: Scenario, revision: int = 0) -> Source:
    """The file of a question, decoded. A workbook is built here and now, in memory: call it off the event loop."""
    rows = Rows(question, scenario, revision)
    return Held(workbook(COLUMNS, rows.records())) if question.format == "Xlsx" else rows


class ExpectedResult(NamedTuple):
    """What must have been stored: length in bytes and sha256 (hex) of the decoded file, and the number of rows."""

    bytes: int
    sha256: str
    rows: int


def expected_result(request: Mapping[str, Any], scenario: Scenario, revision: int = 0) -> ExpectedResult:
    """What an export of this POST body gives under this scenario, computed without a server and without holding it.

    Raises BadRequestError when the body is not an export request.
    """
    question = read_question(request)
    source = make_result(question, scenario, revision)
    digest = hashlib.sha256()
    for block in source.blocks(0, source.length):
        digest.update(block)
    return ExpectedResult(source.length, digest.hexdigest(), Rows(question, scenario, revision).count)
