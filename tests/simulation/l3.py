"""Level L3: the real program is killed at a point (or signalled, or its disk refuses), run again, hit again, and run to its end.

    python tests/simulation/l3.py POINT [POINT]     play one story and tell it
    python tests/simulation/l3.py --list            the points, by phase, and how often an undisturbed run passes them
    python tests/simulation/l3.py --singles|--pairs|--signals|--refusals [PART/OF]    play all of these and print the coverage
    python tests/simulation/l3.py --moments COUNT   so many signals at random moments; `--seed` says which

A POINT is `[PHASE/]LABEL[:N][=WHAT]`: `place.rename.after`, `change/move.aside.after`, `post.sent:3`, `poll.sent=TERM`,
`lock.after=INT+INT`, `disk.rename.place:2=ENOSPC`, `any:200=HUP` (the 200th point, whichever it is), `moment:500=TERM` (after
half of the time that an undisturbed run takes). Without a phase it is the first one that passes the label. The second point
counts its passings from the start of the process that follows the first one's death.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import difflib
import errno
import functools
import inspect
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from l3_bugs import BUGS
from l3_phases import PHASES
from l3_plans import Plan, every_passing, every_refusal, homes, moments, pairs, signalled
from l3_rules import close
from l3_sheet import LEDGERS, Story
from l3_stage import ANY, KILL, MOMENT, Hit, Stage, stage

MOST = 6
"""Processes that may be needed once nothing strikes any more; more would be a run that never ends."""


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


# ------------------------------------------------------------------------------------------------------------ coverage


@dataclass
class Coverage:
    """What was played, by label."""

    began: float = field(default_factory=time.monotonic)
    passed: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
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
    def hits(self) -> int:
        """Processes that were hit."""
        return sum(ended.struck is not None for story in self.stories for ended, _ in story.all)

    @property
    def bad(self) -> list[Story]:
        return [story for story in self.stories if story.violations]

    def __str__(self) -> str:
        width = max(map(len, self.passed), default=0)
        blamed = Counter(hit.label for story in self.bad for hit in story.hits)
        lines = [f"{'label':{width}}  passed    hit  missed  violations"]
        lines += [
            f"{label:{width}}  {self.passed[label]:6}  {self.struck[label]:5}  {self.missed[label]:6}  {blamed[label]:10}"
            for label in sorted(self.struck | self.missed)
        ]
        lines.append(
            f"{len(self.stories)} stories, {self.processes} processes, {len(self.passed)} labels passed and "
            f"{len(+self.struck)} of them hit, {self.hits} hits, {sum(self.missed.values())} missed, "
            f"{len(self.bad)} stories with violations, {time.monotonic() - self.began:.0f} s"
        )
        for story in self.bad:
            lines.append(story.command)
            lines += [f"    {violation}" for violation in story.violations]
        return "\n".join(lines)


Choose = Callable[[Stage], Iterable[Plan] | Awaitable[Iterable[Plan]]]


async def play_all(root: Path, choose: Choose, *, workers: int = 4) -> Coverage:
    """Plays what `choose` makes of a stage, `workers` stories at a time, each on a stage of its own: most of a story is waiting."""
    coverage = Coverage()
    async with AsyncExitStack() as stages:
        for n in range(workers):
            (root / str(n)).mkdir()
        built = await asyncio.gather(*(stages.enter_async_context(stage(root / str(n))) for n in range(workers)))
        chosen = choose(built[0])
        plans = iter(list(await chosen if inspect.isawaitable(chosen) else chosen))

        async def work(here: Stage) -> None:
            for phase, hits in plans:
                story = await play(here, phase, hits)
                while (
                    story.missed and story.hits[0].label == MOMENT
                ):  # it came too late: the run was quicker than usual
                    earlier = dataclasses.replace(story.hits[0], nth=story.hits[0].nth // 2)
                    story = await play(here, phase, [earlier])
                coverage.add(story)

        async with asyncio.TaskGroup() as tasks:
            for here in built:
                tasks.create_task(work(here))
    return coverage


# --------------------------------------------------------------------------------------------------------- the command


POINT = re.compile(r"(?:(?P<phase>[^/]*)/)?(?P<label>[^:=]+)(?::(?P<nth>\d+))?(?:=(?P<what>.+))?")
FAULT = re.compile(r"(?P<error>E[A-Z0-9]+)(?:-once)?")


def parse(text: str, here: Stage, *, second: bool = False) -> tuple[str, Hit]:
    """`[PHASE/]LABEL[:N][=WHAT]`. What the first process could not meet is refused before it is started."""
    point = POINT.fullmatch(text)
    if point is None:
        raise SystemExit(f"{text} is no point: it is [PHASE/]LABEL[:N][=WHAT], as --help says")
    phase, label, nth, what = point["phase"], point["label"], int(point["nth"] or 1), point["what"]
    home = homes(here.passings) | homes(here.disk)
    known = {*home, *here.idle, ANY, MOMENT}
    if label not in known and not second:  # after a death, points are passed that no undisturbed run passes
        near = difflib.get_close_matches(label, sorted(known), n=5)
        meant = f"near it are {', '.join(near)}" if near else "--list names those that are"
        raise SystemExit(f"no phase passes {label}; {meant}")
    if phase is None:
        phase = home.get(label, "begin")
    if phase not in PHASES:
        raise SystemExit(f"{phase} is no phase; there are {', '.join(PHASES)}")
    if what is None:
        return phase, Hit(label, nth, KILL)
    fault = FAULT.fullmatch(what)
    if fault is not None and hasattr(errno, fault["error"]):
        return phase, Hit(label, nth, (), what)
    try:
        return phase, Hit(label, nth, tuple(signal.Signals[f"SIG{name}"] for name in what.split("+")))
    except KeyError:
        raise SystemExit(
            f"{what} is neither signals (TERM, INT+INT) nor an error of a disk (ENOSPC, EIO-once)"
        ) from None


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


ALL: dict[str, Choose] = {"singles": every_passing, "pairs": pairs, "signals": signalled, "refusals": every_refusal}


async def _main(arguments: argparse.Namespace, root: Path) -> int:
    if arguments.moments:
        chance = random.Random(arguments.seed)
        coverage = await play_all(root, lambda here: moments(here, chance, arguments.moments))
        sys.stdout.write(f"{coverage}\n")
        return bool(coverage.bad)
    for name, choose in ALL.items():
        if part := getattr(arguments, name):
            coverage = await play_all(root, functools.partial(part_of, choose=choose, part=part))
            sys.stdout.write(f"{coverage}\n")
            return bool(coverage.bad)
    async with stage(root) as here:
        if arguments.list:
            for passings in (here.passings, here.disk):
                for phase, labels in passings.items():
                    for label, times in Counter(labels).items():
                        sys.stdout.write(f"{phase}/{label}:{times}\n")
            return 0
        points = [parse(point, here, second=n > 0) for n, point in enumerate(arguments.points)]
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
    parser.add_argument("--moments", type=int, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=7)
    for name in ALL:
        parser.add_argument(f"--{name}", nargs="?", const="1/1", metavar="PART/OF")
    arguments = parser.parse_args()
    if not any(value for name, value in vars(arguments).items() if name in {"points", "list", "moments", *ALL}):
        parser.error("a point is due, or one of the options")
    with tempfile.TemporaryDirectory() as root:
        sys.exit(asyncio.run(_main(arguments, Path(root))))


if __name__ == "__main__":
    main()
