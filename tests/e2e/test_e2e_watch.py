"""`status --watch`: a run in another process, seen through its journal alone."""

import asyncio
import re
import shutil
import signal

import pytest
from terminal import ESCAPE, Terminal, on_terminal


def shown(terminal):
    return " ".join(" ".join(terminal.lines()).split())


async def watching(it, *arguments, columns=80, env=None):
    """`status job.yaml --watch` on a terminal of its own; it draws a picture once this returns."""
    terminal = Terminal(columns)
    running = await it.start(
        "status",
        "job.yaml",
        "--watch",
        *arguments,
        stderr=terminal.theirs,
        env={"TERM": "xterm-256color"} | (env or {}),
    )
    terminal.started()
    await it.until(lambda: b"stored" in terminal.seen)
    return running, terminal


async def test_it_shows_the_run_until_that_ends_and_then_where_the_job_stands(stage):
    hung = {"on": "create", "do": "hang", "created": True, "match": {"nth": [4]}}
    async with stage(faults=[hung, {"on": "create", "do": "status", "code": 400, "match": {"nth": [2]}}]) as it:
        it.job(months=20)
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 18)
        watcher, terminal = await watching(it)
        await it.until(lambda: "18 of 20 stored" in shown(terminal))
        assert "✗ 1 failed" in shown(terminal)
        assert "~ 1 at Loop" in shown(terminal)
        assert "FAILED 2020-02: the service refuses this request" in shown(terminal)
        run.send(signal.SIGTERM)
        assert (await run.ended()).status == 3
        ended = await watcher.ended()
        await terminal.over.wait()
        assert ended.status == 0, str(ended)
        assert "rehearsal: 18 of 20 exports stored, 1 failed, 1 unfinished." in ended.out
        assert "FAILED 2020-02  [request.invalid]" in ended.out
        assert "The last run was parked at" in shown(terminal)
        assert max(map(len, terminal.lines()[:20])) <= 80
        assert terminal.seen.count(b"\x1b[?25l") == terminal.seen.count(b"\x1b[?25h") == 1
        assert not it.leftovers(), "the journal is one file, although somebody looked at it"


async def test_what_an_earlier_run_has_stored_is_none_of_this_one_s_work(stage):
    stuck = {"on": "create", "do": "stuck", "match": {"nth": [5, 6]}}
    async with stage(faults=[stuck]) as it:
        it.job(months=3)
        await it.report()
        it.job(months=8, limits={"unfinished": 2})
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 4 and len(it.sim.stats.posts) == 6)
        watcher, terminal = await watching(it)
        await it.until(lambda: "2 waiting ~ 2 at Loop ▾ 0 ready or downloading" in shown(terminal))
        assert "1 of 5 stored" in shown(terminal)
        run.send(signal.SIGTERM)
        await asyncio.gather(run.ended(), watcher.ended())
        await terminal.over.wait()


async def test_what_happens_while_it_watches_is_seen_to_happen(stage):
    late = {"on": "get", "do": "delay", "seconds": 600, "match": {"start": 1583020800}}
    async with stage(faults=[late]) as it:
        it.job(months=5)
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 4)
        watcher, terminal = await watching(it)
        run.send(signal.SIGKILL)
        await run.ended()
        ended = await watcher.ended()
        await terminal.over.wait()
        assert ended.status == 0, str(ended)
        assert "did not end in its own words (killed?)" in shown(terminal)
        assert "4 of 5 exports stored, 1 unfinished" in ended.out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
async def test_a_signal_ends_the_watching_at_once_and_leaves_the_run_alone(stage, number, status):
    slow = {"on": "create", "do": "stuck", "match": {"nth": [2]}}
    async with stage(faults=[slow]) as it:
        it.job(months=3)
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 2)
        watcher, terminal = await watching(it)
        watcher.send(number)
        ended = await watcher.ended()
        await terminal.over.wait()
        assert ended.status == status, str(ended)
        assert "Traceback" not in shown(terminal)
        assert ended.out == ""
        assert terminal.seen.count(b"\x1b[?25h") == 1, "the cursor is given back"
        assert run.process.returncode is None
        run.send(signal.SIGTERM)
        assert (await run.ended()).status == 3


async def test_a_run_that_begins_in_the_place_of_the_one_that_was_watched_is_shown(stage):
    async with stage(faults=[{"on": "create", "do": "stuck"}]) as it:
        it.job(months=3)
        first = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 3)
        watcher, terminal = await watching(it)
        watcher.send(signal.SIGSTOP)  # the next look comes when all is done
        first.send(signal.SIGKILL)
        await first.ended()
        shutil.rmtree(it.state)
        it.job(months=6)
        second = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 9)
        watcher.send(signal.SIGCONT)
        await it.until(lambda: "Another run of this job has begun." in shown(terminal))
        await it.until(lambda: "~ 3 at Loop" in shown(terminal).partition("Another run")[2])
        second.send(signal.SIGTERM)
        assert (await second.ended()).status == 3
        ended = await watcher.ended()
        await terminal.over.wait()
        assert ended.status == 0, str(ended)
        assert "0 of 3 exports stored, 3 unfinished" in ended.out, "of the job as it was when the watching began"


