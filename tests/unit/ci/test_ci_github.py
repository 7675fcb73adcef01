"""What GitHub is told of a run, byte by byte as its runner reads it."""

import re
from pathlib import Path

import pytest
from run_records import export, failed, record

from orchestrator.ci import github
from orchestrator.errors import Problem


def unescaped(text, properties=False):
    """As GitHub's runner reads it."""
    for escape, char in [("%3A", ":"), ("%2C", ",")] if properties else []:
        text = text.replace(escape, char)
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def parsed(command):
    """Level, properties and message of a workflow command; an AssertionError if the line is none, or more than one."""
    assert "\n" not in command
    assert "\r" not in command
    level, properties, message = re.fullmatch(r"::([a-z]+) ([^:]*)::(.*)", command).groups()
    pairs = [pair.partition("=") for pair in properties.split(",")]
    return level, {name: unescaped(value, properties=True) for name, _, value in pairs}, unescaped(message)


def test_whatever_stands_in_an_annotation_is_read_back_as_it_was():
    odd = "50%, a:b::c,d=e%0A"
    told = github.Annotation("error", odd, f"{odd}\nhint: x", "a,b:c.yaml", 3, 4)
    assert parsed(told.command()) == (
        "error",
        {"file": "a,b:c.yaml", "line": "3", "col": "4", "title": odd},
        f"{odd}\nhint: x",
    )


def test_nothing_foreign_begins_a_command_of_its_own():
    told = github.Annotation("error", "t", "x\r\n::add-mask::e\u2028::stop-commands::y", None).command()
    assert told.splitlines() == [told]


def test_every_text_of_an_annotation_is_cleaned():
    told = github.Annotation("notice", "a secret", "the secret\nsecret", "secret.yaml")
    assert "secret" not in told.command(lambda text: text.replace("secret", "***"))


def test_exports_that_failed_for_one_reason_share_an_annotation():
    exports = [failed(f"2025-{n:02}", "the service says no", hint="ask otherwise") for n in range(1, 13)]
    told = github.of_record(record(outcome="failed", exports=exports), "jobs/job.yaml")
    (only,) = told
    assert only.file == "jobs/job.yaml"
    assert only.title == "request.invalid"
    assert only.message == (
        "2025-01, 2025-02, 2025-03, 2025-04, 2025-05 and 7 more: the service says no\nhint: ask otherwise"
    )


def test_of_more_than_ten_errors_the_tenth_says_how_many_are_left():
    exports = [failed(str(n), f"reason {n}") for n in range(14)]
    told = github.of_record(record(outcome="failed", exports=exports), None)
    assert len(told) == 10
    assert "and 5 more reasons" in told[-1].message
    problems = [Problem(f"wrong {n}") for n in range(10)]
    assert len(github.of_problems(problems, lambda _: None)) == 10
    assert "more" not in github.of_problems(problems, lambda _: None)[-1].title


def test_a_parked_run_is_a_notice_and_possible_duplicates_a_warning():
    api = record()["api"] | {"possible_duplicates": 2}
    told = github.of_record(record(outcome="parked", reason="the deadline came", api=api), None)
    assert [each.level for each in told] == ["warning", "notice"]
    assert "2" in told[0].message
    assert told[1].message.startswith("the deadline came. Pending: 1.")


def test_what_stopped_a_run_comes_before_its_failures():
    error = {"code": "storage.full", "message": "no room", "cause": "ENOSPC", "hint": "make room"}
    told = github.of_record(record(outcome="storage", error=error, exports=[failed("a", "x")]), None)
    assert [each.title for each in told] == ["storage.full", "request.invalid"]
    assert told[0].message == "no room\ncause: ENOSPC\nhint: make room"
    assert github.of_record(record(outcome="bug"), None)[0].level == "error"


def test_a_run_that_went_well_annotates_nothing():
    assert github.of_record(record(exports=[export("stored", "a"), export("skipped", "b")]), "job.yaml") == []


def test_a_file_is_named_from_the_root_of_the_repository(tmp_path):
    (tmp_path / "repo/jobs").mkdir(parents=True)
    job = tmp_path / "repo/jobs/job.yaml"
    job.write_text("")
    where = github.in_repository(str(tmp_path / "repo"))
    assert where(str(job)) == "jobs/job.yaml"
    assert where(str(tmp_path / "elsewhere.yaml")) is None
    assert where("--set limits") is None
    assert github.in_repository(None)(str(job)) is None


def test_a_problem_elsewhere_tells_its_place_in_words():
    problem = Problem("two is due", file="/etc/job.yaml", line=3, column=7, key="version")
    (told,) = github.of_problems([problem], lambda _: None)
    assert told.message == "/etc/job.yaml:3:7: version: two is due"
    assert (told.file, told.line, told.column) == (None, None, None)


def test_outputs_of_several_lines_can_not_be_left():
    text = github.outputs({"a": "1\n2", "b": "b<<EOF\nx\nEOF"}, "end-42")
    read = dict(re.findall(r"(?ms)^(\w+)<<end-42\n(.*?)\nend-42$", text))
    assert read == {"a": "1\n2", "b": "b<<EOF\nx\nEOF"}


@pytest.mark.parametrize("message", ["a ``` b", "`````", "<script>", "# head\n- list"])
def test_nothing_ends_the_block_of_a_summary(message):
    text = github.summary_of_problems([Problem(message, hint="h")])
    fence = re.search(r"^(`{3,})text$", text, re.MULTILINE)[1]
    inside = text.split(f"{fence}text\n")[1].split(f"\n{fence}\n")
    assert inside[1] == ""
    assert fence not in inside[0]


def test_a_run_that_never_began_gives_outputs_too():
    assert github.fields(record(run_id=None), 4, "")["run-id"] == ""
    assert set(github.fields(record(), 0, str(Path("m")))) == {
        "outcome", "exit-code", "run-id", "stored", "skipped", "failed", "pending", "possible-duplicates", "manifest",
    }  # fmt: skip
