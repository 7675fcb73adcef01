"""Bulk exports from Loop: one YAML job file in, verified files and a manifest out.

    from orchestrator import run_job

    report = run_job("backfill.yaml", deadline="50m")
    print(report["outcome"], report["counts"])

The names below are the public API; everything else may change between versions. They are imported when they are first
asked for (PEP 562), so importing the package costs nothing. docs/library.md tells how to use them.

- a job: `run_job`, `run_job_async`, `plan_job`, `job_status`, `verify_job`, and the documents that they give: `RunReport`,
  `JobPlan`, `JobStatus`, `JobVerification`;
- what a job file says: `load_job`, `Job`, `expand`, `Export`, `Selection`;
- a local Loop API for tests: `Simulator`, `Scenario`;
- the errors, all of them `OrchestratorError`; a `JobError` has a `Problem` for each thing that is wrong.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.documents import JobPlan, JobStatus, JobVerification, RunReport
    from orchestrator.errors import (
        JobError,
        JournalError,
        LockedError,
        OrchestratorError,
        Problem,
        RefusedError,
        StorageError,
        UnreachableError,
    )
    from orchestrator.job.expand import Export, expand
    from orchestrator.job.loader import Job, load_job
    from orchestrator.job.matrix import Selection
    from orchestrator.library.calls import job_status, plan_job, run_job, run_job_async, verify_job
    from orchestrator.simulator.scenario import Scenario
    from orchestrator.simulator.server import Simulator
    from orchestrator.version import __version__

_HOMES = {
    "Export": "job.expand",
    "Job": "job.loader",
    "JobError": "errors",
    "JobPlan": "documents",
    "JobStatus": "documents",
    "JobVerification": "documents",
    "JournalError": "errors",
    "LockedError": "errors",
    "OrchestratorError": "errors",
    "Problem": "errors",
    "RefusedError": "errors",
    "RunReport": "documents",
    "Scenario": "simulator.scenario",
    "Selection": "job.matrix",
    "Simulator": "simulator.server",
    "StorageError": "errors",
    "UnreachableError": "errors",
    "__version__": "version",
    "expand": "job.expand",
    "job_status": "library.calls",
    "load_job": "job.loader",
    "plan_job": "library.calls",
    "run_job": "library.calls",
    "run_job_async": "library.calls",
    "verify_job": "library.calls",
}

__all__ = [
    "Export",
    "Job",
    "JobError",
    "JobPlan",
    "JobStatus",
    "JobVerification",
    "JournalError",
    "LockedError",
    "OrchestratorError",
    "Problem",
    "RefusedError",
    "RunReport",
    "Scenario",
    "Selection",
    "Simulator",
    "StorageError",
    "UnreachableError",
    "__version__",
    "expand",
    "job_status",
    "load_job",
    "plan_job",
    "run_job",
    "run_job_async",
    "verify_job",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
