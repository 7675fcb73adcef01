"""What must hold of every call, whatever the wire did to it."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Iterator
from typing import Any

from evidence import Evidence
from l2_faults import Reply, bodiless
from l2_hosts import Call, Host, World
from l2_wire import Net
from oracle import SECRETS, secrets_stay_at_their_hosts

from orchestrator.content.digest import Digest
from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import (
    Accepted,
    Broken,
    Denied,
    FileBroken,
    FileRefused,
    Invalid,
    NotFound,
    Status,
    Throttled,
)
from orchestrator.errors import ContentError

ANSWERS = {
    "create": (Accepted, Throttled, Denied, Invalid, Broken),
    "get": (Status, NotFound, Throttled, Denied, Broken),
}
LONGEST_CALL = 32.0
"""Seconds: `network.timeout`, and what aiohttp rounds it up by."""
LONGEST_FETCH = 1500.0
"""Eight answers (three redirects, twice) within twice the timeout each, and the slowest body above the floor."""
_TAINTING = (
    "bad chunks",
    "odd head",
    "garbage before",
    "gzip",
    "206 encoded",
    "html",
    "drip",
    "short length",
    "early end",
)


def judge(world: World, net: Net, api: Host, others: list[Host]) -> Iterator[str]:
    """Yields each violation, in words."""
    for call in world.calls:
        versions = world.reports[call.report].versions if call.kind == "fetch" else []
        for text in judge_call(call, versions):
            yield f"call {call.n} ({call.kind}): {text}"
    heard = {"api": api.heard, **{f"{n}.": host.heard for n, host in enumerate(others)}}
    yield from secrets_stay_at_their_hosts(Evidence(0, Policy(), heard=heard, strayed=net.strayed))


def judge_call(call: Call, versions: list[bytes]) -> Iterator[str]:
    """What is wrong with one call; `versions` are what its file was at any time, if it is a download."""
    heads = len(call.replies)
    if call.kind == "create" and heads > 1:
        yield f"{heads} POSTs for one call"
    if call.kind == "get" and heads > 1:
        yield f"{heads} GETs for one call"
    if call.cancelled:
        return
    if call.ended is None:
        yield "never ended"
        return
    took = call.ended - call.began
    if took > (LONGEST_FETCH if call.kind == "fetch" else LONGEST_CALL):
        yield f"took {took:.0f} s"
    shown = _shown(call.outcome)
    if any(secret in shown for secret in SECRETS):
        yield f"a secret is shown: {shown[:300]}"
    if call.kind == "fetch":
        yield from _fetch(call, versions)
    elif not isinstance(call.outcome, ANSWERS[call.kind]):
        yield f"{call.outcome!r} came out"
    else:
        yield from (_create if call.kind == "create" else _get)(call, call.outcome)


def _shown(outcome: Any) -> str:
    """All that a log or a traceback could show of it."""
    if isinstance(outcome, BaseException):
        return "".join(traceback.format_exception(outcome)) + repr(outcome)
    return f"{outcome} {outcome!r}"


# ------------------------------------------------------------------------------------------------------------- the API


def _create(call: Call, answer: Any) -> Iterator[str]:
    if isinstance(answer, Accepted) and answer.report_id not in call.made:
        yield f"{answer.report_id} was accepted, but {call.made} was made"
    if call.made and not isinstance(answer, Accepted) and not (isinstance(answer, Broken) and answer.sent):
        yield f"{call.made} was made, but the answer says that nothing was: {answer}"
    yield from _refusals(call, answer)
    if (reply := _believable(call)) is not None:
        expected = _meant(reply, readable=reply.status in (200, 201) and _field(reply, "id") in call.made)
        expected = "Invalid" if reply.status == 400 else expected
        yield from _differs(reply, answer, expected, success="Accepted")


def _get(call: Call, answer: Any) -> Iterator[str]:
    if isinstance(answer, Status):
        url = answer.url.reveal() if answer.url else None
        said = [(_field(r, "status"), _field(r, "url")) for r in call.replies if r.status == 200 and _same(r, call)]
        if (answer.status, url) not in said:
            yield f"{answer.status} with {answer.url} was never said of {call.report}"
    if isinstance(answer, NotFound) and not any(r.status in (404, 410) for r in call.replies):
        yield "a 404 that nobody sent"
    yield from _refusals(call, answer)
    if (reply := _believable(call)) is not None:
        readable = reply.status == 200 and _same(reply, call) and isinstance(_field(reply, "status"), str)
        expected = "NotFound" if reply.status in (404, 410) else _meant(reply, readable=readable)
        if reply.kept and expected != "Throttled" and not reply.names(call.report):
            expected = "Broken"  # it could be meant for the question that was asked on that connection before
        yield from _differs(reply, answer, expected, success="Status")


def _refusals(call: Call, answer: Any) -> Iterator[str]:
    """What says "nothing was done" must have been said, by the right host and to this call."""
    statuses = {reply.status for reply in call.replies}
    if isinstance(answer, Throttled) and not statuses & {429, 503}:
        yield f"throttled by nobody: {answer}"
    if isinstance(answer, Denied) and answer.status not in statuses:
        yield f"refused by nobody: {answer}"
    if isinstance(answer, Invalid) and 400 not in statuses:
        yield f"a 400 from nobody: {answer}"
    if isinstance(answer, Broken) and not answer.sent and call.replies:
        yield f"sent, but told as not sent: {answer.detail}"
    if isinstance(answer, Broken) and answer.sent and not call.connects:
        yield f"told as sent, but nobody was connected to: {answer.detail}"


def _believable(call: Call) -> Reply | None:
    """The one reply that decides, if nothing on the wire has made another of it."""
    if len(call.replies) != 1:
        return None
    reply = call.replies[0]
    good_body = reply.status in (200, 201) and not bodiless(reply.status)
    return reply if reply.whole or (reply.head_whole and not good_body) else None


def _meant(reply: Reply, *, readable: bool) -> str:
    later = any(name.lower() == "retry-after" for name, _ in reply.headers)
    if reply.status == 429 or (reply.status == 503 and later):
        return "Throttled"
    if reply.status in (401, 403, 451):
        return "Denied"
    return "success" if readable else "Broken"


def _differs(reply: Reply, answer: Any, expected: str, *, success: str) -> Iterator[str]:
    expected = success if expected == "success" else expected
    if type(answer).__name__ != expected:
        yield f"a {reply.status} ({reply.kind}, {reply.fault}) means {expected}, told was {answer}"
    if isinstance(answer, Throttled) and reply.wait is not None and answer.wait != reply.wait:
        yield f"asked to wait for {reply.wait:g} s, told was {answer.wait}"
    if isinstance(answer, Broken) and answer.trusted == (300 <= reply.status < 400):
        yield f"a {reply.status} told as {'' if answer.trusted else 'not '}trusted"


def _field(reply: Reply, name: str) -> Any:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None


def _same(reply: Reply, call: Call) -> bool:
    """Whether the reply is about the report that was asked for, or does not say."""
    said = _field(reply, "id")
    return said is None or str(said).lower() == call.report.lower()


# --------------------------------------------------------------------------------------------------------------- files


def _fetch(call: Call, versions: list[bytes]) -> Iterator[str]:
    outcome = call.outcome
    if isinstance(outcome, tuple):
        digest, stored = outcome
        yield from _accepted(call, versions, digest, stored)
        return
    if not isinstance(outcome, FileRefused | FileBroken | ContentError):
        yield f"{outcome!r} came out"
        return
    statuses = {reply.status for reply in call.replies}
    if isinstance(outcome, FileRefused) and outcome.status not in statuses:
        yield f"refused by nobody: {outcome.status}"
    if isinstance(outcome, ContentError) and not call.replies:
        yield f"content of nobody: {outcome.message}"
    last = call.replies[-1] if call.replies else None
    died = last is not None and last.head_whole and 400 <= last.status < 500 and last.status not in (408, 416, 425, 429)
    if died and not isinstance(outcome, FileRefused):
        yield f"the URL has died, told was {outcome!r}"
    good = last is not None and last.whole and last.delimited and last.status == 200
    if good and not call.tainted:
        yield f"a whole file was not taken: {outcome}"


def _accepted(call: Call, versions: list[bytes], digest: Digest, stored: bytes) -> Iterator[str]:
    if stored not in versions:
        yield f"{len(stored)} bytes were accepted that no version of the file has"
    if digest.sha256 != hashlib.sha256(stored).hexdigest() or digest.bytes != len(stored):
        yield "the digest is not that of what was stored"
    if call.replies[-1].status == 200 and not call.replies[-1].delimited:
        yield "a body whose end can't be told from a cut was accepted"


def taints(replies: list[Reply]) -> bool:
    return any(fault in f"{reply.kind} {reply.fault}" for reply in replies for fault in _TAINTING)
