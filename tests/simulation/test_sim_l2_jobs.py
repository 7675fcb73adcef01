"""Level L2, whole jobs over the wire. `python tests/simulation/l2_jobs.py SEED` replays one of them and tells it."""

from __future__ import annotations

import os
import random

import faults
import l2_jobs
import pytest
import story
from everywhere import printed
from l2_job_hosts import KINDS
from l2_jobs import LABELS
from l2_mutants import JOB_MUTANTS, JOB_QUICK, first_catch, of_a_job
from l2_mutants import SEEDS as MUTANT_SEEDS

SEEDS = 150
BATCH = 25
LONG = int(os.environ.get("SIM_L2_SEEDS_LONG", "20000")) // 4
"""A job is many calls."""


def play(seeds):
    """Plays them; gives the worlds' figures: faults of the wire by kind, kills by label, exports that were stored."""
    hits, labels, stored = {}, {}, 0
    for seed in seeds:
        world = l2_jobs.play(seed)
        violations = [str(violation) for violation in l2_jobs.verdict(world)]
        assert not violations, f"replay: python tests/simulation/l2_jobs.py {seed}\n" + "\n".join(violations)
        stored += sum(commit.event.kind == "stored" for commit in world.evidence.commits)
        for counts, new in ((hits, world.wire.hits), (labels, world.labels)):
            for kind, times in new.items():
                counts[kind] = counts.get(kind, 0) + times
    return hits, labels, stored


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_the_wire_does_no_job_loses_or_doubles_anything(first):
    hits, _, stored = play(range(first, first + BATCH))
    assert stored > BATCH
    assert sum(hits.values()) > BATCH


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(10))
def test_the_same_for_many_more_jobs(part):
    seeds = range(SEEDS + part * LONG // 10, SEEDS + (part + 1) * LONG // 10)
    hits, labels, _ = play(seeds)
    if len(seeds) >= 500:
        assert set(hits) == set(KINDS), "a kind of fault never strikes"
        assert set(LABELS) <= set(labels), "nobody dies on the wire"


def test_without_faults_each_export_is_created_once_and_fetched_once():
    calm = [seed for seed in range(1000, 1064) if not faults.draw(random.Random(f"weather {seed}")).on]
    assert len(calm) > 1
    for world in map(l2_jobs.play, calm):
        evidence = world.evidence
        assert evidence.faultless
        assert l2_jobs.verdict(world) == []
        assert len(evidence.reports) == len(evidence.downloads) == len(world.cells)
        assert world.wire.hits == {}


def test_the_same_seed_is_the_same_job_in_every_process():
    code = "import l2_jobs, story; print(*(story.trace_hash(l2_jobs.play(seed)) for seed in (3, 7, 12, 34)))"
    traces = printed(code)
    assert len(traces) == 1
    assert traces != {""}


def test_what_ran_before_a_job_makes_no_difference():
    first = [story.trace_hash(l2_jobs.play(seed)) for seed in (3, 12)]
    assert [story.trace_hash(l2_jobs.play(seed)) for seed in (12, 3)] == first[::-1]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "mutant",
    [pytest.param(one, id=one.name, marks=() if one.name in JOB_QUICK else pytest.mark.long) for one in JOB_MUTANTS],
)
def test_a_planted_bug_of_the_wire_is_caught_by_a_whole_job(mutant):
    assert first_catch(mutant, range(MUTANT_SEEDS), of_a_job) is not None
