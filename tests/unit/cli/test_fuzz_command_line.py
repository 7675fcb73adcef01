"""Whatever stands in a job file, an option or a variable: a command does its work or says in one line what is wrong, exit 2."""

import json
import re

import pytest
from cli_program import JOB, program
from fuzzing import costly
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import JobError
from orchestrator.job.matrix import Selection

LABELS = ["2023-01", "2023-02"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    path = tmp_path_factory.mktemp("command-line") / "job.yaml"
    path.write_text(JOB)
    return str(path)


# -------------------------------------------------------------------------------------------------------- job files

LINES = JOB.splitlines(keepends=True)
SCRAPS = st.sampled_from(
    ["x", ":", "- ", "[", "]", "{", "}", '"', "'", "\t", "\n", "#", "&a ", "*a ", "!!int ", "${X}", "2024", "..", "é", "\0", "%", "|", "team", "~/"]
) | st.text(max_size=4)  # fmt: skip


@st.composite
def edited(draw):
    """The job file after some keystrokes."""
    text = JOB
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(("type", "delete", "line"))):
            case "type":
                text = text[:at] + draw(SCRAPS) + text[at:]
            case "delete":
                text = text[:at] + text[at + draw(st.integers(1, 8)) :]
            case _:
                line = draw(st.sampled_from(LINES))
                text = text.replace(line, "", 1) if line in text else text + line
    return text


@costly
@given(edited())
@example(JOB.replace("./out", "~nobody-here/x"))
@example(JOB.replace("./out", "x" * 300))
def test_a_job_file_with_slips_is_planned_or_refused_with_their_places(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "slips.yaml"
    path.write_bytes(text.encode())
    validated, planned, told = (
        program("validate", str(path)),
        program("plan", str(path)),
        program("plan", str(path), "--json"),
    )
    assert told.status == planned.status in (0, 2, 6), planned.err
    assert validated.status == planned.status, "validate refuses everything that plan would refuse"
    if planned.status == 2:
        errors = json.loads(told.out)["errors"]
        for error in errors:
            assert error["file"] == str(path)
            assert error["line"] is None or f"{path}:{error['line']}:{error['column']}" in planned.err
        assert any(error["line"] for error in errors) or re.search("empty|not UTF-8", planned.err)


# ------------------------------------------------------------------------------------------------- options, variables

OPTIONS = ("DEADLINE", "SELECT", "FROM", "TO", "SET", "STATE", "MAX_EXPORTS", "ONLY", "LOG_FORMAT", "QUIET", "VERBOSE", "JSON", "FAIL_FAST",
           "NO_PROGRESS", "ADOPT", "")  # fmt: skip
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["1", "0", "true", "no", "50m", "1h1h", "-1", "1e9", "99999999999999999999", "nan", "team=support", "team=s*", "window=2023-01..", "'", '"', "\\",
     "a=b 'c", "team!=x", "=", "limits.unfinished=4", "output.to=~nobody-here", "output.to=/proc/x", "a.b.c=[", "api.token=x", "missing", "json",
     "~nobody-here/x", "/dev/null", "/dev/null/x", "x" * 5000, "/" + "x" * 300, "\udcff", ".", "2023-02", "2023-13", "2023-1"]
)  # fmt: skip


@costly
@given(st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=4))
@example({"STATE": "~nobody-here/x"})
@example({"STATE": "/" + "x" * 300})
@example({"SET": "output.to=" + "x" * 300})
def test_whatever_the_variables_say_a_command_does_its_work_or_refuses(job, tmp_path_factory, given_values):
    environ = {
        f"ORCHESTRATOR_{command}_{name}": value for name, value in given_values.items() for command in ("PLAN", "RUN")
    }
    planned, run = program("plan", job, environ=environ), program("run", job, environ=environ)
    assert planned.status in (0, 2, 6), planned.err
    assert run.status in (2, 6), run.err  # there is no token
    for ended in (planned, run):
        assert "Traceback" not in ended.err
        assert ended.status == 0 or ended.err or ended.out


# ---------------------------------------------------------------------------------------------------------- patterns

PATTERNS = st.text(max_size=12) | st.lists(
    st.sampled_from(["team", "window", "tag", "=", "!=", "*", "?", "[", "]", "[!", "..", ",", "s", "2023", "-01", "-W05", "-Q1", "-", "\\", "(", " ", "é"]),
    max_size=8,
).map("".join)  # fmt: skip


@given(st.lists(PATTERNS, max_size=3), st.none() | PATTERNS, st.none() | PATTERNS)
def test_a_selection_picks_or_is_refused_and_its_opposite_picks_the_rest(selects, first, last):
    try:
        selection = Selection.parse(selects, first, last)
    except JobError as error:
        assert all(problem.message and problem.file for problem in error.problems)
        return
    if selection.unknown_axes(("window", "team")):
        return
    cells = [(("window", label), ("team", team)) for label in LABELS for team in ("support", "sales")]
    picked = [cell for cell in cells if selection.matches(cell)]
    if len(selects) == 1 and not first and not last and "!=" not in selects[0]:
        others = Selection.parse([selects[0].replace("=", "!=", 1)])
        assert [cell for cell in cells if others.matches(cell)] == [cell for cell in cells if cell not in picked]
