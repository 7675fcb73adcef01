"""`explain`, and the form in which errors are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_program import program

from orchestrator.cli import say
from orchestrator.cli.exits import ENDS
from orchestrator.codes.table import CODES
from orchestrator.errors import JobError, OrchestratorError, Problem, StorageError

PAGE = Path(__file__).parents[3] / "docs/errors.md"


def test_the_page_of_errors_is_current():
    ended = program("explain", "--markdown")
    assert ended.out == PAGE.read_text(encoding="utf-8"), "orchestrator explain --markdown > docs/errors.md"
    for code in CODES:
        assert f"### `{code}`" in ended.out


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_code_is_explained_within_80_columns(code):
    ended = program("explain", code.code)
    assert ended.status == 0
    words = " ".join(ended.out.split())
    for text in (code.code, code.means, *code.causes, *code.do):
        assert text in words
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    assert code.ends == "none" or f"exit {ENDS[code.ends]}" in words or f"exits {ENDS[code.ends]}" in words


def test_without_a_code_all_are_listed():
    ended = program("explain")
    assert [line.split()[0] for line in ended.out.splitlines() if line[:2] == "  " and line[2] != " "] == list(CODES)


def test_several_codes_and_groups_are_told_once_each_as_they_stand_in_errors():
    ended = program("explain", "[storage.full]", "journal", "storage.full", "--json")
    document = json.loads(ended.out)
    assert document["schema"] == "orchestrator.explain/1"
    told = [code["code"] for code in document["codes"]]
    assert told == ["storage.full", *(code for code in CODES if code.startswith("journal."))]
    assert document["codes"][0]["exit"] == 6
    assert document["codes"][0]["causes"] == list(CODES["storage.full"].causes)


def test_an_unknown_code_is_refused_with_a_guess():
    ended = program("explain", "storage.full", "storage.ful", "nonsense")
    assert ended.status == 2
    assert ended.out == ""
    assert "there is no code 'storage.ful' [explain.unknown]" in ended.err
    assert "did you mean storage.full" in ended.err
    assert "there is no code 'nonsense'" in ended.err


def test_an_error_is_told_with_place_cause_hint_and_where_there_is_more(capsys):
    say.errors(
        JobError(
            Problem(
                "two", code="job.invalid", file="a.yaml", line=3, column=4, key="b.c", hint="write one", cause="why"
            ),
            Problem("three", code="job.invalid", file="a.yaml"),
        )
    )
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3:4: error: b.c: two [job.invalid]",
        "  cause: why",
        "  hint: write one",
        "a.yaml: error: three [job.invalid]",
        "2 problems; nothing was contacted.",
        "More: orchestrator explain job.invalid",
    ]


def test_a_wrong_command_line_is_told_like_any_error():
    ended = program("run", "--dedline", "5m")
    assert ended.status == 2
    assert ended.err.splitlines() == [
        "error: No such option '--dedline'. Did you mean '--deadline'? [usage]",
        "  hint: `orchestrator run --help` lists what it takes",
    ]


def test_json_has_the_cause():
    error = StorageError("x: no permission", code="storage.permission", hint="h", cause="Permission denied (EACCES)")
    assert error.as_json() == {
        "code": "storage.permission",
        "message": "x: no permission",
        "cause": error.cause,
        "hint": "h",
    }
    assert OrchestratorError("x").as_json()["cause"] is None
