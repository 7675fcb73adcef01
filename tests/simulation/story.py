"""One seed's whole story: a job that is run, killed, cut off, parked and run again, until nothing is left to do."""

from __future__ import annotations

import copy
import gc
import hashlib
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import disk
import faults
import loop
from world import Death, World

from orchestrator.engine.plan import Only

TRIES = 10
"""Processes that may follow once faults have stopped: a gate may still be closed, an answer's loss be paid for."""


BROKEN = ("bug", "spinning", "deadlock")
"""Ways to end after which there is no story to tell on."""


@contextmanager
def simulated() -> Iterator[None]:
    """Virtual time and a disk in memory are what a process finds; afterwards everything is as it was."""
    loop.install()
    collecting = gc.isenabled()
    gc.disable()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None  # the last words of the dead
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "coroutine .* was never awaited", RuntimeWarning
            )  # nor begun, when death came
            yield
    finally:
        disk.uninstall()
        sys.unraisablehook = hook
        if collecting:
            gc.enable()


def play(seed: int, make: Callable[[int], World] = World) -> World:
    """The world of `seed` when everything has happened in it."""
    with simulated():
        world = make(seed)
        _play(world, random.Random(f"story {seed}"))
    return world


def trace_hash(world: World) -> str:
    """The same in every process, or the run hangs on something besides the seed."""
    told = "\n".join(f"{at!r} {text}" for at, text in world.story)
    return hashlib.sha256(told.encode()).hexdigest()


def _play(world: World, chance: random.Random) -> None:
    weather = world.weather
    for _ in range(chance.randint(1, 4) if weather.on else 0):
        _plant_windows(world, chance)
        only: Only = "missing"
        if "all again" in weather and chance.random() < 0.2:
            weather.hit("all again")
            only = "all"
        world.run(
            death=_death(world, chance),
            park_after=chance.expovariate(1 / 60) if "park" in weather and chance.random() < 0.3 else None,
            deadline=chance.uniform(5, 300) if "deadline" in weather and chance.random() < 0.3 else None,
            only=only,
        )
        if world.evidence.processes[-1].how in BROKEN:
            return
        at_once = world.killed_at == "durable doubted"
        world.wait(0.1 if at_once else chance.choice((0.0, 0.1, chance.uniform(0, 60))))
        if "long downtime" in weather and chance.random() < 0.4:
            weather.hit("long downtime")
            world.wait(chance.choice((chance.uniform(60, 3600), chance.uniform(1, 72) * 3600)))
        _meddle(world, chance)
    weather.calm = True
    world.service.down.clear()
    world.trouble.clear()
    _let_go_of_account(world)
    for _ in range(TRIES):
        process = world.run()
        outcome = process.report["outcome"] if process.report else None
        if process.how in BROKEN:
            return
        if outcome in ("succeeded", "failed") and world.done():
            world.evidence.finished = True
            break
        if process.report is not None and (process.report["error"] or {}).get("code") == "account.other":
            _delete_state(world)  # as the hint says
        world.wait(600.0 if outcome != "parked" else world.policy.limits.longest_pause + 500)
    world.run()  # there is nothing left to do, and nothing is done
    world.last_texts()


def _death(world: World, chance: random.Random) -> Death | None:
    kinds = [kind for kind in ("kill", "power cut") if kind in world.weather]
    if not kinds or chance.random() < 0.25:
        return None
    if world.killed_at.startswith("disk ") and chance.random() < 0.8:
        # What a killed process left in the page cache is still to be lost when the next one has built upon it.
        return Death(chance.choice(("durable stored", "durable stored", "durable moved")), 1, power_cut=True)
    if chance.random() < 0.2 and any(kind in world.weather for kind in faults.LIES):
        return Death("durable doubted", 1, power_cut=False)  # the next process may ask again before the lie has ended
    labels = faults.PLACING if chance.random() < 0.25 else faults.LABELS
    if world.edited and chance.random() < 0.65:
        labels = faults.MOVING
    label = chance.choice(labels)
    return Death(
        label,
        1 + min(int(chance.expovariate(0.7 if labels is faults.LABELS else 1.5)), 12),
        power_cut=chance.choice(kinds) == "power cut",
    )


