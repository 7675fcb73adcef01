"""How much of a deadline is for what comes after a run."""

import time
from types import SimpleNamespace

import pytest

from orchestrator.cli import ending as module
from orchestrator.cli.ending import Ending
from orchestrator.cli.signals import SIGNALS
from orchestrator.job.model import Hooks, Metrics


def ending(tmp_path, *, until=None, environ=None, **hooks):
    task = SimpleNamespace(
        hooks=Hooks.model_validate(hooks),
        metrics=Metrics(),
        folder=tmp_path,
        file=tmp_path / "job.yaml",
        name="j",
        api=SimpleNamespace(token=SimpleNamespace(variable="T")),
    )
    return Ending(task, environ or {}, job="job.yaml", runner=None, metrics_file=None, until=until)


OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("hooks", "environ", "deadline", "reserved"),
    [
        ({}, {}, 3000, 0),
        ({"on_failure": "x"}, {}, 3000, 60),
        ({"on_failure": "x", "timeout": "5s"}, OTEL, 3000, 10),
        ({"on_failure": "x"}, {}, 100, 10),
        ({"timeout": "5m"}, OTEL, 3000, 5),
    ],
)
def test_a_run_gives_way_to_what_comes_after_it_but_not_for_more_than_a_tenth(
    tmp_path, hooks, environ, deadline, reserved
):
    assert ending(tmp_path, environ=environ, **hooks).reserved(deadline) == reserved


@pytest.mark.parametrize(
    ("left", "signal", "bounds"),
    [(None, None, (60, 60)), (20, None, (1, 19)), (-5, None, (0.1, 0.1)), (None, 15, (3, 3))],
)
def test_a_hook_gets_its_timeout_or_what_is_left(tmp_path, monkeypatch, left, signal, bounds):
    given = []
    monkeypatch.setattr(module.hooks, "call", lambda *_, seconds, **__: given.append(seconds))
    monkeypatch.setattr(SIGNALS, "first", signal)
    until = None if left is None else time.monotonic() + left
    report = {"outcome": "parked", "command": "run", "run_id": "r", "history": [], "exports": []}
    ending(tmp_path, until=until, on_parked="x").call(report, 3)
    (seconds,) = given
    assert bounds[0] <= seconds <= bounds[1]
