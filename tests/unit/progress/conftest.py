import time

import pytest

from orchestrator.engine.states import Failure, File, Part, Record, Report, State


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    """The same terminal and zone for everybody, whatever the machine says."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def record():
    def make(n, state, failure=None, created_at=None):
        coordinates = {"team": "support", "window": f"{2000 + n // 12}-{n % 12 + 1:02}"}
        told = Failure("export.failed", failure, "try a shorter window") if failure else None
        stored = File("r", 100, "0" * 64, 3, 0.0, partial=False, path="p") if state == "stored" else None
        reports = (Report("r", created_at),) if created_at is not None else ()
        part = Part(0, {}, state=State(state), failure=told, stored=stored, reports=reports)
        return Record(f"k1-{n:06}", coordinates, f"support/{n}.json", None, (0, 1), (part,))

    return make
