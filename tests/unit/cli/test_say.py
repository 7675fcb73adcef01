"""Tables and warnings as people read them."""

from rich.cells import cell_len

from orchestrator.cli import say
from orchestrator.errors import JournalError

REASON = "stored before, and exported again because the time zone of the job has changed since then"


def test_columns_stand_by_cells_not_by_characters():
    lines = say.table([("run", "支援 2024-01", "new"), ("skipped", "sales 2024-01", "stored")])
    assert [cell_len(line.partition(word)[0]) for line, word in zip(lines, ("new", "stored"), strict=True)] == [24, 24]


def test_the_last_column_is_wrapped_to_a_terminal_and_is_one_line_elsewhere():
    rows = [("replace", "support 2024-01", REASON), ("run", "sales 2024-01", "")]
    assert say.table(rows)[0] == f"replace  support 2024-01  {REASON}"
    first, second, third, last = say.table(rows, indent=" ", width=60)
    assert all(len(line) <= 60 for line in (first, second, third))
    assert first.startswith(" replace  support 2024-01  stored before")
    assert (second[:27], third[:27]) == (" " * 27, " " * 27)
    assert last == " run      sales 2024-01"


def test_no_rows_make_no_lines():
    assert say.table([]) == []


def test_a_warning_reads_like_an_error_and_is_wrapped():
    told = say.as_warning(
        JournalError("it is damaged", code="journal.damaged", cause="no database", hint="run it " * 20)
    )
    first, *more = told.splitlines()
    assert first == "warning: it is damaged [journal.damaged]"
    assert more[0] == "  cause: no database"
    assert all(len(line) <= 80 for line in more)


def test_a_command_is_not_broken_between_lines():
    command = "`orchestrator run 'a job.yaml' --select team=support --only all`"
    told = say.hanging(f"hint: the files can be had again in this way: {command}, and so on", indent=2, hang=6)
    assert command in told
    assert "the files can be had again" in told.splitlines()[0]
