"""The service's two calls as they are documented, and what an answer to them means.

Pure. Where the documentation is silent this is tolerant: extra fields are ignored, a status nobody knows is passed on,
and whatever can't be used is `Broken`, never an exception. What counts as "not created" after a POST is the contract
that keeps possible duplicates honest: the connection never opened, or 400, 401, 403, 429, 451, or 503 with
`Retry-After`. Everything else that is not a readable id is ambiguous.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from orchestrator.api.words import json_object, presentable, said, with_status
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

STATUSES = frozenset({"PendingOrExpired", "Processing", "Completed", "Failed", "Expired"})
"""Those that are documented. Any other text in their place is a server's own words."""

CREATE_PATH = "/api/v1/report/export"

LONGEST_WAIT = 10 * 365 * 86_400.0
"""Seconds. A `Retry-After` beyond it means "never" as much as ten years do, and still fits every calendar."""

_LONGEST_ID = 200
_LONGEST_STATUS = 100
_SECONDS = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)


def status_path(report_id: str) -> str:
    """The path that tells of a report. The id stays one segment of it, whatever characters it is made of."""
    segment = quote(report_id, safe="")
    if not segment.strip("."):  # `.` and `..` survive quoting, and a proxy would resolve them
        segment = segment.replace(".", "%2E")
    return f"/api/v1/report/exports/{segment}"


def request_body(request: Mapping[str, Any]) -> bytes:
    """The canonical JSON of a request: the same bytes for the same question."""
    return json.dumps(dict(request), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def create_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> CreateAnswer:
    """What an answer to a POST means. `now` is in seconds since the epoch; `secret` is never repeated in a detail."""
    if status == 400:
        return Invalid(said(body, secret) or with_status(status))
    if status not in (200, 201):
        return _refusal(status, headers, body, now=now, secret=secret)
    answer = json_object(body)
    report_id = _readable_id(answer.get("id")) if answer is not None else None
    if answer is None or report_id is None:
        lacks = "no JSON object" if answer is None else "no readable id"
        return Broken(f"the API answered {status} with {lacks} in it")
    return Accepted(report_id, _status_text(answer.get("status"), secret))


def status_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = "", report_id: str | None = None
) -> StatusAnswer:
    """What an answer to a GET means. A 410 says what a 404 says: the report is gone.

    `report_id` is the one that was asked for. An answer about another one (a server or a proxy that mixes up what it
    sends) would bring another export's file under this one's name.
    """
    if status in (404, 410):
        return NotFound()
    if status != 200:
        return _refusal(status, headers, body, now=now, secret=secret)
    answer = json_object(body)
    if answer is None:
        return Broken("the API answered 200 with no JSON object in it")
    told_of = answer.get("id")
    if report_id is not None and isinstance(told_of, str) and not _same(told_of, report_id):
        return Broken("the API answered about another report than the one asked for")
    text = _status_text(answer.get("status"), secret)
    if not text:
        return Broken("the API answered 200 without a readable status")
    url = answer.get("url")
    return Status(text, SignedUrl(url) if isinstance(url, str) and url.strip() else None)


def is_about(body: bytes, report_id: str) -> bool:
    """Whether an answer names this report: then it is to the question about it, and to no other one."""
    answer = json_object(body)
    told_of = answer.get("id") if answer is not None else None
    return isinstance(told_of, str) and _same(told_of, report_id)


def _same(one: str, other: str) -> bool:
    """UUIDs are the same in either case, and nobody said that the service keeps theirs."""
    return one.casefold() == other.casefold()


def parse_retry_after(value: str, date_header: str | None, now: float) -> float | None:
    """Seconds to wait, from 0 to `LONGEST_WAIT`; None if `value` is neither a number nor a date. Never raises.

    A date is taken relative to the server's own `Date`, for its clock and ours (`now`, seconds since the epoch) may
    differ by more than the wait.
    """
    value = value.strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        until = _timestamp(value)
        if until is None:
            return None
        served = _timestamp(date_header.strip()) if date_header is not None else None
        seconds = until - (now if served is None else served)
    return min(max(seconds, 0.0), LONGEST_WAIT)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait that an answer's headers ask for, in seconds; None if they ask for none that can be read."""
    value = header(headers, "retry-after")
    return None if value is None else parse_retry_after(value, header(headers, "date"), now)


def served_at(headers: Mapping[str, str]) -> float | None:
    """When the server says that it answered (`Date`, whole seconds), in seconds since the epoch; None if it does not say."""
    value = header(headers, "date")
    return None if value is None else _timestamp(value)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The first header called `name` (lower case), trimmed; None if it is missing or empty."""
    return next((value.strip() for key, value in headers.items() if key.lower() == name and value.strip()), None)


def _refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str
) -> Throttled | Denied | Broken:
    words = said(body, secret)
    told = with_status(status, words)
    if status == 429:
        return Throttled(retry_after(headers, now), told)
    if status == 503 and header(headers, "retry-after") is not None:
        return Throttled(retry_after(headers, now), told, unavailable=True)
    if status in (401, 403, 451):
        return Denied(status, words or told)
    if 300 <= status < 400:
        target = _without_query(header(headers, "location"), secret)
        return Broken(f"the API redirects ({status}) to {target}, which is not followed", trusted=False)
    if status in (404, 405):
        wait, hint = retry_after(headers, now), "Does `api.base_url` name Loop's API?"
        return Broken(f"the API answered {told}. {hint}", wait=wait, absent=True)
    return Broken(f"the API answered {told}", wait=retry_after(headers, now))


def _readable_id(value: Any) -> str | None:
    """An id is opaque, but it has to fit into a path and a line of a log."""
    if not isinstance(value, str) or len(value) > _LONGEST_ID or not value.isprintable() or not value.strip(" ."):
        return None
    return value


def _status_text(value: Any, secret: str) -> str:
    if not isinstance(value, str):
        return ""
    return value if value in STATUSES else presentable(value, secret, longest=_LONGEST_STATUS)


def _without_query(location: str | None, secret: str) -> str:
    """Scheme, host and path of a redirect's target: its query may be a signature, its user part a password."""
    try:
        parts = urlsplit(location or "")
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that can't be read"
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    shown = f"{scheme}//{host}{port}{parts.path}" if host else f"{scheme}{parts.path}"
    return presentable(shown, secret) or "nowhere"


def _timestamp(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
