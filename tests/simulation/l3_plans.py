"""What level L3 plays: which process is hit at which point, and how. Chance is passed in."""

from __future__ import annotations

import itertools
import random
import signal
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from l3_stage import ANY, MOMENT, Hit, Stage

Plan = tuple[str, tuple[Hit, ...]]
"""Phase and hits."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BOTH = tuple(itertools.product(SIGNALS, repeat=2))
SIGNALLING = (*((one,) for one in SIGNALS), *BOTH)
WORST = (
    ("begin", "journal.intended.inside"), ("begin", "journal.created.inside"), ("begin", "journal.stored.inside"),
    ("begin", "journal.intended.durable"), ("begin", "post.sent"), ("begin", "post.answer"), ("begin", "place.rename.before"),
    ("begin", "place.rename.after"), ("begin", "temp.fsync.before"), ("begin", "journal.pause.inside"),
    ("begin", "manifest.rename.before"), ("begin", "journal.run.inside"), ("begin", "journal.create.before"),
    ("change", "move.aside.rename.after"), ("change", "move.back.rename.before"), ("change", "journal.moved.inside"),
    ("change", "journal.superseded.inside"), ("recall", "journal.adopted.inside"),
)  # fmt: skip
"""Points at which a signal comes worst: in the middle of a commit, around a rename, while a POST is under way."""


def homes(passings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each label, and the first phase that passes it."""
    found: dict[str, str] = {}
    for phase, labels in passings.items():
        for label in labels:
            found.setdefault(label, phase)
    return found


# --------------------------------------------------------------------------------------------------------------- kills


def first_passings(here: Stage) -> list[Plan]:
    """Each label once, in the first phase that passes it."""
    return [(phase, (Hit(label),)) for label, phase in homes(here.passings).items()]


def later_passings(here: Stage, chance: random.Random) -> list[Plan]:
    """Of each label that is passed more than once, one of the other passings, in whichever phase."""
    home = homes(here.passings)
    others: dict[str, list[Plan]] = {}
    for phase, labels in here.passings.items():
        for label, times in Counter(labels).items():
            first = 2 if home[label] == phase else 1
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
    """A kill at some label, and one at a label of what is left to do after it."""
    home = homes(here.passings)
    firsts = chance.sample(sorted(home), count)
    return [(home[one], (Hit(one), Hit(chance.choice(_left_after(here, home[one], one))))) for one in firsts]


def _left_after(here: Stage, phase: str, label: str) -> list[str]:
    """Labels that every run passes, and those that an undisturbed one passes first after this one."""
    labels = list(dict.fromkeys(here.passings[phase]))
    return sorted({*here.idle, *labels[labels.index(label) + 1 :]})


async def pairs(here: Stage) -> list[Plan]:
    """Every pair that can differ: a label for each different thing that a kill leaves behind, then each label that the run
    after it passes."""
    plans, known = [], set()
    for label, phase in homes(here.passings).items():
        here.begin(phase)
        left = await here.run(hit=Hit(label))
        if left.struck is None or (what := (phase, left.kind)) in known:
            continue
        known.add(what)
        after = await here.run()
        labels = dict.fromkeys(p.label for p in after.passings if not p.label.startswith("disk."))
        plans += [(phase, (Hit(label), Hit(other))) for other in labels]
    return plans


# ------------------------------------------------------------------------------------------------------------- signals


def signalled(here: Stage) -> list[Plan]:
    """Each signal at each label, and each two in a row."""
    return [
        (phase, (Hit(label, 1, signals),)) for label, phase in homes(here.passings).items() for signals in SIGNALLING
    ]


def worst_signalled(_here: Stage, chance: random.Random) -> list[Plan]:
    """At each of the worst points one signal, and two in a row."""
    return [
        (phase, (Hit(label, 1, signals),))
        for phase, label in WORST
        for signals in ((chance.choice(SIGNALS),), chance.choice(BOTH))
    ]


def moments(here: Stage, chance: random.Random, count: int) -> list[Plan]:
    """Signals and kills after a drawn number of passings of whichever points, or a drawn part of the run's usual time."""
    return [_moment(here, chance) for _ in range(count)]


def _moment(here: Stage, chance: random.Random) -> Plan:
    phase = chance.choice(sorted(here.passings))
    signals = chance.choice([*SIGNALLING, (signal.SIGKILL,)])
    if chance.random() < 1 / 2:
        return phase, (Hit(MOMENT, chance.randrange(900), signals),)
    return phase, (Hit(ANY, chance.randrange(1, len(here.passings[phase]) * 9 // 10), signals),)


# ------------------------------------------------------------------------------------------------------- refusing disks

FULL_DISK = ("ENOSPC", "EDQUOT")
ERRORS: Mapping[str, tuple[str, ...]] = {
    "create": (*FULL_DISK, "EROFS", "EIO", "EIO-once"),
    "mkdir": (*FULL_DISK, "EROFS", "EIO", "EIO-once"),
    "write": (*FULL_DISK, "EIO", "EIO-once"),
    "write_text": (*FULL_DISK, "EROFS", "EIO"),
    "fsync": (*FULL_DISK, "EIO", "EIO-once"),
    "rename": (*FULL_DISK, "EROFS", "EIO", "EIO-once"),
    "ftruncate": ("EROFS", "EIO"),
    "sqlite.open": (*FULL_DISK, "EROFS", "EIO"),
    "sqlite.write": (*FULL_DISK, "EIO", "EIO-once"),
    "sqlite.ftruncate": ("EIO", "EIO-once"),
    "sqlite.unlink": ("EIO", "EIO-once"),
}
"""How a call fails; what is not here (looks, removals) fails only as a broken disk does."""


def refusals(here: Stage, chance: random.Random) -> list[Plan]:
    """Each call to the disk once, failing in one of its ways, at one of its passings."""
    plans = []
    for label, phase in homes(here.disk).items():
        nth = chance.randint(1, -(-here.disk[phase].count(label) // 2))
        plans.append((phase, (_failing(label, chance.choice(_errors(label)), nth),)))
    return plans


def every_refusal(here: Stage) -> list[Plan]:
    """Each call to the disk at its first passing and one in the middle, failing in each of its ways."""
    return [
        (phase, (_failing(label, fault, nth),))
        for phase, labels in here.disk.items()
        for label, times in Counter(labels).items()
        for nth in sorted({1, -(-times // 2)})
        for fault in _errors(label)
    ]


def _errors(label: str) -> Iterable[str]:
    call, _, _ = label.removeprefix("disk.").rpartition(".")
    return ERRORS.get(call, ("EIO", "EIO-once"))


def _failing(label: str, fault: str, nth: int) -> Hit:
    return Hit(label, nth, (), fault)