def _plant_windows(world: World, chance: random.Random) -> None:
    """Outages and full disks come for a while."""
    weather, now = world.weather, world.now
    for host in ("api", "files"):
        if f"outage {host}" in weather and chance.random() < 0.3:
            weather.hit(f"outage {host}")
            began = now + chance.uniform(0, 60)
            world.service.down[host] = began, began + chance.choice((chance.uniform(5, 60), chance.uniform(60, 2000)))
    for kind in ("disk full", "journal full"):
        if kind in weather and chance.random() < 0.3:
            began = now + chance.uniform(0, 60)
            world.trouble[kind] = began, began + chance.uniform(1, 600)


def _let_go_of_account(world: World) -> None:
    service = world.service
    service.source, service.source_mended_at, service.unverified_until = service.token, 0.0, 0.0


def _meddle(world: World, chance: random.Random) -> None:
    """What people and pipelines do between two runs."""
    weather = world.weather

    def now_and_then(kind: str) -> bool:
        return kind in weather and chance.random() < 0.3

    if now_and_then("clock jump"):
        weather.hit("clock jump")
        world.offset += chance.choice((chance.uniform(-1, 1) * 86_400, chance.uniform(-600, 600)))
    if now_and_then("state deleted"):
        _delete_state(world)
    elif now_and_then("old journal") and world.older:
        journal, records = chance.choice(world.older)
        world.journal, world.records = copy.deepcopy(journal), dict(records)
        world.forget("old journal")
    if now_and_then("old manifest") and world.older_manifests:
        world.disk.put("manifest.json", chance.choice(world.older_manifests))
        weather.hit("old manifest")
        world.evidence.older_manifests.append(world.seq())
        world.note("between: old manifest")
    if now_and_then("file removed"):
        _remove_a_file(world, chance)
    _edit_job(world, chance, now_and_then)


def _delete_state(world: World) -> None:
    world.journal = type(world.journal)()
    world.records = {}
    world.disk.forget_state()
    world.forget("state deleted")


def _remove_a_file(world: World, chance: random.Random) -> None:
    files = {path: data for path, data in world.disk.files().items() if path in world.evidence.paths}
    if files:
        path = chance.choice(sorted(files))
        world.evidence.removed.add(hashlib.sha256(files[path]).hexdigest())
        world.evidence.emptied[path] = world.seq()
        world.disk.remove(path)
        world.weather.hit("file removed")
        world.note(f"between: {path} is taken away")


def _edit_job(world: World, chance: random.Random, now_and_then: Any) -> None:
    cells = world.cells
    world.edited = False
    if now_and_then("relabelled"):
        folder = "b" if cells[0].folder == "a" else "a"
        cells = [replace(cell, folder=folder) for cell in cells]
        world.weather.hit("relabelled")
    if now_and_then("swapped") and len(cells) > 1:
        one, other = chance.sample(range(len(cells)), 2)
        cells = list(cells)
        cells[one], cells[other] = (
            replace(cells[one], path_of=cells[other].path_of),
            replace(cells[other], path_of=cells[one].path_of),
        )
        world.weather.hit("swapped")
    if now_and_then("other question"):
        n = chance.randrange(len(cells))
        cells = [replace(cell, question=1 - cell.question) if i == n else cell for i, cell in enumerate(cells)]
        world.weather.hit("other question")
    if now_and_then("dropped") and len(cells) > 1:
        n = chance.randrange(len(cells))
        cells = [cell for i, cell in enumerate(cells) if i != n]
        world.weather.hit("dropped")
    if cells is not world.cells:
        world.cells = list(cells)
        world.edited = True
        world._register()
        world.note("between: the job is now " + ", ".join(f"{world.name(e.key)}={e.path}" for e in world.exports()))
