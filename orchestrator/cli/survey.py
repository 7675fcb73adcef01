"""All that `plan` tells: what is to be done, what a selection leaves out, and what it will take. Nobody is contacted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli import say
from orchestrator.cli.wiring import Tell, look
from orchestrator.engine import plan
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.forecast import Forecast, Range, forecast
from orchestrator.engine.manifest import rfc3339
from orchestrator.engine.plan import Action, Item
from orchestrator.engine.states import Record, State
from orchestrator.errors import JournalError
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.reader import read_account
from orchestrator.progress import grid
from orchestrator.progress.grid import Mark

if TYPE_CHECKING:
    from orchestrator.cli.task import Task


@dataclass(frozen=True, slots=True)
class Survey:
    at: float
    """When it was made, in seconds since the epoch."""
    items: list[Item]
    marks: list[Mark]
    """One for each item."""
    left_out: Mapping[Mark, int]
    """What `--select`, `--from`, `--to` and `--only` leave out of the job, by where it stands."""
    forecast: Forecast | None
    """None if there is nothing to do that the service would notice."""
    paused_until: float
    """Until when the service has asked for silence, in seconds since the epoch; 0 if it has not."""

    def parks_until(self, longest_pause: float) -> float | None:
        """Until when a run would park at once, as it would not wait for so long; None if it would not park."""
        return self.paused_until if self.paused_until - self.at > longest_pause else None

    @property
    def has_work(self) -> bool:
        """A run has something to do."""
        return any(item.has_work for item in self.items)


async def survey(task: Task, now: float, *, tell: Tell = say.people, adopt: bool = False) -> Survey:
    """Raises JobError if nothing is selected, and what reading journal and manifest raises."""
    memory, items = await look(task, now, tell=tell, adopt=adopt)
    records = memory.records
    account = JournalAccount(_Kept(_account(task)), SystemClock())
    taken = {item.key for item in items}
    others = [export for export in (*task.exports, *task.others) if export.key not in taken]
    left_out = plan.make(
        others,
        records,
        memory.sizes,
        now=now,
        options=replace(task.options, only="missing"),
        changed=memory.changed,
    )
    return Survey(
        now,
        items,
        [mark_of(item, records.get(item.key)) for item in items],
        Counter(mark_of(item, records.get(item.key)) for item in left_out),
        forecast(items, records, policy=task.policy(), lessons=await account.lessons(), found=await account.found()),
        await account.paused_until(),
    )


def _account(task: Task) -> dict[str, Any]:
    try:
        return read_account(task.state)
    except JournalError:
        return {}  # what is wrong with the journal has been told; a plan can do without a forecast's grounds


class _Kept:
    """Values of an account that are only read."""

    def __init__(self, account: dict[str, Any]) -> None:
        self.account = account

    async def remember(self, name: str, value: Any) -> None:
        """A look changes nothing."""

    def note(self, name: str, value: Any) -> None:
        """A look changes nothing."""


_UNDER_WAY = frozenset({State.CREATING, State.GENERATING, State.READY, State.VERIFIED})


def mark_of(item: Item, record: Record | None) -> Mark:
    """What the grid shows of a planned export."""
    if record is not None and item.action in (Action.RUN, Action.REPLACE):
        if record.state in _UNDER_WAY:
            return grid.IN_FLIGHT
        if record.state is State.FAILED:
            return grid.FAILED
    return _MARKS[item.action]


_MARKS = {
    Action.RUN: grid.TO_RUN,
    Action.REPLACE: grid.REPLACE,
    Action.MOVE: grid.RENAME,
    Action.WAIT: grid.NOT_SETTLED,
    Action.SKIP: grid.STORED,
    Action.REFUSED: grid.REFUSED,
    Action.LEFT_OVER: grid.IN_FLIGHT,
    Action.NOT_IN_JOB: grid.STORED,
}


# ------------------------------------------------------------------------------------------------------ as documents


def left_out_document(told: Survey) -> dict[str, Any]:
    """How many exports of the job are left out, and how many of each kind."""
    counts = {mark.word.replace(" ", "_"): n for mark, n in told.left_out.items()}
    return {"exports": sum(counts.values()), "counts": counts}


def forecast_document(told: Survey) -> dict[str, Any] | None:
    found = told.forecast
    if found is None:
        return None
    return {
        "posts": found.posts,
        "collected": found.collected,
        "polls": _rounded(found.polls),
        "requests": _rounded(found.requests),
        "seconds": _rounded(found.seconds),
        "bytes": _rounded(found.bytes) if found.bytes else None,
        "paused_until": rfc3339(told.paused_until) if told.paused_until else None,
        "rests_on": {
            "durations_of": found.lessons,
            "same_length_of_window": found.same_length,
            "sizes_of": found.files,
            "limits": found.limits,
        },
    }


def _rounded(found: Range) -> dict[str, int]:
    return {"low": round(found.low), "high": round(found.high)}
