"""Level 3 of the simulation: the real program, real files, real SQLite, real HTTP, killed at every labelled point.

A failure prints the command that plays its story again and tells it.
"""

from __future__ import annotations

import functools
import os
import random
import sys

import pytest
from l3 import (
    every_passing,
    first_passings,
    later_passings,
    pairs,
    parse,
    part_of,
    play,
    play_all,
    signalled,
    some_pairs,
)
from l3_bugs import BUGS
from l3_stage import Hit, stage

SEED = int(os.environ.get("SIM_L3_SEED", "7"))
PAIRS = int(os.environ.get("SIM_L3_PAIRS", "24"))
SIGNALS = int(os.environ.get("SIM_L3_SIGNALS", "24"))
PARTS = 4
"""Into which the long tests are cut, for workers to share them."""
COLD = (("begin", "lock.sign.after"), ("begin", "post.sent"), ("change", "move.aside.rename.after"))


def check(coverage, *, missed=0.0):
    """Everything holds, and no more than this share of the points was not passed when it was to strike."""
    sys.stdout.write(f"{coverage}\n")
    assert not coverage.bad, str(coverage)
    hits = sum(coverage.struck.values())
    assert hits, "nothing was hit"
    assert sum(coverage.missed.values()) <= missed * (hits + sum(coverage.missed.values())), str(coverage)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_kill_at_the_first_passing_of_each_point(tmp_path):
    check(await play_all(tmp_path, first_passings), missed=0.02)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_kill_at_a_later_passing_of_each_point(tmp_path):
    # How often a point is passed varies a little from run to run: what commits together is chance.
    check(await play_all(tmp_path, lambda here: later_passings(here, random.Random(SEED))), missed=0.2)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_two_kills_one_after_the_other(tmp_path):
    check(await play_all(tmp_path, lambda here: some_pairs(here, random.Random(SEED), PAIRS)), missed=0.5)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_signals_at_the_points(tmp_path):
    def some(here):
        return random.Random(SEED).sample(signalled(here), SIGNALS)

    check(await play_all(tmp_path, some), missed=0.1)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_process_from_a_cold_start_dies_and_goes_on_alike(tmp_path):
    async with stage(tmp_path) as here:
        for phase, label in COLD:
            story = await play(here, phase, [Hit(label)], cold=True)
            assert not story.missed, label
            assert not story.violations, (story.command, story.violations)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_planted_bugs_are_seen(tmp_path):
    async with stage(tmp_path) as here:
        for bug, (_, texts) in BUGS.items():
            points = [parse(point, here) for point in texts]
            story = await play(here, points[0][0], [hit for _, hit in points], bug=bug)
            assert story.violations, bug


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.parametrize("choose", [every_passing, pairs, signalled])
async def test_all_of_them(tmp_path, choose, part):
    check(await play_all(tmp_path, functools.partial(part_of, choose=choose, part=f"{part}/{PARTS}")), missed=0.5)
