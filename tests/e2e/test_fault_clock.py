"""A wall clock that jumps by days and years, within a run and between two of them."""

import os
import signal

import pytest

JUMPING = """
import random, time

real, chance = time.time, random.Random({seed})
DAY = 86_400
jumps = (0, DAY, -DAY, 365 * DAY, -365 * DAY)
time.time = lambda: real() + chance.choice(jumps)
"""
"""Loaded by the interpreter before the program, so that whoever asks for the time of day gets another one each time."""
MONTHS = 6


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 24))])
async def test_no_jump_of_the_clock_loses_or_doubles_anything(stage, seed):
    throttled = {"on": "create", "do": "status", "code": 429, "retry_after": 0.3, "match": {"nth": [2, 7]}}
    async with stage(seed=seed, duration=0.4, faults=[throttled]) as it:
        it.job(months=MONTHS)
        for run in range(3):
            folder = it.folder / f"jumping{run}"
            folder.mkdir()
            (folder / "sitecustomize.py").write_text(JUMPING.format(seed=f"{seed}{run}"))
            it.env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
            goal = it.requests() + 3
            running = await it.start("run", "job.yaml", "--json")
            if run < 2:
                await it.until(lambda goal=goal: it.requests() >= goal)
                running.send(signal.SIGTERM)
            ended = await running.ended()
            assert ended.status == (3 if run < 2 else 0), str(ended)
            assert ended.json["api"]["possible_duplicates"] == 0
        it.check_stored(MONTHS)
        assert len(it.sim.stats.created) == MONTHS
