"""Bulk exports from Loop: one YAML job file in, verified files and a manifest out.

The names below are the public API; everything else may change between versions. They are imported when they are first
asked for (PEP 562), so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.errors import JobError, LockedError, OrchestratorError, Problem, StorageError
    from orchestrator.job.expand import Export, expand
    from orchestrator.job.loader import Job, load_job
    from orchestrator.job.matrix import Selection
    from orchestrator.simulator.scenario import Scenario
    from orchestrator.simulator.server import Simulator
    from orchestrator.version import __version__

_HOMES = {
    "Export": "job.expand",
    "Job": "job.loader",
    "JobError": "errors",
    "LockedError": "errors",
    "OrchestratorError": "errors",
    "Problem": "errors",
    "Scenario": "simulator.scenario",
    "Selection": "job.matrix",
    "Simulator": "simulator.server",
    "StorageError": "errors",
    "__version__": "version",
    "expand": "job.expand",
    "load_job": "job.loader",
}

__all__ = [
    "Export",
    "Job",
    "JobError",
    "LockedError",
    "OrchestratorError",
    "Problem",
    "Scenario",
    "Selection",
    "Simulator",
    "StorageError",
    "__version__",
    "expand",
    "load_job",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
