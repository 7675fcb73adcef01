"""A kill at every point where the journal is written, and the plans of later runs: nothing lost, nothing unaccounted for."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from fakes import World, make_export, make_exports, rows_of

from orchestrator.engine.events import RunStarted
from orchestrator.engine.plan import Action, Options
from orchestrator.engine.policy import Polling
from orchestrator.engine.ports import Broken, FileBroken, Status
from orchestrator.engine.states import State

pytestmark = pytest.mark.looptime


def faulty_world():
    """Some of everything: a lost answer, a report that fails, a URL that is cut, an expiry."""
    world = World(make_exports(4), unfinished=3, polling=Polling(first=2, every=2, max=5))
    world.service.takes = lambda request: 5.0
    one, two, three, _ = (export.request for export in world.exports)
    world.service.after_post = lambda request, n: Broken("reset") if (request, n) == (one, 1) else None
    world.service.on_get = lambda made, n: Status("Failed") if made.request == two and made.id == failing() else None
    world.files.on_open = lambda made, n: 200 if made.request == three and n == 1 else None

    def failing():
        return next(made.id for made in world.service.made.values() if made.request == two)

    return world


async def appends_of_a_whole_run():
    world = faulty_world()
    assert (await world.run())["outcome"] == "succeeded"
    return world.journal.appends


async def test_a_kill_at_every_append_loses_nothing():
    appends = await appends_of_a_whole_run()
    assert appends > 20
    for dies_at in range(1, appends + 1):
        for after in (False, True):
            world = faulty_world()
            await world.run(dies_at=dies_at, after=after)
            if dies_at % 2:
                world.storage.crash()
            report = await world.run()
            where = f"killed {'after' if after else 'before'} append {dies_at}"
            assert report["outcome"] == "succeeded", where
            assert world.good(*world.exports), where
            assert not world.storage.temps, where
            for export in world.exports:
                part = world.part(export)
                lost = sum(found.cause is not None for found in part.reports)
                assert len(world.service.made_of(export)) <= 1 + lost + part.duplicates, where
            # One of them is planted; a kill between intent and id makes at most one more for each POST under way.
            assert 1 <= report["api"]["possible_duplicates"] <= 1 + 3, where
            manifest = await world.storage.read_manifest()
            assert Counter(entry["path"] for entry in manifest.exports) == Counter(e.path for e in world.exports)


async def test_two_kills_one_after_the_other_lose_nothing():
    for first in range(3, 30, 5):
        for second in range(1, 12, 3):
            world = faulty_world()
            await world.run(dies_at=first)
            await world.run(dies_at=second, after=True)
            assert (await world.run())["outcome"] == "succeeded"
            assert world.good(*world.exports)


async def test_a_file_that_was_placed_but_not_journalled_is_known_again():
    world = World(make_exports(1))
    await world.run()
    appends = world.journal.appends
    world = World(make_exports(1))
    await world.run(dies_at=appends)
    assert world.good(*world.exports)
    fetches = len(world.files.opened)
    world.service.made.clear()  # the report is gone by now
    report = await world.run()
    assert (report["outcome"], len(world.files.opened)) == ("succeeded", fetches)


async def test_verified_bytes_that_are_gone_are_fetched_again():
    world = World(make_exports(1))
    await world.run()
    appends = world.journal.appends
    world = World(make_exports(1))
    await world.run(dies_at=appends)
    world.storage.remove(world.exports[0].path)
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 1)
    assert world.good(*world.exports)


async def test_verified_bytes_go_where_the_labels_of_today_say():
    world = World(make_exports(1))
    await world.run()
    appends = world.journal.appends
    world = World(make_exports(1))
    await world.run(dies_at=appends - 1, after=True)
    assert world.storage.temps
    world.exports = [make_export(0, path="renamed/day.json")]
    report = await world.run()
    assert (report["outcome"], report["counts"]["stored"]) == ("succeeded", 1)
    assert world.storage.files["renamed/day.json"] == rows_of(world.exports[0].request)
    assert world.part(world.exports[0]).stored.path == "renamed/day.json"


async def test_deleting_the_journal_loses_history_and_no_data():
    world = World(make_exports(3))
    await world.run()
    world.disk.__init__()
    report = await world.run()
    assert (report["counts"]["skipped"], report["api"]["posts"]) == (3, 3)


# --------------------------------------------------------------------------------------------- when the job changes


async def test_another_question_at_the_same_path_replaces_the_file_when_it_is_verified():
    world = World(make_exports(2))
    await world.run()
    old = world.exports
    world.exports = make_exports(2, timezone="Europe/Ljubljana")
    seen = []
    world.files.on_open = lambda made, n: seen.append(dict(world.storage.files))
    report = await world.run()
    assert [item.action for item in world.items[:2]] == [Action.REPLACE, Action.REPLACE]
    assert world.items[0].reason == "timezone changed"
    assert report["counts"]["stored"] == 2
    assert world.good(*world.exports)
    assert seen[0][old[0].path] == rows_of(old[0].request)
    assert world.part(old[0]).state is State.SUPERSEDED
    manifest = await world.storage.read_manifest()
    assert [entry["key"] for entry in manifest.exports] == [export.key for export in world.exports]


async def test_renamed_labels_move_the_files_even_in_a_ring():
    world = World([make_export(n, path=f"{name}.json") for n, name in enumerate("abc")])
    await world.run()
    world.exports = [make_export(n, path=f"{name}.json") for n, name in enumerate("bca")]
    report = await world.run()
    assert {item.action for item in world.items} == {Action.MOVE}
    assert (report["outcome"], report["counts"]["skipped"], report["api"]["posts"]) == ("succeeded", 3, 3)
    began = world.told.of(RunStarted)[-1]
    assert (began.todo, began.moves) == (0, 3), "nothing is to be asked for"
    assert world.good(*world.exports)
    assert set(world.storage.files) == {"a.json", "b.json", "c.json", "manifest.json"}
    assert (await world.run())["counts"]["skipped"] == 3


async def test_a_ring_survives_a_kill_at_each_of_its_steps():
    for dies_at in range(1, 5):
        for after in (False, True):
            world = World([make_export(n, path=f"{name}.json") for n, name in enumerate("abc")])
            await world.run()
            world.exports = [make_export(n, path=f"{name}.json") for n, name in enumerate("bca")]
            await world.run(dies_at=dies_at, after=after)
            assert (await world.run())["outcome"] == "succeeded"
            assert world.good(*world.exports), (dies_at, after)


async def test_a_move_that_was_killed_before_its_entry_still_supersedes():
    world = World([make_export(0, path="a.json"), make_export(1, path="b.json")])
    await world.run()
    world.exports = [make_export(0, path="b.json")]
    await world.run(dies_at=1)
    report = await world.run()
    assert report["outcome"] == "succeeded"
    manifest = await world.storage.read_manifest()
    assert [entry["path"] for entry in manifest.exports] == ["b.json"]
    assert world.good(*world.exports)


async def test_renamed_and_asked_for_again_leaves_no_file_behind():
    world = World([make_export(0, path="a.json"), make_export(1, path="b.json")])
    await world.run()
    world.exports = [make_export(0, path="b.json"), make_export(1, path="a.json")]
    report = await world.run(options=Options(only="all"))
    assert (report["outcome"], report["counts"]["stored"]) == ("succeeded", 2)
    assert world.good(*world.exports)
    assert set(world.storage.files) == {"a.json", "b.json", "manifest.json"}


async def test_what_the_job_no_longer_names_is_collected_but_never_created():
    world = World(make_exports(4))
    await world.run(park_after=12)
    gone = world.exports[2:]
    world.exports = world.exports[:2]
    world.service.on_get = lambda made, n: Status("Failed") if made.request == gone[1].request else None
    report = await world.run()
    assert (report["outcome"], report["counts"]["planned"]) == ("succeeded", 3)
    assert world.good(gone[0])
    assert world.service.posts_sent == 4


async def test_what_is_stuck_and_named_no_longer_does_not_hold_the_run():
    world = World(make_exports(2), stuck_after=100.0)
    world.service.takes = lambda request: 1e9
    await world.run(park_after=12)
    world.exports = world.exports[:0]
    began = asyncio.get_running_loop().time()
    await world.run()
    assert asyncio.get_running_loop().time() - began < 200


async def test_only_all_keeps_the_old_file_until_the_new_one_is_verified():
    world = World(make_exports(2))
    await world.run()
    world.files.on_open = lambda made, n: b"[broken"
    report = await world.run(options=Options(only="all"))
    assert report["counts"]["failed"] == 2
    assert world.good(*world.exports)
    world.files.on_open = lambda made, n: None
    report = await world.run()  # failed ones are taken up by themselves
    assert (report["outcome"], report["counts"]["stored"]) == ("succeeded", 2)


async def test_only_failed_runs_those_alone():
    world = World(make_exports(3))
    bad = world.exports[0].request
    world.service.on_get = lambda made, n: Status("Failed") if made.request == bad else None
    await world.run(select=world.exports[:2])
    world.service.on_get = lambda made, n: None
    report = await world.run(options=Options(only="failed"))
    assert report["counts"] == {"planned": 1, "stored": 1, "skipped": 0, "failed": 0, "pending": 0}
    assert world.service.made_of(world.exports[2]) == []


async def test_a_file_that_is_gone_is_exported_again_unless_it_was_moved_on():
    world = World(make_exports(2))
    await world.run()
    world.storage.remove(world.exports[0].path)
    assert (await world.run(options=Options(keep_missing=True)))["counts"]["skipped"] == 2
    assert (await world.run())["counts"] == {"planned": 2, "stored": 1, "skipped": 1, "failed": 0, "pending": 0}
    assert world.good(*world.exports)


async def test_an_intent_that_an_earlier_run_left_open_is_counted_by_every_run():
    world = World(make_exports(2))
    await world.run(select=world.exports[:1], dies_at=2, after=True)
    report = await world.run(select=world.exports[1:])
    assert (report["outcome"], report["api"]["possible_duplicates"]) == ("succeeded", 1)
    assert (await world.run())["api"]["possible_duplicates"] == 1


async def test_a_download_that_never_ends_well_does_not_touch_what_is_stored():
    world = World(make_exports(1))
    await world.run()

    def cut(made, n):
        raise FileBroken("reset")

    world.files.on_open = cut
    assert (await world.run(options=Options(only="all")))["outcome"] == "unreachable"
    assert world.good(*world.exports)