async def test_a_journal_that_goes_away_while_it_is_watched_is_told(stage):
    async with stage(faults=[{"on": "create", "do": "stuck"}]) as it:
        it.job(months=3)
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 3)
        watcher, terminal = await watching(it)
        run.send(signal.SIGKILL)
        await run.ended()
        shutil.rmtree(it.state)
        ended = await watcher.ended()
        await terminal.over.wait()
        assert ended.status == 0, str(ended)
        assert "The journal that was watched is gone: was the state folder removed?" in shown(terminal)


async def test_without_a_run_it_says_so_and_shows_where_the_job_stands(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        ended = await it.run("status", "job.yaml", "--watch")
        assert ended.status == 0, str(ended)
        assert "No run of this job is active." in ended.people
        assert "2 of 2 exports stored" in ended.out


async def test_it_waits_a_moment_for_a_run_that_is_about_to_begin(stage):
    stuck = {"on": "create", "do": "stuck"}
    async with stage(faults=[stuck]) as it:
        it.job(months=2)
        watcher = await it.start("status", "job.yaml", "--watch")
        run = await it.start("run", "job.yaml")
        await watcher.says("2 exports to do")
        await it.until(lambda: len(it.sim.stats.posts) == 2)
        run.send(signal.SIGTERM)
        assert (await run.ended()).status == 3
        ended = await watcher.ended()
        assert ended.status == 0, str(ended)
        assert re.search(r"^\d\d:\d\d:\d\d parked: 0/2 stored, 2 at Loop", ended.err, re.MULTILINE), ended.err
        assert "\x1b" not in ended.err
        assert "0 of 2 exports stored, 2 unfinished" in ended.out


async def test_a_selection_is_watched_alone(stage):
    stuck = {"on": "create", "do": "stuck", "match": {"team": "id-sales"}}
    async with stage(faults=[stuck]) as it:
        it.job(months=2, teams=("support", "sales"))
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 2)
        watcher, terminal = await watching(it, "--select", "team=support")
        assert "2 of 2 stored" in shown(terminal)
        run.send(signal.SIGTERM)
        await asyncio.gather(run.ended(), watcher.ended())
        await terminal.over.wait()


async def test_watching_is_for_people(stage):
    async with stage() as it:
        it.job(months=1)
        ended = await it.run("status", "job.yaml", "--watch", "--json")
        assert ended.status == 2
        assert ended.json["errors"][0]["code"] == "usage"


async def test_status_shows_a_grid_the_failed_by_reason_and_what_is_under_way(stage):
    faults = [
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-sales", "nth": [2, 4]}},
        {"on": "create", "do": "stuck", "match": {"team": "id-legal", "nth": [1]}},
    ]
    async with stage(faults=faults) as it:
        it.job(months=5, teams=("support", "sales", "legal"))
        run = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.data_files()) == 12)
        await it.until(lambda: len(it.sim.stats.posts) == 15)
        looked = await it.run("status", "job.yaml", env={"TZ": "UTC"})
        run.send(signal.SIGTERM)
        assert (await run.ended()).status == 3
        lines = looked.out.splitlines()
        assert [line.split()[0] for line in lines[:5]] == ["2020", "JFMAM", "support", "sales", "legal"]
        assert [line.split()[1] for line in lines[2:5]] == ["■■■■■", "■✗■✗■", "~■■■■"]
        assert lines[5] == "✗ 2 failed   ~ 1 in flight   ■ 12 stored"
        assert looked.out.count("the service refuses this request") == 1, "told once for both"
        assert "FAILED sales 2020-02, sales 2020-04  [request.invalid]" in looked.out
        (report,) = [
            e["report_ids"]
            for e in (await it.run("status", "job.yaml", "--json")).json["exports"]
            if e["step"] == "generating"
        ]
        assert re.search(rf"legal 2020-01  at Loop for \d:\d\d  {report[0]}", looked.out), looked.out
        assert "Watch it: orchestrator status job.yaml --watch" in looked.people
        ascii_only = await it.run(
            "status", "job.yaml", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
        )
        assert "#x#x#" in ascii_only.out


async def test_a_terminal_that_is_resized_while_a_run_is_on_still_shows_one_picture(stage):
    stuck = {"on": "create", "do": "stuck"}
    async with stage(faults=[stuck]) as it:
        it.job(months=20)
        terminal = Terminal(100)
        run = await it.start("run", "job.yaml", stderr=terminal.theirs, env={"TERM": "xterm-256color"})
        terminal.started()
        await it.until(lambda: len(it.sim.stats.posts) == 20)
        seen = len(terminal.seen)
        terminal.resize(40, 12)
        run.send(signal.SIGWINCH)
        await it.until(lambda: terminal.seen[seen:].count(b"rehearsal") >= 2)
        frames = bytes(terminal.seen[seen:]).split(b"\x1b[?2026l")
        run.send(signal.SIGTERM)
        assert (await run.ended()).status == 3
        await terminal.over.wait()
        last = [line.strip("\r") for line in ESCAPE.sub(b"", frames[-2]).decode().split("\n")]
        assert len(last) <= 11
        assert max(map(len, last)) < 40


async def test_ci_true_gets_lines_on_a_terminal_too(stage):
    async with stage() as it:
        it.job(months=2)
        ended, terminal = await on_terminal(it, "run", "job.yaml", env={"CI": "true"})
        assert ended.status == 0
        assert b"2026" not in terminal.seen.replace(b"2026-", b"")
        assert "2 exports to do" in shown(terminal)
