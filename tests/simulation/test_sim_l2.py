"""Level L2 under many seeds. `python tests/simulation/l2.py SEED` replays one of them and tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import l2
import pytest
from everywhere import printed
from l2_faults import CONNECT, WIRE
from l2_hosts import API, FILES, RANGES
from l2_mutants import MUTANTS, first_catch
from l2_mutants import SEEDS as MUTANT_SEEDS

SEEDS = 150
QUICK = (
    "a body without an end is taken",
    "every break was never sent",
    "a partial file is kept",
    "an answer about another report",
)
BATCH = 50
LONG = int(os.environ.get("SIM_L2_SEEDS_LONG", "20000"))


def play(seeds):
    """Plays them; gives how often each kind of fault struck, and how many files were stored."""
    hits, stored = {}, 0
    for seed in seeds:
        outcome = l2.run(seed)
        assert not outcome.violations, f"replay: python tests/simulation/l2.py {seed}\n" + "\n".join(outcome.violations)
        stored += outcome.stored
        for kind, times in outcome.hits.items():
            hits[kind] = hits.get(kind, 0) + times
    return hits, stored


@pytest.mark.parametrize("program", ["l2.py", "l2_jobs.py"])
@pytest.mark.parametrize("arguments", [(), ("a",), ("1", "2", "3"), ("--help",)])
def test_the_programs_say_how_they_are_used(program, arguments):
    command = [sys.executable, Path(__file__).with_name(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).startswith(f"usage: {program} [-h] SEED [LAST]")
    assert done.returncode == (0 if "--help" in arguments else 2)


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_the_wire_does_no_call_lies(first):
    hits, stored = play(range(first, first + BATCH))
    assert stored > BATCH / 2
    assert sum(hits.values()) > 5 * BATCH


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_the_same_under_many_more_seeds(part):
    seeds = range(SEEDS + part * LONG // 10, SEEDS + (part + 1) * LONG // 10)
    hits, _ = play(seeds)
    if len(seeds) >= 1000:
        assert set(hits) == {*WIRE, *CONNECT, *API, *FILES, *RANGES, "cancel"}, "a kind of fault never strikes"


@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_a_calm_wire_costs_one_post_an_export_and_stores_each(seed):
    outcome = l2.run(seed)
    told = "\n".join(outcome.story)
    stories = told.count("POST heard")
    assert (told.count("Accepted("), outcome.hits) == (stories, {})
    assert outcome.stored >= stories


def test_the_same_seed_is_the_same_run_in_every_process():
    code = "import l2, sys; print(*(l2.run(seed).trace for seed in (3, 4, 10, 57)))"
    traces = printed(code)
    assert len(traces) == 1
    assert traces != {""}


def test_what_ran_before_a_seed_makes_no_difference():
    first = [l2.run(seed).trace for seed in (57, 58, 59)]
    assert [l2.run(seed).trace for seed in (59, 58, 57)] == first[::-1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_planted_bugs_of_the_wire_still_fit_the_code(mutant):
    assert mutant.code()


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(one, id=one.name, marks=() if one.name in QUICK else pytest.mark.long) for one in MUTANTS],
)
def test_a_planted_bug_of_the_wire_is_caught(mutant):
    assert first_catch(mutant, range(1, MUTANT_SEEDS)) is not None
