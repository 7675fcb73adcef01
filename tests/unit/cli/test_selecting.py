"""`--select`, `--from`, `--to`, `--set` and `--only` mean the same to every command that takes a job."""

import asyncio
import json

import pytest
from cli_program import JOB, program
from test_looking import store

COMMANDS = ("validate", "plan", "run", "submit", "collect", "status", "verify", "report")
LOOKING = ("plan", "status", "verify")


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("asked", "place", "told"),
    [
        (("--select", "team=suport"), "--select team=suport", "did you mean `support`? allowed: support, sales"),
        (("--select", "team!=s*"), "--select team!=s*", "allowed: support, sales"),
        (("--from", "2024-01"), "--from 2024-01", "there are 2, from 2023-01 to 2023-02"),
        (("--to", "2022-12"), "--to 2022-12", "there are 2, from 2023-01 to 2023-02"),
        (("--select", "window=2023-1"), "--select window=2023-1", "write 2023-01"),
        (
            ("--select", "team=sales", "--set", "matrix.team={support: T1}"),
            "--select team=sales",
            "allowed: support",
        ),
    ],
)
def test_a_selection_of_nothing_names_the_option_that_emptied_it(job, command, asked, place, told):
    ended = program(command, str(job), *asked)
    assert ended.status == 2
    assert f"{place}: error: nothing is selected: " in ended.err
    assert "[select.empty]" in ended.err
    assert told in " ".join(ended.err.split())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (("--select", "support"), "--select support"),
        (("--select", "teem=support"), "--select teem=support"),
        (("--select", "tag=x"), "--select tag=x"),
        (("--from", "2024-13"), "--from 2024-13"),
        (("--from", "2023-02", "--to", "2023-01"), "--from 2023-02 --to 2023-01"),
        (("--set", "limits"), "--set limits"),
    ],
)
def test_what_can_t_be_understood_is_refused_alike(job, command, asked, place):
    ended = program(command, str(job), *asked)
    assert ended.status == 2
    assert ended.err.startswith(f"{place}: error: ")
    assert "[select.invalid]" in ended.err


@pytest.fixture
def stored_job(job):
    """All four exports are stored, and only the journal knows."""
    exports = json.loads(program("plan", str(job), "--json").out)["exports"]
    asyncio.run(store(job.parent / "out", exports))
    return job


SELECTIONS = [
    ({}, {"2023-01 support", "2023-01 sales", "2023-02 support", "2023-02 sales"}),
    ({"select": "team=sup*"}, {"2023-01 support", "2023-02 support"}),
    ({"select": "team!=support"}, {"2023-01 sales", "2023-02 sales"}),
    ({"select": "window=2023-02"}, {"2023-02 support", "2023-02 sales"}),
    ({"from": "2023-02"}, {"2023-02 support", "2023-02 sales"}),
    ({"to": "2023-01-31", "select": "team=sales,support"}, {"2023-01 support", "2023-01 sales"}),
    ({"set": "matrix.window.to=2023-01"}, {"2023-01 support", "2023-01 sales"}),
]


@pytest.mark.parametrize("command", LOOKING)
@pytest.mark.parametrize(("asked", "selected"), SELECTIONS)
def test_a_selection_picks_the_same_by_option_and_by_variable(stored_job, command, asked, selected):
    options = [word for name, value in asked.items() for word in (f"--{name}", value)]
    variables = {f"ORCHESTRATOR_{command.upper()}_{name.upper()}": f"'{value}'" for name, value in asked.items()}
    variables |= {name: value.strip("'") for name, value in variables.items() if not name.endswith(("SELECT", "SET"))}
    for ended in (
        program(command, str(stored_job), *options, "--json"),
        program(command, str(stored_job), "--json", environ=variables),
    ):
        told = json.loads(ended.out)["exports"]
        in_job = [each for each in told if each.get("action") != "not_in_this_job"]
        if command == "verify" and "set" in asked:
            continue  # it reads every stored file, of today's job or not
        assert {" ".join(each["coordinates"].values()) for each in in_job} == selected


@pytest.mark.parametrize(
    ("asked", "exports", "counts"),
    [
        ((), 0, {}),
        (("--select", "team=support"), 2, {"stored": 2}),
        (("--from", "2023-02", "--select", "team=sales"), 3, {"stored": 3}),
    ],
)
def test_plan_tells_what_the_selection_leaves_out(stored_job, asked, exports, counts):
    told = json.loads(program("plan", str(stored_job), *asked, "--json").out)
    assert told["left_out"] == {"exports": exports, "counts": counts}
    people = " ".join(program("plan", str(stored_job), *asked).err.split())
    said = f"The selection leaves out {exports} of 4 exports: {exports} stored."
    assert (said in people) == bool(exports)


def test_plan_tells_of_what_is_not_stored_where_it_stands(job):
    told = json.loads(program("plan", str(job), "--select", "team=support", "--json").out)
    assert told["left_out"] == {"exports": 2, "counts": {"to_run": 2}}
    future = program("plan", str(job), "--set", "matrix.window.to=2093-01", "--to", "2023-02")
    assert "of 1,682 exports: " in future.err
    assert "not settled" in future.err


def test_only_failed_of_none_says_so(stored_job):
    ended = program("plan", str(stored_job), "--only", "failed")
    assert ended.status == 2
    assert "--only failed: error: nothing is selected: none of the 4 exports has failed [select.empty]" in ended.err


@pytest.mark.parametrize("command", ["plan", "run", "submit", "collect", "status", "verify"])
@pytest.mark.parametrize(
    "asked", [("--select", "team=support"), ("--from", "2023-01"), ("--set", "limits.unfinished=4")]
)
def test_a_frozen_plan_takes_none_of_them(job, command, asked):
    plan = job.with_name("plan.json")
    assert program("plan", str(job), "--out", str(plan)).status == 0
    ended = program(command, str(plan), *asked)
    assert ended.status == 2
    assert "[plan.frozen]" in ended.err
