"""Two runs of one job that are started at the same moment: one works, one is told, as often as one tries."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from rehearsal import TOKEN

from orchestrator.journal.lock import JobLock, holder
from orchestrator.journal.reader import read_snapshot

TWINS = """
import gc, json, os, signal, sys
from orchestrator.cli import entry, main, run, session, task, wiring  # loaded once, for all that are forked

def become(number, starts):
    out = os.open(f"out{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["orchestrator", "run", "job.yaml", "--quiet"]
    os.read(starts, 1)
    try:
        entry.main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)

gc.freeze()
for line in sys.stdin:
    starts, start = os.pipe()
    children = []
    for number in (1, 2):
        child = os.fork()
        if child == 0:
            os.close(start)
            become(number, starts)
        children.append(child)
    os.close(starts)
    os.close(start)
    loser, status = os.wait()
    first = os.waitstatus_to_exitcode(status)
    (winner,) = set(children) - {loser}
    os.kill(winner, signal.SIGTERM)
    second = os.waitstatus_to_exitcode(os.waitpid(winner, 0)[1])
    told = open(f"out{1 + children.index(loser)}").read()
    print(json.dumps({"first": first, "second": second, "told": told}), flush=True)
"""
"""For each line on stdin: forks two runs, lets both go, waits until one has ended, and parks the other one."""


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
async def test_of_two_runs_started_at_once_one_works_and_one_is_told(stage, rounds):
    async with stage(duration=3600) as it:
        it.job(months=3)
        outside = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        twins = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            TWINS,
            cwd=it.folder,
            env=outside | {"HOME": str(it.folder), "LOOP_API_TOKEN": TOKEN},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(rounds):
            twins.stdin.write(b"\n")
            ended = json.loads(await twins.stdout.readline())
            assert (ended["first"], ended["second"]) == (5, 3), ended
            assert "another run of this job is active" in ended["told"]
            assert holder(it.state) is None
        twins.stdin.close()
        await twins.wait()
        # Whoever worked went on from what the one before had created.
        assert len(it.sim.stats.created) <= 3


async def test_reading_the_journal_frees_no_lock(stage):
    """Closing any handle of a database file drops the locks that its process has on it, so the job's is on another file."""

    class Clock:
        def now(self):
            return 1_700_000_000.0

    async with stage() as it:
        it.job(months=1)
        await it.report()
        with JobLock(it.state, Clock()):
            assert read_snapshot(it.state).records
            assert (await it.run("run", "job.yaml")).status == 5
        assert (await it.run("run", "job.yaml")).status == 0
