"""The table of exit statuses: the only place that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.codes.code import Ends
from orchestrator.errors import (
    JobError,
    JournalError,
    LeaseLostError,
    LockedError,
    OrchestratorError,
    RefusedError,
    StorageError,
    UnreachableError,
)

OK = 0
FAILED = 1
"""An export failed for good; a stored file is wrong or missing (`verify`)."""
WRONG = 2
"""The command line or the job file is wrong; nothing was contacted."""
PARKED = 3
REFUSED = 4
LOCKED = 5
STORAGE = 6
UNREACHABLE = 7
CHANGES = 10
"""`plan --detailed-exitcode`: there is something to do."""
BUG = 70
INTERRUPTED = 130

_OUTCOMES = {
    "succeeded": OK,
    "failed": FAILED,
    "parked": PARKED,
    "refused": REFUSED,
    "unreachable": UNREACHABLE,
    "storage": STORAGE,
    "bug": BUG,
}
_ERRORS: tuple[tuple[type[OrchestratorError], int], ...] = (
    (JobError, WRONG),
    (LockedError, LOCKED),
    (RefusedError, REFUSED),
    (UnreachableError, UNREACHABLE),
    (StorageError, STORAGE),
    (JournalError, STORAGE),
    (LeaseLostError, STORAGE),
)
_WRONG_CODES = frozenset({"journal.newer", "storage.manifest-newer"})
"""State that a newer version wrote: it is this program that is wrong for it, not the storage."""

ENDS: Mapping[Ends, int] = {
    "wrong": WRONG,
    "refused": REFUSED,
    "locked": LOCKED,
    "storage": STORAGE,
    "unreachable": UNREACHABLE,
    "bug": BUG,
    "export": FAILED,
}
"""The status to which a code leads, by how a run ends that meets it."""


def outcome_of(status: int) -> Any:
    """The outcome that a status stands for."""
    return next(outcome for outcome, stands in _OUTCOMES.items() if stands == status)


def of_report(report: dict[str, Any], *, interrupted: bool) -> int:
    """The status of a run that ended with `report`; `interrupted` by Ctrl-C."""
    outcome = report["outcome"]
    if interrupted and outcome != "bug" and report["counts"]["pending"]:
        return INTERRUPTED
    return _OUTCOMES[outcome]


def of_error(error: OrchestratorError) -> int:
    """The status of an error that ended a command before there was anything to report."""
    if error.code in _WRONG_CODES:
        return WRONG
    return next((status for kind, status in _ERRORS if isinstance(error, kind)), BUG)
