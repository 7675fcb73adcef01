"""Files that an option names to be written: none may be one that the job lives by."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import JobError, Problem, StorageError

if TYPE_CHECKING:
    from orchestrator.cli.task import Task


def refuse_loss(named: str, file: str | Path, job: str, task: Task | None) -> None:
    """Raises JobError if writing `file`, which the option or key `named` names, would destroy what is needed later.

    `job` is what the command was given, `task` what it read from it; None where that is only a run's report.
    """
    try:
        lost = _lost(Path(file), Path(job), task)
    except ValueError:
        return  # no path at all: whoever writes to it tells
    if lost is not None:
        problem = Problem(
            f"this would be written over {lost}",
            code="usage",
            file=f"{named} {file}",
            hint="name another file",
        )
        raise JobError(problem)


def _lost(file: Path, job: Path, task: Task | None) -> str | None:
    """What would be lost, or None."""
    from orchestrator.storage.manifest import NAME

    if task is not None and _same(file, task.file):
        return "the job file"
    if _same(file, job):
        return f"{job}, which is read"
    if task is None:
        return None
    if _same(file, task.root / NAME):
        return "the manifest"
    from orchestrator.cli.task import STATE

    real = Path(os.path.realpath(file))
    if any(real.is_relative_to(os.path.realpath(state)) for state in (task.state, task.root / STATE)):
        return "what the state folder keeps"
    root = os.path.realpath(task.root)
    if not real.is_relative_to(root):
        return None
    from orchestrator.job.paths import collision_key

    inside = collision_key(real.relative_to(root).as_posix())
    return "an export of this job" if any(collision_key(path) == inside for path in _exports(task)) else None


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)  # not there yet, or no longer


def _exports(task: Task) -> Iterator[str]:
    """The paths of all exports that the task or the manifest knows, relative to the output folder."""
    from orchestrator.storage import manifest

    for export in (*task.exports, *task.others):
        yield export.path
    # A manifest that can't be read is told by whoever works with it.
    with contextlib.suppress(OSError, StorageError):
        for entry in manifest.decode((task.root / manifest.NAME).read_bytes()).exports:
            yield entry["path"]
            yield from (part["path"] for part in entry["parts"] if "path" in part)
