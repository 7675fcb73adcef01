"""The commands that `verify` suggests for what it found wrong: each picks what it should, as a shell reads it."""

import itertools
import shlex

import pytest
from cli_program import JOB

from orchestrator.cli.again import advice
from orchestrator.cli.options import Ask
from orchestrator.cli.task import load
from orchestrator.job.matrix import Selection

TEAMS = '"a, b": T1, "it\'s": T2, "[x]": T3, plain: T4'


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("support: T1, sales: [T2, T3]", TEAMS).replace("to: 2023-02", "to: 2023-04"))
    return load(str(path), Ask(), {}, 1_750_000_000.0)


def wrong(task, *places, seen=False):
    """Verify's results for exports by team and window."""
    by_place = {frozenset(dict(export.coordinates).values()): export for export in task.exports}
    return [{"key": by_place[frozenset(place)].key, "run_exports_again": seen} for place in places]


def picked(task, command):
    """Team and window of what a suggested command asks for."""
    words = shlex.split(command.partition("  (")[0])
    assert words[:6] == ["Next:", "orchestrator", "run", "a job.yaml", "--only", "all"]
    selection = Selection.parse([word for flag, word in itertools.pairwise(words) if flag == "--select"])
    cells = [dict(export.coordinates) for export in task.exports if selection.matches(export.coordinates)]
    return {(cell["team"], cell["window"]) for cell in cells}


@pytest.mark.parametrize("team", ["a, b", "it's", "[x]", "plain"])
def test_one_file_is_named_exactly_whatever_its_labels(task, team):
    _, command = advice(task, "a job.yaml", Ask(), wrong(task, (team, "2023-02")))
    assert picked(task, command) == {(team, "2023-02")}


def test_a_few_that_no_one_command_names_get_one_each(task):
    places = [("it's", "2023-01"), ("plain", "2023-04")]
    _, *commands = advice(task, "a job.yaml", Ask(), wrong(task, *places))
    assert [picked(task, command) for command in commands] == [{place} for place in places]


def test_a_few_that_one_command_names_get_one(task):
    places = [("it's", "2023-01"), ("it's", "2023-04"), ("plain", "2023-01"), ("plain", "2023-04")]
    _, command = advice(task, "a job.yaml", Ask(), wrong(task, *places))
    assert picked(task, command) == set(places)
    assert "too" not in command


def test_for_many_one_command_says_how_many_sound_ones_it_asks_for(task):
    places = [("it's", "2023-01"), ("it's", "2023-04"), ("plain", "2023-01"), ("plain", "2023-02")]
    _, command = advice(task, "a job.yaml", Ask(), wrong(task, *places))
    assert picked(task, command) > set(places)
    assert command.endswith("  (that asks for 2 sound files too)")


def test_what_a_run_sees_by_itself_needs_no_selection_and_options_are_said_again(task):
    ask = Ask(selects=("team=plain",), sets=("output.to=./else where",), state="st", only="failed")
    lines = list(advice(task, "job.yaml", ask, wrong(task, ("plain", "2023-01"), seen=True)))
    assert shlex.split(lines[1]) == shlex.split(
        "Next: orchestrator run job.yaml --select team=plain --set 'output.to=./else where' --state st"
    )
    (_, command) = advice(task, "job.yaml", ask, wrong(task, ("plain", "2023-01")))
    assert command.endswith("--set 'output.to=./else where' --state st")


def test_what_the_job_no_longer_names_is_said(task):
    lost = {"key": "k1-of-another-time", "run_exports_again": True}
    (line,) = advice(task, "job.yaml", Ask(), [lost])
    assert line.startswith("1 file of these the job no longer names")
