"""What each fault makes of a good reply: the table SPOILERS, one entry a word of the vocabulary.

Faults that decide what becomes of an export (`failed`, `stuck`, `expire`) are in the handler of the POST, and those
that change how a range is answered (`wrong_range`, `etag_change`) in that of the file host.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.simulator.rows import Held, Source
from orchestrator.simulator.rules import Fault
from orchestrator.simulator.wire import EMPTY, Reply, error_reply, html_page, html_reply, xml_reply


@dataclass(frozen=True, slots=True)
class Flipped:
    """A source with all bits of one byte turned over: never UTF-8, whatever the byte was."""

    source: Source
    at: int

    @property
    def length(self) -> int:
        return self.source.length

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        for block in self.source.blocks(start, stop):
            offset = self.at - start
            if 0 <= offset < len(block):
                yield block[:offset] + bytes([block[offset] ^ 0xFF]) + block[offset + 1 :]
            else:
                yield block
            start += len(block)


@dataclass(frozen=True, slots=True)
class Joined:
    """One source, and behind it another."""

    first: Source
    second: Source

    @property
    def length(self) -> int:
        return self.first.length + self.second.length

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        edge = self.first.length
        if start < edge:
            yield from self.first.blocks(start, min(stop, edge))
        if stop > edge:
            yield from self.second.blocks(max(start, edge) - edge, stop - edge)


@dataclass(frozen=True, slots=True)
class Shortened:
    """The first bytes of a source, as if they were all of it."""

    source: Source
    length: int

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        return self.source.blocks(start, stop)


class Case(NamedTuple):
    """The good reply, the fault that strikes it, the URL of the request and the id of the export it is about."""

    reply: Reply
    fault: Fault
    url: str
    export: str


def _status(case: Case) -> Reply:
    answer = error_reply(case.fault.code, "planted", f"planted by a rule: {case.fault.code}")
    if case.fault.body == "html":
        answer = html_reply(case.fault.code)
    elif case.fault.body == "empty":
        answer = Reply(status=case.fault.code)
    if isinstance(case.fault.retry_after, str):
        answer.headers["Retry-After"] = case.fault.retry_after
    elif case.fault.retry_after is not None:
        answer.wait = (case.fault.retry_after, "seconds")
    return answer


def _redirect(case: Case) -> Reply:
    return Reply(status=case.fault.code, headers={"Location": case.fault.to.replace("{url}", case.url)})


def _silence(case: Case) -> Reply:
    return Reply(silent=True, ending="hang" if case.fault.do == "hang" else case.fault.by)


def _late(case: Case) -> Reply:
    return dataclasses.replace(case.reply, delay=case.reply.delay + case.fault.seconds)


def _reason(case: Case) -> Reply:
    return dataclasses.replace(case.reply, reason=case.fault.text or "Internal Server Error")


def _say(case: Case, **changes: Any) -> Reply:
    """The JSON answer with other fields; one that is set to `...` is left out."""
    payload = json.loads(b"".join(case.reply.body.blocks(0, case.reply.body.length))) | changes
    told = {name: value for name, value in payload.items() if value is not ...}
    return dataclasses.replace(case.reply, body=Held(json.dumps(told).encode()))


def _bad_json(case: Case) -> Reply:
    text = '{"id": "{id}", "status": ' if case.fault.text is None else case.fault.text
    return dataclasses.replace(case.reply, body=Held(text.replace("{id}", case.export).encode()))


def _no_id(case: Case) -> Reply:
    return _say(case, id=...)


def _unknown_status(case: Case) -> Reply:
    return _say(case, status=case.fault.text or "Archived", url=None)


def _without_url(case: Case) -> Reply:
    return _say(case, url=None)


def _truncate(case: Case) -> Reply:
    return dataclasses.replace(case.reply, cut=case.fault.cut(case.reply.length), ending=case.fault.by)


def _no_length(case: Case) -> Reply:
    cut = None if case.fault.after is None else case.fault.cut(case.reply.length)
    return dataclasses.replace(case.reply, framing="none", cut=cut, ending=case.fault.by)


def _forbidden(_: Case) -> Reply:
    return xml_reply(403, "AccessDenied", "Access denied")


def _corrupt(case: Case) -> Reply:
    reply, fault = case.reply, case.fault
    if fault.how in _OTHER_BODIES:
        # Whatever part was asked for, all of the other body is sent: such an answer knows neither ranges nor ETags.
        body, kind = _OTHER_BODIES[fault.how]
        return Reply(body=body, headers={"Content-Type": kind}, rate=reply.rate)
    end = reply.start + reply.length
    at = reply.start + fault.cut(reply.length)
    spoiled: Source
    if fault.how == "flip":
        spoiled = Flipped(reply.body, min(at, end - 1))
        return dataclasses.replace(reply, body=spoiled)
    spoiled = Shortened(reply.body, at) if fault.how == "cut" else Joined(Shortened(reply.body, end), html_page(500))
    return dataclasses.replace(reply, body=spoiled, stop=None)


_OTHER_BODIES = {
    "html": (html_page(200), "text/html; charset=utf-8"),
    "empty": (EMPTY, "application/json"),
    "object": (Held(b'{"message": "the report is being prepared"}'), "application/json"),
}
SPOILERS: dict[str, Callable[[Case], Reply]] = {
    "status": _status,
    "reset_before": _silence,
    "reset_after": _silence,
    "hang": _silence,
    "delay": _late,
    "redirect": _redirect,
    "wrong_status_text": _reason,
    "bad_json": _bad_json,
    "no_id": _no_id,
    "unknown_status": _unknown_status,
    "completed_without_url": _without_url,
    "truncate": _truncate,
    "no_length": _no_length,
    "corrupt": _corrupt,
    "forbidden": _forbidden,
}


def spoil(reply: Reply, fault: Fault | None, *, url: str, export: str) -> Reply:
    """The reply as the fault, if any, has it. `url` is the request's, `export` the id of what it is about."""
    if fault is None or fault.do not in SPOILERS:
        return reply
    return SPOILERS[fault.do](Case(reply, fault, url, export))
