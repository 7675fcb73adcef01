"""Which command brings stored files again that `verify` found wrong or gone: text that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli import say
from orchestrator.errors import JobError
from orchestrator.progress.words import count

if TYPE_CHECKING:
    from orchestrator.cli.options import Ask
    from orchestrator.cli.task import Task
    from orchestrator.job.expand import Export

FEW = 3
"""Files that get a command each, where one command would ask for others too."""


def advice(task: Task, job: str, ask: Ask, bad: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines for people. `bad` are verify's results that are not equal, `ask` what it was asked about `job`."""
    exports = {export.key: export for export in task.exports}
    ours = [result for result in bad if result["key"] in exports]
    unnoticed = [exports[result["key"]] for result in ours if not result["run_exports_again"]]
    noticed = len(ours) - len(unnoticed)
    if noticed:
        yield _told(f"A run exports again what it sees to be gone or changed ({count(noticed, 'file')}).")
        yield f"Next: orchestrator run {shlex.quote(job)}{replace(ask, only=None).typed}"
    if unnoticed:
        size_alike = count(len(unnoticed), "file")
        yield _told(f"What is wrong and has its size still ({size_alike}) is exported again if a run is told so.")
        # A frozen plan takes no options.
        file = str(task.file) if task.named is None else job
        yield from (f"Next: {command}" for command in _named(task.exports, unnoticed, file, ask))
    if len(ours) < len(bad):
        lost = count(len(bad) - len(ours), "file")
        yield _told(f"{lost} of these the job no longer names: a run brings them again only if the job file does.")


def _told(text: str) -> str:
    return say.hanging(text, indent=0, hang=2)


def _named(exports: Sequence[Export], wanted: Sequence[Export], job: str, ask: Ask) -> Iterator[str]:
    picks = _picks(wanted)
    also = _picked(exports, picks) - len(wanted)
    if also and len(wanted) <= FEW:
        for export in wanted:
            yield from _named(exports, [export], job, ask) if len(wanted) > 1 else [_all(job, ask, picks)]
    else:
        yield _all(job, ask, picks) + (f"  (that asks for {count(also, 'sound file')} too)" if also > 0 else "")


def _picks(wanted: Sequence[Export]) -> tuple[str, ...]:
    labels: dict[str, dict[str, None]] = {}
    for export in wanted:
        for axis, label in export.coordinates:
            labels.setdefault(axis, {})[label.replace(",", "?")] = None  # a comma would part two patterns
    return tuple(f"{axis}={','.join(found)}" for axis, found in labels.items())


def _picked(exports: Sequence[Export], picks: Sequence[str]) -> int:
    from orchestrator.job.matrix import Selection

    try:
        selection = Selection.parse(picks)
    except JobError:
        return 0
    return sum(selection.matches(export.coordinates) for export in exports)


def _all(job: str, ask: Ask, picks: tuple[str, ...]) -> str:
    told = replace(ask, selects=picks, first=None, last=None, only=None).typed
    return f"orchestrator run {shlex.quote(job)} --only all{told}"
