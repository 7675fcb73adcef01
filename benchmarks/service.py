"""The simulated service in a process of its own, and what it knows afterwards."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.simulator.chance import chance
from orchestrator.simulator.question import read_question
from orchestrator.simulator.scenario import Scenario


@contextlib.contextmanager
def service(folder: Path, scenario: Mapping[str, Any]) -> Iterator[str]:
    """`orchestrator simulate` with this scenario; gives its base URL. Whoever leaves the block ends the process."""
    path = folder / "scenario.yaml"
    path.write_text(json.dumps(scenario), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "orchestrator", "simulate", "--port", "0", "--scenario", str(path)]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            sys.exit(f"the simulated service did not start:\n{(folder / 'service.log').read_text()}")
        yield url
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def stats(url: str) -> dict[str, Any]:
    """What the service was asked: its `/_sim/stats`."""
    with urllib.request.urlopen(f"{url}/_sim/stats") as answer:  # noqa: S310 - our own service, on loopback
        found: dict[str, Any] = json.load(answer)
    return found


@dataclass(frozen=True, slots=True)
class Life:
    """An export as the service saw it. Times are seconds since the first request to create one arrived."""

    posted: float
    finished: float
    noticed: float
    """The first poll arrived that was told so."""
    fetched: float
    """The last byte of its file was handed to the network."""
    polls: int

    @property
    def duration(self) -> float:
        return self.finished - self.posted


def lives(told: Mapping[str, Any], scenario: Mapping[str, Any]) -> list[Life]:
    """The exports that were created and fetched, in the order of their creation.

    How long each took is drawn anew, as the service drew it: `World.create` names the draws.
    """
    model = Scenario.model_validate(scenario)
    polls: Counter[str] = Counter(poll["export"] for poll in told["polls"] if poll["status"] == 200)
    noticed: dict[str, float] = {}
    for poll in told["polls"]:
        if poll["status"] == 200 and poll["state"] == "Completed":
            noticed.setdefault(poll["export"], poll["at"])
    fetched = {download["export"]: download["ended"] for download in told["downloads"] if download["ended"] is not None}
    began = min(post["at"] for post in told["posts"])
    found, creations = [], Counter[str]()
    for post in told["posts"]:
        if post["created"] is None:
            continue
        subject = f"{read_question(post['body']).name} {post['impersonate'] or ''}"
        creations[subject] += 1
        subject = f"{subject} {creations[subject]}"
        taken = model.pending.seconds(chance(model.seed, "pending", subject))
        taken += model.duration.seconds(chance(model.seed, "duration", subject))
        export, posted = post["created"], post["at"] - began
        if export in noticed and export in fetched:
            times = (posted, posted + taken, noticed[export] - began, fetched[export] - began)
            found.append(Life(*times, polls[export]))
    return found
