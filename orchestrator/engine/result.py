"""What a run tells of itself in the end: the `orchestrator.run/1` report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.codes.table import CODES
from orchestrator.engine.history import History
from orchestrator.engine.lazy import Lazy
from orchestrator.engine.manifest import rfc3339
from orchestrator.engine.plan import Action, Item
from orchestrator.engine.ports import Found
from orchestrator.engine.states import Record, State
from orchestrator.errors import OrchestratorError

SCHEMA = "orchestrator.run/1"
Outcome = Literal["succeeded", "failed", "parked", "refused", "unreachable", "storage", "bug"]


@dataclass(slots=True)
class Figures:
    """What a run counts, for the report."""

    posts: int = 0
    polls: int = 0
    throttled: int = 0
    errors: int = 0
    posts_of: Mapping[str, int] = field(default_factory=dict)
    polls_of: Mapping[str, int] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    """Keys of the exports that this run stored."""
    history: History | None = None
    """None for a run that ended before it began."""
    found: Found = field(default_factory=Found)


def build(
    *,
    job: str | None,
    run_id: str | None,
    outcome: Callable[[Mapping[str, int]], Outcome],
    reason: str | None,
    error: OrchestratorError | None,
    resume_after: float | None = None,
    started_at: float,
    finished_at: float,
    items: Sequence[Item],
    records: Mapping[str, Record],
    figures: Figures,
    command: Literal["run", "submit", "collect"] = "run",
) -> dict[str, Any]:
    """The report as it is printed by `run --json` and kept with the job. Its `exports` are made as they are read: `records`
    must stay as they are.

    `outcome` judges by the counts; `job` and `run_id` are None for a run that ended before it began; `reason` tells in words why a run parked, `resume_after` before when the next one would park as well; `error` is what ended it early.
    """
    # What the job no longer names is told by the plan; a run speaks of it only if it collected it.
    told = [item for item in items if item.export is not None or _state(item, records, figures) == "stored"]
    states = [_state(item, records, figures) for item in told]
    counts = {state: states.count(state) for state in ("stored", "skipped", "failed", "pending")}
    stored = [
        file
        for item, state in zip(told, states, strict=True)
        if state == "stored"
        for file in records[item.key].stored or ()
    ]

    def export(n: int) -> Mapping[str, Any]:
        return _export(told[n], records.get(told[n].key), states[n], figures)

    how = outcome(counts)
    return {
        "schema": SCHEMA,
        "command": command,
        "job": job,
        "run_id": run_id,
        "outcome": how,
        "reason": reason,
        "error": error.as_json() if error is not None else None,
        "resume_after": None if resume_after is None or how != "parked" else rfc3339(resume_after),
        "started_at": rfc3339(started_at),
        "finished_at": rfc3339(finished_at),
        "counts": {"planned": len(told), **counts},
        "api": {
            "posts": figures.posts,
            "polls": figures.polls,
            "throttled": figures.throttled,
            "errors": figures.errors,
            # Not the run's own figure: whichever run left one, somebody has to look after it.
            "possible_duplicates": sum(part.doubtful for record in records.values() for part in record.parts),
        },
        # The limits as refusals have shown them, in this run or an earlier one.
        "found": {"requests_per_second": figures.found.per_second, "unfinished": figures.found.unfinished},
        "bytes": sum(file.bytes for file in stored),
        "rows": sum(file.rows or 0 for file in stored),
        "history": figures.history.buckets(finished_at) if figures.history is not None else [],
        "exports": Lazy(range(len(told)), export),
    }


def _state(item: Item, records: Mapping[str, Record], figures: Figures) -> str:
    record = records.get(item.key)
    if item.action in (Action.SKIP, Action.WAIT):
        return "skipped"
    if item.key in figures.stored:
        return "stored"
    if item.action is Action.REFUSED or (record is not None and record.state is State.FAILED):
        return "failed"
    if item.action is Action.MOVE and record is not None and record.path == item.path:
        return "skipped"
    return "pending"


def _export(item: Item, record: Record | None, state: str, figures: Figures) -> dict[str, Any]:
    parts = record.parts if record is not None else ()
    files = (record.stored or ()) if record is not None else ()
    failure = next((part.failure for part in parts if part.failure is not None), None)
    rows = [file.rows for file in files]
    return {
        "key": item.key,
        "coordinates": dict(item.coordinates),
        "state": state,
        "action": item.action.value,
        "reason": item.reason,
        "report_ids": [report.id for part in parts for report in part.reports] or [file.report_id for file in files],
        "path": item.path,
        "bytes": sum(file.bytes for file in files) if files else None,
        "sha256": files[0].sha256 if files else None,
        "rows": sum(row for row in rows if row is not None) if files and None not in rows else None,
        "partial": any(file.partial for file in files),
        "attempts": figures.posts_of.get(item.key, 0),
        "polls": figures.polls_of.get(item.key, 0),
        "possible_duplicates": sum(part.doubtful for part in parts),
        "timings": {
            name: rfc3339(moments[-1])
            if (moments := [at for part in parts if (at := getattr(part, name)) is not None])
            else None
            for name in ("submitted_at", "ready_at", "stored_at")
        },
        # Lists, as JSON has them: a report in memory is no other than one that is read back.
        "stages": [list(stage) for stage in figures.history.stages(item.key)] if figures.history is not None else [],
        "error": None
        if state != "failed" or failure is None
        else {
            "code": failure.code,
            "message": failure.message,
            # What the service said of it is in the message; what stands behind that, the code's table knows best.
            "cause": CODES[failure.code].usually if failure.code in CODES else None,
            "hint": failure.hint,
        },
    }
