"""The terminal that the display's benchmark looks at, and the program that meters the display."""

import os
import sys

import pytest

from benchmarks.display import COLUMNS, PROGRAM, ROWS, terminal
from benchmarks.measure import measured


def test_all_that_is_written_to_the_terminal_is_there_when_it_is_over():
    with terminal() as (there, theirs):
        assert os.get_terminal_size(theirs) == (COLUMNS, ROWS)
        os.write(theirs, b"x" * 100_000)
    assert there.seen == b"x" * 100_000


def test_a_program_that_draws_nothing_spends_nothing_on_it(tmp_path):
    cost = measured([sys.executable, PROGRAM, tmp_path / "spent", "--version"], tmp_path)
    assert "orchestrator" in cost.output
    assert (tmp_path / "spent").read_text() == "0.0"


@pytest.mark.parametrize("ours", [True, False])
def test_words_for_people_go_where_they_are_wanted(tmp_path, ours):
    program = [sys.executable, "-c", "import sys; print('said', file=sys.stderr)"]
    other = tmp_path / "other.log"
    with other.open("wb") as file:
        measured(program, tmp_path, stderr=file.fileno() if ours else None)
    assert (other.read_text(), (tmp_path / "err.log").read_text()) == (("said\n", "") if ours else ("", "said\n"))
