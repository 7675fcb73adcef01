"""Level 1 of the simulation: the engine and all below it, over a played service, disk, clock and death.

A failure names its seed: `python tests/simulation/replay.py SEED --story` tells what happened.
"""

from __future__ import annotations

import os

import pytest
from everywhere import printed
from far import FarWorld
from mutants import MUTANTS, hunt
from oracle import RULES, judge
from story import play
from world import World

SEEDS = int(os.environ.get("SIM_SEEDS", "3000"))
FAR_SEEDS = int(os.environ.get("SIM_FAR_SEEDS", "400"))
CHUNKS = 8
QUICK = (
    "no intent before the POST",
    "a lost answer is told as a refusal",
    "duplicates are not counted",
    "the id is journalled late",
    "Retry-After is shortened by a tenth",
    "the window of the rate is one too wide",
    "one unfinished export too many",
    "404 counts at once",
    "an answer that comes too late is believed",
    "answers do not wait for each other",
    "given up as stuck too early",
    "no fsync of the file",
    "stored before the rename",
    "the token is not blanked out",
)
"""Planted bugs that fall within a few seeds; all of them are hunted by the long tests."""


def verdicts(seeds, worlds=World):
    return [f"seed {seed}: {violation}" for seed in seeds for violation in judge(play(seed, worlds).evidence)]


def overlapping(evidence):
    """How many polls were sent while an earlier one about the same report had no answer."""
    answered = {}
    many = 0
    for call in evidence.calls:
        if call.kind == "GET":
            many += answered.get(call.report_id, 0.0) > call.at
            answered[call.report_id] = max(answered.get(call.report_id, 0.0), call.answered_at or 0.0)
    return many


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_lost_doubled_torn_or_unaccounted_for(chunk):
    assert verdicts(range(chunk, SEEDS, CHUNKS)) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nor_where_polls_overlap(chunk):
    assert verdicts(range(chunk, FAR_SEEDS, CHUNKS), FarWorld) == []


def test_polls_overlap_where_answers_take_long():
    assert sum(overlapping(play(seed, FarWorld).evidence) for seed in range(20)) > 200


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nor_in_many_more_worlds(chunk):
    many = int(os.environ.get("SIM_SEEDS_LONG", "20000"))
    assert verdicts(range(SEEDS + chunk, many, CHUNKS)) == []
    assert verdicts(range(FAR_SEEDS + chunk, many // 5, CHUNKS), FarWorld) == []


def test_a_seed_is_one_story_whatever_the_hash_seed():
    told = printed("from story import play, trace_hash; print([trace_hash(play(seed)) for seed in range(12)])")
    assert len(told) == 1
    assert told != {""}


def test_seeds_are_different_stories():
    assert len({play(seed).story[-1] for seed in range(20)}) > 10


def test_every_rule_gives_its_reason():
    assert all(check.__doc__ for check in RULES.values())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_planted_bugs_still_fit_the_code(mutant):
    assert mutant.code().co_name


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_caught(name):
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert hunt(mutant, 60) is not None


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_planted_bug_is_caught(mutant):
    assert hunt(mutant, 1500) is not None
