"""Level L3: the real program is killed at a point, run again, killed again, and run to its end.

    python tests/simulation/l3.py POINT [POINT]     play one story and tell it
    python tests/simulation/l3.py --list            the points, by phase, and how often an undisturbed run passes them
    python tests/simulation/l3.py --singles|--pairs|--signals [PART/OF]    play all of these and print the coverage

A POINT is `[PHASE/]LABEL[:N][=SIGNALS]`: `place.rename.after`, `change/move.aside.after`, `post.sent:3`, `poll.sent=TERM`,
`lock.after=INT+INT`. Without a phase it is the first one that passes the label. The second point counts its passings
from the start of the process that follows the first one's death.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import inspect
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from l3_bugs import BUGS
from l3_sheet import LEDGERS, Story, close
from l3_stage import PHASES, Hit, Stage, stage

MOST = 6
"""Processes that may be needed once nothing strikes any more; more would be a run that never ends."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def play(here: Stage, phase: str, hits: Sequence[Hit], *, cold: bool = False, bug: str | None = None) -> Story:
    """The story from its beginning: each hit strikes one process, then the job is run until nothing is left to do."""
    task = here.begin(phase)
    ledger = here.sim.stats
    since = {kind: len(getattr(ledger, kind)) for kind in LEDGERS}
    there = {entry["key"]: entry for entry in here.manifest()["exports"]}
    gone = {key for key, entry in there.items() if not (here.exports / entry["path"]).exists()}
    removed = frozenset(there[key]["sha256"] for key in gone)
    story = Story(phase, hits, here, task, stored_before=frozenset(there) - gone, since=since, removed=removed)
    for hit in hits:
        story.processes.append((await here.run(hit=hit, cold=cold, bug=bug), hit))
    for _ in range(MOST):
        ended = await here.run(cold=cold, bug=bug)
        story.processes.append((ended, None))
        if ended.status == 0:
            story.second = await here.run(cold=cold, bug=bug)
            story.verified = await here.run("verify", "job.yaml", cold=cold)
            break
    close(story)
    return story


# ------------------------------------------------------------------------------------------------------- what to play

Plan = tuple[str, tuple[Hit, ...]]
"""Phase and hits."""


def first_passings(here: Stage) -> list[Plan]:
    """Each label once, in the first phase that passes it."""
    return [(phase, (Hit(label),)) for label, phase in _homes(here).items()]


def later_passings(here: Stage, chance: random.Random) -> list[Plan]:
    """Of each label that is passed more than once, one of the other passings, in whichever phase."""
    homes = _homes(here)
    others: dict[str, list[Plan]] = {}
    for phase, labels in here.passings.items():
        for label, times in Counter(labels).items():
            first = 2 if homes[label] == phase else 1
            others.setdefault(label, []).extend((phase, (Hit(label, nth),)) for nth in range(first, times + 1))
    return [chance.choice(plans) for plans in others.values() if plans]


def every_passing(here: Stage) -> list[Plan]:
    return [
        (phase, (Hit(label, nth),))
        for phase, labels in here.passings.items()
        for label, times in Counter(labels).items()
        for nth in range(1, times + 1)
    ]


def some_pairs(here: Stage, chance: random.Random, count: int) -> list[Plan]:
    """A kill at some label, and one at some label of the run after it."""
    homes = _homes(here)
    firsts = chance.sample(sorted(homes), count)
    return [(homes[one], (Hit(one), Hit(chance.choice(_seconds(here, homes[one]))))) for one in firsts]


async def pairs(here: Stage) -> list[Plan]:
    """Every pair that can differ: a label for each different thing that a kill leaves behind, then each label that the run
    after it passes."""
    plans, known = [], set()
    for label, phase in _homes(here).items():
        here.begin(phase)
        left = await here.run(hit=Hit(label))
        if left.struck is None or (what := (phase, left.kind)) in known:
            continue
        known.add(what)
        after = await here.run()
        plans += [(phase, (Hit(label), Hit(other))) for other in dict.fromkeys(p.label for p in after.passings)]
    return plans


def _seconds(here: Stage, phase: str) -> list[str]:
    return sorted({*here.passings[phase], *AFTER_A_KILL})


AFTER_A_KILL = tuple(f"journal.unanswered.{when}" for when in ("before", "inside", "durable", "answered"))
"""Passed only by a run that goes on after a kill."""


def signalled(here: Stage) -> list[Plan]:
    """Each signal at each label, and twice in a row."""
    return [
        (phase, (Hit(label, 1, signals),))
        for phase, labels in here.passings.items()
        for label in dict.fromkeys(labels)
        for signals in [*((one,) for one in SIGNALS), *((one, one) for one in SIGNALS)]
    ]


def _homes(here: Stage) -> dict[str, str]:
    homes: dict[str, str] = {}
    for phase, labels in here.passings.items():
        for label in labels:
            homes.setdefault(label, phase)
    return homes


# ------------------------------------------------------------------------------------------------------------ coverage


