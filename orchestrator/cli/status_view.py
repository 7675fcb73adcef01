"""Where a job stands, as people read it: the grid, what failed and why, what is under way, how many, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from orchestrator.cli import say
from orchestrator.cli.styled import Stdout
from orchestrator.progress.cells import READY
from orchestrator.progress.failures import failures
from orchestrator.progress.grid import FAILED, IN_FLIGHT, NOT_SETTLED, REPLACE, STORED, TO_RUN, Grid, Mark, legend
from orchestrator.progress.words import count, label, moment_of, printable, span

LISTED = 12
"""Exports up to which a list tells more than a grid."""
HEIGHT = 40
"""Lines of a grid: what a screen shows, and a log can bear."""
UNDER_WAY = 10
"""Exports that are named one by one while they are under way."""

_STEPS = {
    "waiting": (TO_RUN, "to be created"),
    "creating": (IN_FLIGHT, "being created"),
    "generating": (IN_FLIGHT, "at Loop"),
    "ready": (READY, "ready, or downloading"),
    "verified": (READY, "downloaded, not yet in its place"),
}
ENDS = {
    "succeeded": "succeeded",
    "failed": "ended with failed exports",
    "parked": "was parked",
    "refused": "was refused by the service",
    "unreachable": "could not reach the service",
    "storage": "was refused by the storage",
    "bug": "met a bug",
}
_WORDS = {"failed": "failed", "pending": "unfinished", "new": "not begun"}


def show(document: Mapping[str, Any], command: str, *, now: float, unsettled: Collection[str]) -> None:
    """Where the job stands on stdout, what is said about it on stderr.

    `command` is what follows `orchestrator run` in a command that is suggested; `unsettled` are the keys of exports whose
    window has not ended.
    """
    stdout = Stdout()
    exports = document["exports"]
    if len(exports) > LISTED:
        stdout.print([*_grid(exports, stdout, unsettled), Text()])
    failed = [export for export in exports if export["state"] == "failed"]
    stdout.print(list(failures(failed, stdout.width, more="--only failed --json tells all of them")))
    begun = [export for export in exports if export["step"] in _STEPS and export["step"] != "waiting"]
    begun.sort(key=lambda export: export["since"] or "~")
    for line in say.table(
        [_under_way(export, now) for export in begun[:UNDER_WAY]], indent="  ", width=say.terminal_width()
    ):
        say.result(line)
    if len(begun) > UNDER_WAY:
        say.result(f"  … and {len(begun) - UNDER_WAY:,} more under way; --json tells all of them")
    say.result(_counts(document))
    replaced = [export for export in exports if _is_replaced(export)]
    if replaced:
        steps = Counter(_STEPS[export["step"]][1] for export in replaced)
        say.result(f"Stored, and being replaced: {', '.join(f'{n:,} {step}' for step, n in steps.items())}.")
    _about(document, command, replaces=bool(replaced), now=now)


def _is_replaced(export: Mapping[str, Any]) -> bool:
    """A newer export of the same question is under way, which takes the place of what is stored."""
    return export["state"] == "stored" and export["step"] in _STEPS


def _grid(exports: Sequence[Mapping[str, Any]], stdout: Stdout, unsettled: Collection[str]) -> list[Text]:
    marks = [_mark(export, unsettled) for export in exports]
    grid = Grid(export["coordinates"].items() for export in exports)
    lines = grid.lines(marks, stdout.width, HEIGHT, ascii_only=stdout.ascii_only)
    return [*lines, *legend(Counter(marks), stdout.width, ascii_only=stdout.ascii_only)]


def _mark(export: Mapping[str, Any], unsettled: Collection[str]) -> Mark:
    match export["state"]:
        case "stored" if not _is_replaced(export):
            return STORED
        case "stored" if export["step"] == "waiting":
            return REPLACE
        case "failed":
            return FAILED
        case "pending" | "stored":
            return _STEPS[export["step"]][0]
        case _:
            return NOT_SETTLED if export["key"] in unsettled else TO_RUN


def _under_way(export: Mapping[str, Any], now: float) -> tuple[str, ...]:
    age = ""
    if export["since"]:
        age = f" for {span(now - datetime.fromisoformat(export['since']).timestamp())}"
    return (
        label(export["coordinates"]),
        f"{_STEPS[export['step']][1]}{age}",
        printable(" ".join(export["report_ids"][-1:])),
    )


def _counts(document: Mapping[str, Any]) -> str:
    counts = document["counts"]
    words = [f"{counts['stored']:,} of {counts['planned']:,} exports stored"]
    words += [f"{counts[state]:,} {word}" for state, word in _WORDS.items() if counts[state]]
    return f"{document['job']}: {', '.join(words)}."


def _about(document: Mapping[str, Any], command: str, *, replaces: bool, now: float) -> None:
    counts, last = document["counts"], document["last_run"]
    if document["active_run"]:
        say.people(f"A run is active: {document['active_run']}.\nWatch it: orchestrator status {command} --watch")
    elif last:
        why = f": {last['reason']}" if last["reason"] else ""
        told = f"The last run {ENDS.get(str(last['outcome']), 'ended')} at {moment_of(last['finished_at'])}{why}."
        say.people(say.hanging(told, indent=0, hang=2))
    if document["cut_off_at"]:
        began = "A later run began" if last else "A run began"
        told = f"{began}, wrote its last at {moment_of(document['cut_off_at'])} and did not end in its own words (killed?)."
        say.people(say.hanging(told, indent=0, hang=2))
    if document["only_in_manifest"]:
        told = (
            f"The journal is gone, or knows nothing; manifest.json names {document['only_in_manifest']:,} stored files: "
            f"`orchestrator plan {command}` shows them, and a run goes on from there."
        )
        say.people(say.hanging(told, indent=0, hang=2))
    duplicates = document["possible_duplicates"]
    if duplicates:
        told = (
            f"{count(duplicates, 'possible duplicate')} on the service so far: creations that got no readable answer."
        )
        say.people(say.hanging(f"{told} The stored files are not affected.", indent=0, hang=2))
    if not document["active_run"] and (replaces or counts["stored"] < counts["planned"]):
        # What is half made needs no plan: a run goes on with it. What turned the last run away may still be there.
        turned_away = last and last["outcome"] in ("refused", "unreachable")
        step = "doctor" if turned_away else "run" if counts["pending"] or replaces else "plan"
        say.people(f"Next{_not_before(last, now)}: orchestrator {step} {command}")


def _not_before(last: Mapping[str, Any] | None, now: float) -> str:
    """While the pause lasts that the last run has parked for, the next one would park as well."""
    from orchestrator.engine.manifest import rfc3339

    after = last and last["resume_after"]
    return f", after {moment_of(after)}" if after and str(after) > rfc3339(now) else ""
