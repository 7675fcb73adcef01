"""Logs that are set up only when there is something to log."""

import logging
import subprocess
import sys

import pytest

from orchestrator.cli.log_later import set_up_with_the_first_line


@pytest.fixture
def root():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def test_the_first_warning_sets_them_up_and_is_not_lost(root):
    kept, times = Kept(), []

    def configure():
        times.append(1)
        root.addHandler(kept)

    set_up_with_the_first_line(configure)
    logging.getLogger("aiohttp").info("of no interest")
    assert times == []
    logging.getLogger("asyncio").warning("one %s", "more")
    logging.getLogger("asyncio").error("another")
    assert (times, kept.lines) == ([1], ["one more", "another"])


def test_a_later_run_in_the_same_process_sets_up_its_own(root):
    first, second = [], []
    set_up_with_the_first_line(lambda: first.append(1))
    set_up_with_the_first_line(lambda: second.append(1))
    logging.getLogger("asyncio").warning("said")
    assert (first, second) == ([], [1])


def test_a_run_that_logs_nothing_does_without_structlog():
    code = "import sys, orchestrator.cli.session; print('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
