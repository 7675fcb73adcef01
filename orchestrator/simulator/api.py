"""The API host: create an export, get an export, as the service's public reference describes them."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web

from orchestrator.errors import JobError
from orchestrator.simulator.ledger import Entry, Poll, Post
from orchestrator.simulator.question import BadRequestError, read_question
from orchestrator.simulator.scenario import RateLimit, Scenario, parse_scenario
from orchestrator.simulator.signing import Signer
from orchestrator.simulator.spoil import spoil
from orchestrator.simulator.wire import Reply, error_reply, json_reply, outage_reply, request_url, send
from orchestrator.simulator.world import Fate, World

CREATE = "/api/v1/report/export"
GET = "/api/v1/report/exports/"
# Faults after which the export exists although the client was given no good answer.
_CREATING = {"reset_after", "delay", "wrong_status_text", "bad_json", "no_id", "unknown_status"}
_FATES: dict[str, Fate] = {"failed": "failed", "stuck": "stuck", "expire": "expire"}


class Api:
    """The handler of the API listener. `swap` puts another scenario in force."""

    def __init__(self, world: World, signer: Signer, files_url: str, swap: Callable[[Scenario], None]) -> None:
        self._world = world
        self._signer = signer
        self._files_url = files_url
        self._swap = swap

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, world = request.raw_path, self._world
        if path.startswith("/_sim/"):
            return await self._control(request)
        now = world.now()
        early = world.ledger.early(now)
        impersonate = request.headers.get("X-Impersonate-User")
        entry: Entry
        if path == CREATE and request.method == "POST":
            entry = post = Post(at=now, early=early, impersonate=impersonate)
            world.ledger.posts.append(post)
            raw = await request.read()
            reply = self._create(request, post, raw)
        elif path.startswith(GET) and request.method == "GET":
            entry = poll = Poll(at=now, early=early, export=path.removeprefix(GET), impersonate=impersonate)
            world.ledger.polls.append(poll)
            reply = self._get(request, poll)
        else:
            entry = Entry(at=now, early=early)
            world.ledger.strays.append(entry)
            known = path == CREATE or path.startswith(GET)
            reply = error_reply(405 if known else 404, "not_found", f"no such endpoint: {request.method} {path[:200]}")
        reply.delay += world.latency()
        return await send(world, request, reply, entry)

    def _create(self, request: web.BaseRequest, post: Post, raw: bytes) -> Reply:
        # Everything is decided here at once: a client that leaves before the answer has its export all the same.
        world = self._world
        try:
            post.body = json.loads(raw)
        except (ValueError, RecursionError):
            post.body = None
        token = _token(request)
        if refusal := self._refusal(post, token):
            return refusal
        if request.content_type != "application/json":
            return error_reply(415, "unsupported_media_type", "Content-Type: application/json is required")
        try:
            question = read_question(post.body)
        except BadRequestError as error:
            return error_reply(400, "validation_error", "the request is not valid", error.fields)
        if not world.has_room():
            return too_many(world.scenario.rate_limit, "too_many_unfinished")
        impersonate = post.impersonate
        subject = world.subject(question, impersonate)
        fault = world.rules.strike("create", question, subject=subject, impersonate=impersonate)
        post.fault = fault.do if fault is not None else None
        export_id = ""
        if fault is None or fault.created or fault.do in _CREATING or fault.do in _FATES:
            fate = _FATES.get(fault.do, "completed") if fault is not None else "completed"
            export_id = post.created = world.create(question, impersonate, token, fate).id
        reply = json_reply(world.scenario.created_status, {"id": export_id, "status": "Processing", "url": None})
        return spoil(reply, fault, url=request_url(request), export=export_id)

    def _get(self, request: web.BaseRequest, poll: Poll) -> Reply:
        world = self._world
        token = _token(request)
        if refusal := self._refusal(poll, token):
            return refusal
        export = world.exports.get(poll.export)
        if export is None or export.owner != token:
            return error_reply(404, "not_found", "no such report")
        poll.state = status = export.status(world.now())
        url = None
        if status == "Completed":
            expires = world.wall() + world.scenario.url_lifetime
            query = self._signer.query(export.file_id, expires, escapes=world.scenario.url_escapes)
            url = f"{self._files_url}/RF_{export.file_id}?{query}"
        fault = world.rules.strike(
            "get", export.question, subject=export.subject, impersonate=export.impersonate, status=status
        )
        poll.fault = fault.do if fault is not None else None
        reply = json_reply(200, {"id": export.id, "status": status, "url": url})
        return spoil(reply, fault, url=request_url(request), export=export.id)

    def _refusal(self, entry: Post | Poll, token: str) -> Reply | None:
        """What comes before the question itself: an outage, the token, the rate."""
        world = self._world
        entry.token_ok = world.accepts(token)
        if (outage := outage_reply(world, "api", entry)) is not None:
            return outage
        if not entry.token_ok:
            return error_reply(401, "unauthorized", "missing or wrong token")
        if not world.admit():
            return too_many(world.scenario.rate_limit, "rate_limited")
        return None

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        """`/_sim/…`: not part of the service, in no ledger, and no fault strikes it."""
        if request.method == "GET" and request.raw_path == "/_sim/stats":
            return web.json_response(self._world.ledger.as_json())
        if request.method == "POST" and request.raw_path == "/_sim/scenario":
            try:
                scenario = parse_scenario((await request.read()).decode("utf-8", "replace"))
            except JobError as error:
                return web.json_response({"errors": [problem.as_json() for problem in error.problems]}, status=400)
            self._swap(scenario)
            return web.json_response({"status": "swapped"})
        return web.json_response({"message": "GET /_sim/stats or POST /_sim/scenario"}, status=404)


def too_many(limit: RateLimit | None, code: str) -> Reply:
    """A 429. How long to wait is told as the rate limit has it; where there is none, one second."""
    reply = error_reply(429, code, "too many requests")
    if limit is None:
        reply.wait = (1, "seconds")
    elif limit.retry_after_form != "none":
        reply.wait = (limit.retry_after, limit.retry_after_form)
    return reply


def _token(request: web.BaseRequest) -> str:
    """The bearer token, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
