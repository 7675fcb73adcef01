"""What a POST asks for: the body of an export request, read the way the service's public reference describes it."""

from __future__ import annotations

import functools
import json
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILTERS = {"tags": "tagIds", "teams": "teamIds", "teammates": "teammateIds", "customers": "customerIds"}
# The last instant of year 9998: a zone's offset may still be added without leaving the calendar.
LATEST = 253_370_764_799


class BadRequestError(Exception):
    """The body is not an export request. `fields` names each field at fault and what is wrong with it."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Question:
    """An export request without its spelling: a filter that is null, empty or left out reads the same, as do ids in
    another order. `start` and `end` are seconds since the epoch. Equal questions get equal files.
    """

    timezone: str
    start: int
    end: int
    format: str
    tags: tuple[str, ...]
    teams: tuple[str, ...]
    teammates: tuple[str, ...]
    customers: tuple[str, ...]

    @property
    def name(self) -> str:
        """What chance is drawn from."""
        return json.dumps(
            [self.timezone, self.start, self.end, self.format, self.tags, self.teams, self.teammates, self.customers]
        )

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return _zone(self.timezone)


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def _instant(body: Mapping[str, Any], field: str, fields: dict[str, str]) -> int:
    value = body.get(field)
    if type(value) is not int:  # a bool is an int to isinstance, and not to the service
        fields[field] = "a whole number of seconds since the epoch is required"
    elif not 0 <= value <= LATEST:
        fields[field] = f"out of range, 0 to {LATEST}"
    else:
        return value
    return 0


def _is_text(item: str) -> bool:
    try:
        return bool(item.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
        return False


def _ids(body: Mapping[str, Any], field: str, fields: dict[str, str]) -> tuple[str, ...]:
    value = body.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and _is_text(item) for item in value):
        fields[field] = "a list of texts, or null"
        return ()
    return tuple(sorted(set(value)))


def read_question(body: object) -> Question:
    """Read a decoded body. Raises BadRequestError with every field at fault; fields it does not know are let pass."""
    if not isinstance(body, Mapping):
        raise BadRequestError({"body": "a JSON object is required"})
    fields: dict[str, str] = {}
    start, end = _instant(body, "start", fields), _instant(body, "end", fields)
    if not fields and start > end:
        fields["end"] = "must not be before start"
    timezone = body.get("timezone")
    if timezone is None:
        timezone = "UTC"
    try:
        _zone(timezone)
    except (TypeError, AttributeError, ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        fields["timezone"] = "an IANA time zone, or null"
    format_ = body.get("resultFormat", "Json")
    if format_ not in ("Json", "Xlsx"):
        fields["resultFormat"] = "Json or Xlsx"
    filters = {name: _ids(body, field, fields) for name, field in FILTERS.items()}
    if fields:
        raise BadRequestError(fields)
    return Question(timezone=timezone, start=start, end=end, format=format_, **filters)
