"""How a run ended and what to do next, in the words of every summary and report. Pure; foreign text is left as it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.engine.events import NOT_CREATED
from orchestrator.progress.words import count, utc_of

_WHY = {
    "refused": "the service refused the account",
    "unreachable": "the service could not be reached or trusted",
    "storage": "the place for the files refused",
    "bug": "a bug of ours",
}
INVALID = "request.invalid"
_AGAIN = "run the same command again to go on; what is stored is not asked for anew."
_NEXT = {
    "failed": "see to what the hints say, then run the same command again: it tries the failed ones afresh.",
    "parked": _AGAIN,
    "refused": f"see to the account (token, rights, verification), then {_AGAIN}",
    "unreachable": f"see to the network, or wait until the service is back, then {_AGAIN}",
    "storage": f"make room or grant the permission, then {_AGAIN}",
    "bug": f"please report it; {_AGAIN}",
}
_SOME_REFUSED = (
    "see to what the hints say, and change what the job asks for where the service refused it; then run the same command again: "
    "it tries the others afresh."
)
_REFUSED = "change what the job asks for, then run the same command again."


def verdict(outcome: str, counts: Mapping[str, int]) -> str:
    """What became of a run. `counts` has `stored`, `renamed`, `failed` and `pending`, and 0 for what there is none of."""
    match outcome:
        case "succeeded" if counts["pending"]:  # only `submit` ends well with work left
            return f"submitted, {count(counts['pending'], 'export')} to be collected"
        case "succeeded" if counts["stored"] or counts["renamed"]:
            stored = f", {count(counts['stored'], 'export')} stored" if counts["stored"] else ""
            renamed = f", {count(counts['renamed'], 'file')} renamed" if counts["renamed"] else ""
            return f"done{stored}{renamed}"
        case "succeeded":
            return "nothing to do; every export is stored, or waits for its window to close"
        case "failed":
            return f"{count(counts['failed'], 'export')} failed"
        case "parked":
            return "parked before the end, nothing is lost"
        case "refused" | "unreachable" | "storage" | "bug":
            return "stopped, nothing is lost"
        case other:
            return other


def why(report: Mapping[str, Any]) -> str | None:
    """What ended the run early; None if nothing did."""
    error, outcome = report.get("error"), report["outcome"]
    if outcome == "succeeded":
        return None
    if not error:
        return _WHY.get(outcome) or report.get("reason")
    cause = f" (cause: {error['cause']})" if error.get("cause") else ""
    return f"{error['message']}{cause} [{error['code']}]"


def next_step(report: Mapping[str, Any], failures: Collection[str]) -> str | None:
    """What a person does next; None after a run that has done everything. `failures` are the codes of what failed."""
    error, outcome = report.get("error"), report["outcome"]
    if error and error["hint"]:
        return str(error["hint"])
    other = other_half(report)
    if other == "collect":
        return (
            "`collect`, or a whole `run`, brings home what is asked for; what Loop has finished expires after a while."
        )
    if other == "submit":
        return "`submit` creates it, or a whole `run` does all; what is stored is not asked for anew."
    if outcome == "parked" and (after := report.get("resume_after")):
        return f"after {utc_of(after)}, {_AGAIN}"  # any earlier it would park again
    if outcome == "failed" and INVALID in failures:  # such a request is not sent again as it is
        return _REFUSED if set(failures) == {INVALID} else _SOME_REFUSED
    return _NEXT.get(outcome)


def other_half(report: Mapping[str, Any]) -> str | None:
    """The command that goes on where a half of a run has ended; None where the same command would."""
    if report["outcome"] == "succeeded" and report["counts"]["pending"]:
        return "collect"
    return "submit" if report["outcome"] == "parked" and report.get("reason") == NOT_CREATED else None


def limits_found(report: Mapping[str, Any]) -> str | None:
    """The limits as refusals have shown them; None if none has."""
    found = report.get("found") or {}
    rate, cap = found.get("requests_per_second"), found.get("unfinished")
    pieces = [f"about {rate:.1f} requests a second"] if rate else []
    pieces += [f"about {count(cap, 'export')} unfinished at once"] if cap else []
    return ", ".join(pieces) or None