@dataclass
class Coverage:
    """What was played, by label."""

    passed: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    doubled: int = 0
    processes: int = 0
    stories: list[Story] = field(default_factory=list)

    def add(self, story: Story) -> None:
        self.stories.append(story)
        for ended, hit in story.all:
            self.processes += 1
            self.passed.update(passing.label for passing in ended.passings)
            self.struck.update(passing.label for passing in ended.passings if passing.struck)
            if hit is not None and ended.struck is None:
                self.missed[hit.label] += 1

    @property
    def bad(self) -> list[Story]:
        return [story for story in self.stories if story.violations]

    def __str__(self) -> str:
        width = max(map(len, self.passed), default=0)
        blamed = Counter(hit.label for story in self.bad for hit in story.hits)
        lines = [f"{'label':{width}}  passed    hit  missed  violations"]
        lines += [
            f"{label:{width}}  {self.passed[label]:6}  {self.struck[label]:5}  {self.missed[label]:6}  {blamed[label]:10}"
            for label in sorted(self.passed | self.missed)
        ]
        hits, bad = sum(self.struck.values()), len(self.bad)
        lines.append(
            f"{len(self.stories)} stories, {self.processes} processes, {hits} hits, {bad} stories with violations"
        )
        for story in self.bad:
            lines.append(story.command)
            lines += [f"    {violation}" for violation in story.violations]
        return "\n".join(lines)


Choose = Callable[[Stage], Iterable[Plan] | Awaitable[Iterable[Plan]]]


async def play_all(root: Path, choose: Choose, *, workers: int = 2) -> Coverage:
    """Plays what `choose` makes of a stage, `workers` stories at a time, each on a stage of its own."""
    coverage = Coverage()
    async with AsyncExitStack() as stages:
        built = []
        for n in range(workers):
            (root / str(n)).mkdir()
            built.append(await stages.enter_async_context(stage(root / str(n))))
        chosen = choose(built[0])
        plans = iter(list(await chosen if inspect.isawaitable(chosen) else chosen))

        async def work(here: Stage) -> None:
            for phase, hits in plans:
                coverage.add(await play(here, phase, hits))

        async with asyncio.TaskGroup() as tasks:
            for here in built:
                tasks.create_task(work(here))
    return coverage


# --------------------------------------------------------------------------------------------------------- the command


def parse(text: str, here: Stage) -> tuple[str, Hit]:
    """`[PHASE/]LABEL[:N][=SIGNALS]`."""
    point, _, names = text.partition("=")
    phase, slash, rest = point.rpartition("/")
    label, _, nth = rest.partition(":")
    if not slash:
        phase = _homes(here).get(label, "begin")
    if phase not in PHASES:
        raise SystemExit(f"{phase} is no phase; there are {', '.join(PHASES)}")
    signals = tuple(signal.Signals[f"SIG{name}"] for name in names.split("+")) if names else (signal.SIGKILL,)
    return phase, Hit(label, int(nth or 1), signals)


def tell(story: Story) -> str:
    lines = [story.command, ""]
    lines += [f"{at:8.3f}  {text}" for at, text in story.timeline]
    lines += ["", *(f"VIOLATION {violation}" for violation in story.violations)]
    lines += [f"{hit}: this point was not passed" for hit in story.missed]
    return "\n".join([*lines, "" if story.violations else "everything holds"])


async def part_of(here: Stage, choose: Choose, part: str) -> list[Plan]:
    """`3/8`: the third, eleventh … of all plans."""
    chosen = choose(here)
    n, _, of = part.partition("/")
    return list(await chosen if inspect.isawaitable(chosen) else chosen)[int(n) - 1 :: int(of)]


async def _main(arguments: argparse.Namespace, root: Path) -> int:
    chosen: dict[str, Choose] = {"singles": every_passing, "pairs": pairs, "signals": signalled}
    for name, choose in chosen.items():
        if part := getattr(arguments, name):
            coverage = await play_all(root, functools.partial(part_of, choose=choose, part=part))
            sys.stdout.write(f"{coverage}\n")
            return bool(coverage.bad)
    async with stage(root) as here:
        if arguments.list:
            for phase, labels in here.passings.items():
                for label, times in Counter(labels).items():
                    sys.stdout.write(f"{phase}/{label}:{times}\n")
            return 0
        points = [parse(point, here) for point in arguments.points]
        if len({phase for phase, _ in points}) > 1:
            points = [(points[0][0], hit) for _, hit in points]
        story = await play(here, points[0][0], [hit for _, hit in points], cold=arguments.cold, bug=arguments.bug)
        sys.stdout.write(f"{tell(story)}\n")
        return bool(story.violations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points", nargs="*", metavar="POINT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cold", action="store_true", help="start each process anew instead of forking it")
    parser.add_argument("--bug", choices=BUGS, help="plant this bug in the program")
    for name in ("singles", "pairs", "signals"):
        parser.add_argument(f"--{name}", nargs="?", const="1/1", metavar="PART/OF")
    arguments = parser.parse_args()
    if not arguments.points and not arguments.list and not (arguments.singles or arguments.pairs or arguments.signals):
        parser.error("a point is due, or one of the options")
    with tempfile.TemporaryDirectory() as root:
        sys.exit(asyncio.run(_main(arguments, Path(root))))


if __name__ == "__main__":
    main()
