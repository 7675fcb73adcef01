"""Which facts are worth a word to people although they will be tried again. Pure."""

from __future__ import annotations

from orchestrator.engine.ports import Broken, Status
from orchestrator.engine.step import Asked, Fact, FetchBroke, FetchWrong, Live, Posted, UrlDied


def trouble(fact: Fact, before: Live, after: Live) -> tuple[str, str] | None:
    """Code and message of a fact that is worth a word to people although it will be tried again."""
    match fact:
        case Posted(Broken(detail)):
            return "api.create", f"creating the export: {detail}"
        case Asked(_, Broken(detail)):
            return "api.poll", f"asking for the export: {detail}"
        case Asked(_, Status(status)) if after.unknown_status != before.unknown_status:
            return "api.status", f"the service gives a status that its documentation does not name: {status}"
        case UrlDied(status):
            return "download.url", f"the signed URL has died (HTTP {status}); asking for a fresh one"
        case FetchBroke(detail):
            return "download.broken", f"downloading the file: {detail}"
        case FetchWrong(_, code, message):
            return code, message
        case _:
            return None
