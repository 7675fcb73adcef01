"""What the stories of level L3 are about: a small job, and how it and its service change.

A story begins at one of three *phases* of a small job, each a folder as an earlier, undisturbed run left it:

    begin    nothing is there; six exports, a 429, one that fails, one download that is cut
    change   two labels are swapped, one is renamed, one asks something else, one file was taken away
    recall   the state folder is gone, labels are swapped back, one export is new; a 429 to a poll
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.simulator.scenario import Scenario

RETRY_AFTER = 0.5
"""Seconds: long enough for another process to begin within them, if the machine is not too busy."""
CALM = {"duration": 0.08, "pending": 0.02, "rows": 4, "url_escapes": True}


def _nothing(_exports: Path) -> None:
    pass


def _take_a_file(exports: Path) -> None:
    (exports / "f" / "2020-01.json").unlink()


def _forget(exports: Path) -> None:
    shutil.rmtree(exports / ".orchestrator")


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    teams: Mapping[str, Any]
    faults: Sequence[Mapping[str, Any]]
    meddle: Callable[[Path], None] = _nothing


PHASES = {
    phase.name: phase
    for phase in (
        Phase(
            "begin",
            {label: f"id-{label}" for label in "abcdef"},
            (
                {"on": "create", "do": "status", "code": 429, "match": {"nth": 3}},
                {"on": "create", "do": "failed", "match": {"team": "id-c"}, "times": 1},
                {"on": "download", "do": "truncate", "match": {"team": "id-e"}, "times": 1},
            ),
        ),
        Phase(
            "change",
            {"b": "id-a", "a": "id-b", "renamed": "id-c", "d": ["id-d", "id-d2"], "e": "id-e", "f": "id-f"},
            ({"on": "download", "do": "truncate", "match": {"team": "id-d2"}, "times": 1},),
            _take_a_file,
        ),
        Phase(
            "recall",
            {"a": "id-a", "b": "id-b", "renamed": "id-c", "d": ["id-d", "id-d2"], "e": "id-e", "f": "id-f", "g": "id-g"},
            ({"on": "get", "do": "status", "code": 429, "match": {"nth": 1}},),
            _forget,
        ),
    )
}  # fmt: skip
JOURNAL_BEGINS = frozenset({"begin", "recall"})
"""Phases whose journal is a new one."""


def scenario(phase: Phase, retry_after: float) -> Scenario:
    faults = [fault | ({"retry_after": retry_after} if fault.get("code") == 429 else {}) for fault in phase.faults]
    return Scenario.model_validate(CALM | {"faults": faults})


def job_file(phase: Phase, base_url: str) -> str:
    job = {
        "version": 1,
        "name": "kills",
        "api": {"base_url": base_url, "token": "${LOOP_API_TOKEN}"},
        "matrix": {"team": dict(phase.teams), "window": {"every": "month", "from": "2020-01", "to": "2020-01"}},
        "limits": {"unfinished": 3, "requests_per_second": 400, "downloads": 2},
        "polling": {"policy": "backoff", "first": 0.05, "every": 0.05, "max": 0.2},
        "retry": {"base": 0.02, "max": 0.1},
        "output": {"to": "./exports", "path": "{team}/{window}.{ext}"},
    }
    return yaml.safe_dump(job, sort_keys=False)
