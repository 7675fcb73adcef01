"""What a person sees: a terminal of 80 columns, a pipe, a pipe that is closed early, and no colour where none is wanted."""

import os
import re

import pytest
from terminal import on_terminal


async def test_the_live_view_fits_the_terminal(stage):
    faults = [
        {"on": "create", "do": "status", "code": 500, "body": "html", "times": 2},
        {"on": "get", "do": "status", "code": 500, "match": {"every": 5}, "times": 3},
        {"on": "create", "do": "status", "code": 429, "retry_after": 1, "match": {"nth": 6}},
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-a-team-with-quite-a-long-name"}},
    ]
    async with stage(faults=faults, duration={"min": 0.1, "max": 1}) as it:
        it.job(months=4, teams=("support", "a-team-with-quite-a-long-name"))
        ended, terminal = await on_terminal(it, "run", "job.yaml", columns=80)
        assert ended.status == 1
        assert b"\x1b[" in terminal.seen, "it is live"
        assert max(map(len, terminal.lines())) <= 80
        text = " ".join(" ".join(terminal.lines()).split())
        assert "rehearsal" in text
        assert "4 exports failed" in text
        assert "planted by a rule: 400" in text
        assert terminal.seen.count(b"\x1b[?25l") <= terminal.seen.count(b"\x1b[?25h"), "the cursor is shown again"


async def test_a_park_on_the_terminal_gives_the_cursor_back(stage):
    async with stage(duration=60) as it:
        it.job(months=2)
        ended, terminal = await on_terminal(it, "run", "job.yaml", "--deadline", "2s")
        assert ended.status == 3
        assert terminal.seen.count(b"\x1b[?25l") <= terminal.seen.count(b"\x1b[?25h")
        assert "parked before the end, nothing is lost" in " ".join(terminal.lines())


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"CI": "true", "NO_COLOR": "1"}, {"TERM": "dumb"}])
async def test_no_colour_where_none_is_wanted(stage, env):
    async with stage() as it:
        it.job(months=2)
        ended, terminal = await on_terminal(it, "run", "job.yaml", env=env)
        assert ended.status == 0
        colours = re.findall(rb"\x1b\[([0-9;]*)m", bytes(terminal.seen))
        assert not {code for code in colours for code in code.split(b";")} & {b"%d" % n for n in range(30, 50)}
        if "NO_COLOR" not in env or "CI" in env:
            assert b"\x1b[?25l" not in terminal.seen, "nothing moves"


async def test_a_pipe_gets_plain_lines_even_if_colour_is_forced(stage):
    async with stage() as it:
        it.job(months=2)
        ended = await it.run("run", "job.yaml", env={"FORCE_COLOR": "1"})
        assert ended.status == 0
        assert "\x1b[?25l" not in ended.err
        assert "2 exports to do" in ended.err
        quiet = await it.run("run", "job.yaml", "--quiet", "--only", "all")
        assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


async def test_json_lines_are_json_every_one_of_them(stage):
    async with stage(faults=[{"on": "create", "do": "reset_after", "times": 1}]) as it:
        it.job(months=2)
        ended = await it.run("run", "job.yaml", "--log-format", "json", "--verbose")
        assert ended.status == 0
        lines = ended.err.splitlines()
        assert lines
        assert all(line.startswith("{") and line.endswith("}") for line in lines), ended.err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_reader_that_goes_away_does_not_end_the_run(stage, stream):
    async with stage() as it:
        it.job(months=3)
        ours, theirs = os.pipe()
        os.close(ours)
        running = await it.start("run", "job.yaml", "--json", "--verbose", **{stream: theirs})
        os.close(theirs)
        ended = await running.ended()
        assert "Traceback" not in ended.err
        assert ended.status == 0
        it.check_stored(3)


async def test_a_plan_piped_into_head(stage):
    async with stage() as it:
        it.job(months=60, teams=[f"team-{n}" for n in range(60)])
        ours, theirs = os.pipe()
        running = await it.start("plan", "job.yaml", "--json", stdout=theirs)
        os.close(theirs)
        os.read(ours, 10)
        os.close(ours)
        ended = await running.ended()
        assert ended.status == 0, str(ended)
        assert "Traceback" not in ended.err
        assert "Broken" not in ended.err


async def test_collect_speaks_of_what_was_begun_and_of_nothing_else(stage):
    async with stage() as it:
        it.job(months=3)
        assert (await it.run("submit", "job.yaml", "--select", "window=2020-01")).status == 0
        ended = await it.run("collect", "job.yaml")
        assert " rehearsal: 1 export to do\n" in ended.err, str(ended)
        assert " 1/1 stored, 0 failed, " in ended.err
