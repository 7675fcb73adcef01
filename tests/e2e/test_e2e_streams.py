"""Standard streams that can't be written to, or are not there at all: what a run has done, keeps and answers stays the same."""

import asyncio
import sys
from pathlib import Path

import pytest

HOOK = [sys.executable, "-c", "open('called', 'w').write('yes')"]


@pytest.fixture
def full():
    """A file on a disk that has no room."""
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("only Linux has a disk that is always full")
    with device.open("wb") as file:
        yield file


async def without(it, closed, *arguments, program=("-m", "orchestrator"), **more):
    """Runs the program without the streams of these numbers."""
    nowhere = {("stdin", "stdout", "stderr")[number]: asyncio.subprocess.DEVNULL for number in closed}
    script = f'exec "$0" "$@" {" ".join(f"{number}>&-" for number in closed)}'
    shell = ("-c", script, sys.executable, *program)
    return await it.run(*arguments, executable="/bin/sh", program=shell, **nowhere, **more)


def check_all_was_done(it):
    it.check_stored(3)
    assert (it.folder / "called").read_text() == "yes"


async def last_outcome(it):
    return (await it.run("status", "job.yaml", "--json")).json["last_run"]["outcome"]


@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize(
    "how", [(), ("--verbose",), ("--quiet",), ("--log-format", "json", "--verbose"), ("--ci", "github")]
)
async def test_words_that_a_full_disk_refuses_cost_nothing(stage, full, how, env):
    async with stage() as it:
        it.job(months=3, hooks={"on_success": HOOK})
        report = await it.report("job.yaml", *how, stderr=full, env=env)
        assert report["outcome"] == "succeeded"
        check_all_was_done(it)
        assert await last_outcome(it) == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "status"), [(("run", "job.yaml"), 1), (("status", "nope.yaml"), 2), (("run", "--nope"), 2)]
)
async def test_nor_do_they_change_how_a_failure_ends(stage, full, arguments, status):
    async with stage(faults=[{"on": "create", "do": "status", "code": 400}]) as it:
        it.job(months=1)
        ended = await it.run(*arguments, stderr=full)
        assert (ended.status, ended.out) == (status, "")


@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize(
    "arguments",
    [
        ("schema",),
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("status", "nope.yaml", "--json"),
        ("status", "job.yaml"),
        ("plan", "job.yaml"),
        ("explain", "bug"),
    ],
)
async def test_results_that_a_full_disk_refuses_are_an_error(stage, full, arguments, env):
    async with stage() as it:
        it.job(months=30)
        ended = await it.run(*arguments, stdout=full, env=env)
        assert ended.status == 6, str(ended)
        assert "the standard output can't be written" in ended.people
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("how", [(), ("--quiet",), ("--verbose",)])
@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
async def test_a_run_without_streams(stage, closed, how):
    async with stage() as it:
        it.job(months=3, hooks={"on_success": HOOK})
        ended = await without(it, closed, "run", "job.yaml", *how)
        assert (ended.status, ended.out) == (0, ""), str(ended)
        assert "Traceback" not in ended.err
        check_all_was_done(it)
        assert await last_outcome(it) == "succeeded"


async def test_the_document_is_all_of_stdout_where_stderr_is_closed(stage):
    async with stage() as it:
        it.job(months=3, hooks={"on_success": HOOK})
        ended = await without(it, (2,), "run", "job.yaml", "--json")
        assert (ended.status, ended.json["outcome"]) == (0, "succeeded")
        check_all_was_done(it)


@pytest.mark.parametrize("asked", [("--json", {}), ("--verbose", {"ORCHESTRATOR_RUN_JSON": "1"})])
async def test_a_document_that_has_no_stdout_is_an_error_once_the_run_is_done(stage, asked):
    option, env = asked
    async with stage() as it:
        it.job(months=3, hooks={"on_success": HOOK})
        ended = await without(it, (1,), "run", "job.yaml", option, env=env)
        assert ended.status == 6, str(ended)
        assert "the standard output can't be written" in ended.people
        assert "Give the command a standard output, then" in ended.people
        assert "Traceback" not in ended.err
        check_all_was_done(it)
        assert await last_outcome(it) == "succeeded"


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize(
    ("arguments", "status"), [(("status", "nope.yaml"), 2), (("--help",), 0), (("plan", "job.yaml"), 0)]
)
async def test_other_commands_end_as_they_do_with_streams(stage, closed, arguments, status):
    async with stage() as it:
        it.job()
        ended = await without(it, closed, *arguments)
        assert ended.status == status, str(ended)
        assert "Traceback" not in ended.err


NUMBERS = """
import os, sys
from orchestrator.cli import main

def look(_arguments, *, as_json):
    with open("numbers", "w") as found:
        found.write(repr([os.readlink(f"/proc/self/fd/{number}") for number in range(3)]))
    return 0

main._run = look
sys.exit(main.run_program([]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a number stands for")
async def test_no_other_file_gets_the_number_of_a_stream(stage):
    async with stage() as it:
        ended = await without(it, (0, 1, 2), program=("-c", NUMBERS))
        assert ended.status == 0, str(ended)
        assert (it.folder / "numbers").read_text() == repr(["/dev/null"] * 3)


async def test_a_report_is_not_read_from_a_closed_stdin(stage):
    async with stage() as it:
        ended = await without(it, (0,), "report", "-")
        assert ended.status == 2, str(ended)
        assert "Traceback" not in ended.err
