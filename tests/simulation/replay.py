"""Replays a seed and tells its story, or plays many and prints what was covered.

python tests/simulation/replay.py 1234              the verdict and the trace hash of one seed
python tests/simulation/replay.py 1234 --story      everything that happened, line by line
python tests/simulation/replay.py --count 3000      many seeds (from --first), the coverage table, every violation
python tests/simulation/replay.py --mutants         plants each bug, and says which seed and which rule caught it

With --far the service of all worlds is far away and quick, so that polls overlap.
"""

# ruff: noqa: T201  a program that prints
from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from coverage_table import Coverage
from far import FarWorld
from mutants import MUTANTS, hunt
from oracle import judge
from story import play, trace_hash
from world import World

CHUNK = 100
TELL_EVERY = 10_000
"""Seeds after which a long run tells what it has covered so far: whatever stops it, that is kept."""


def one(seed: int, worlds: type[World], *, story: bool) -> int:
    world = play(seed, worlds)
    if story:
        for at, text in world.story:
            print(f"{at:12.2f}  {text}")
    violations = judge(world.evidence)
    for process in world.evidence.processes:
        outcome = process.report["outcome"] if process.report else ""
        print(f"process {process.n}: {process.how} {outcome}, {process.ended_at - process.started_at:.1f} s")
    print(f"trace {trace_hash(world)}")
    for violation in violations:
        print(f"VIOLATION {violation}")
    return 1 if violations else 0


def chunk(first: int, count: int, worlds: type[World]) -> Coverage:
    covered = Coverage()
    for seed in range(first, first + count):
        world = play(seed, worlds)
        covered.add(world, judge(world.evidence))
    return covered


def many(first: int, count: int, processes: int, worlds: type[World]) -> int:
    began = time.monotonic()
    covered = Coverage()
    starts = range(first, first + count, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        counts = [min(CHUNK, first + count - start) for start in starts]
        for part in pool.map(chunk, starts, counts, itertools.repeat(worlds)):
            covered.merge(part)
            for seed, text in part.violations:
                print(f"seed {seed}: {text}", file=sys.stderr, flush=True)
            if covered.seeds % TELL_EVERY == 0 and covered.seeds < count:
                print(f"so far: {covered.table(time.monotonic() - began)}\n", flush=True)
    print(covered.table(time.monotonic() - began))
    return 1 if covered.violations else 0


def mutants(seeds: int, only: str, processes: int) -> int:
    chosen = [mutant for mutant in MUTANTS if only in mutant.name]
    for mutant in chosen:
        mutant.code()  # one that no longer fits is told before an hour has gone by
    firsts = []
    print("| planted bug | first seed | caught by |\n| --- | ---: | --- |")
    with ProcessPoolExecutor(processes) as pool:
        for mutant, caught in zip(chosen, pool.map(hunt, chosen, [seeds] * len(chosen)), strict=True):
            if caught is None:
                print(f"| {mutant.name} | **survived {seeds}** | |", flush=True)
                continue
            firsts.append(caught[0])
            print(f"| {mutant.name} | {caught[0]} | {caught[1].partition(':')[0]} |", flush=True)
    print(f"{len(firsts)} of {len(chosen)} caught, median first seed {statistics.median(firsts or [0]):g}")
    return int(len(firsts) < len(chosen))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument("--story", action="store_true")
    parser.add_argument("--count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutants", nargs="?", const="", metavar="NAME", help="only those with NAME in their names")
    parser.add_argument("--seeds", type=int, default=1500, help="how many seeds a mutant may live")
    parser.add_argument(
        "--far", action="store_true", help="worlds whose answers take long, compared with their exports"
    )
    args = parser.parse_args()
    worlds = FarWorld if args.far else World
    if args.mutants is not None:
        return mutants(args.seeds, args.mutants, args.processes)
    if args.count is not None:
        return many(args.first, args.count, args.processes, worlds)
    if args.seed is None:
        parser.error("a seed, --count or --mutants is needed")
    return one(args.seed, worlds, story=args.story)


if __name__ == "__main__":
    sys.exit(main())
