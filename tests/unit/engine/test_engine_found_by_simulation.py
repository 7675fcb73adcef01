"""What the simulation has found, each as the smallest story that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import START, World, make_export, make_exports, make_policy, rows_of

from orchestrator.engine import plan
from orchestrator.engine.ports import Broken, Denied, NotFound, SignedUrl, Status
from orchestrator.engine.states import (
    Cause,
    Failed,
    File,
    Moved,
    Part,
    Record,
    Report,
    Revived,
    State,
    Superseded,
    apply,
)
from orchestrator.engine.step import Asked, FetchWrong, Live, Resumed, follows, step

pytestmark = pytest.mark.asyncio

POLICY = make_policy(stuck_after=600.0)


def stored(export, *, path=None, sha256="aa", at=START, size=100):
    file = File("r1", size, sha256, 3, START - 50, partial=False, path=path or export.path)
    part = Part(0, export.request, State.STORED, (Report("r1", START - 50),), stored=file, stored_at=at)
    window = (export.window.start, export.window.end)
    return Record(export.key, dict(export.coordinates), file.path, export.impersonate, window, (part,))


def after(record, *facts, now=START, live=None):
    live = live or Live()
    for fact in facts:
        done = step(record, 0, live, fact, now=now, policy=POLICY, chance=lambda: 0.0)
        record, live = done.record, done.live
    return record, live


async def test_superseding_does_not_take_what_is_under_way():
    record = apply(stored(make_export(0)), Revived("k", START))
    record = apply(record, Superseded(record.key, START, by="other", path=record.path))
    assert (record.state, record.parts[0].stored) == (State.WAITING, None)


async def test_superseding_does_not_take_a_file_that_has_moved_on():
    record = stored(make_export(0), path="new.json")
    assert apply(record, Superseded(record.key, START, by="other", path="old.json")) == record


async def test_superseding_does_not_hide_a_failure():
    record = apply(stored(make_export(0)), Revived("k", START))
    record = apply(record, Failed(record.key, START, code="export.failed"))
    record = apply(record, Superseded(record.key, START, by="other", path=record.path))
    assert (record.state, record.stored) == (State.FAILED, None)


async def test_a_clock_that_was_set_back_does_not_make_a_report_young_for_ever():
    part = Part(0, {}, State.GENERATING, (Report("r", START + 86_400),))
    record, live = after(Record("k", {}, "p", None, (0, 10), (part,)), Resumed())
    record, live = after(record, Asked("r", Status("Processing")), now=START + 599, live=live)
    assert record.parts[0].live
    record, live = after(record, Asked("r", Status("Processing")), now=START + 601, live=live)
    assert not record.parts[0].live


async def test_wrong_bytes_of_one_report_are_not_counted_against_another():
    part = Part(0, {}, State.GENERATING, (Report("a", START), Report("b", START)))
    record, live = after(Record("k", {}, "p", None, (0, 10), (part,)), Resumed())
    completed = Status("Completed", SignedUrl("https://files.test/a"))
    for report in ("a", "a", "b"):
        record, live = after(
            record, Asked(report, completed), FetchWrong(report, "content.empty", "it is empty"), live=live
        )
    assert len(record.parts[0].live) == 2


@pytest.mark.looptime
async def test_a_forbidden_export_does_not_hold_up_the_others_of_a_known_account():
    forbidden, other, earlier = make_exports(3)
    world = World([earlier])
    assert (await world.run())["outcome"] == "succeeded"
    world.exports = [forbidden, other, earlier]
    world.service.before_post = lambda request, n: Denied(403, "no") if request == forbidden.request else None
    assert (await world.run())["outcome"] == "failed"
    assert world.good(other)


@pytest.mark.looptime
async def test_an_orphan_of_a_crash_does_not_stand_in_the_way_of_a_move():
    export = make_export(0)
    world = World([export])
    await world.run()
    world.exports = [replace(export, path="new/day.json", coordinates=(("team", "new"),))]
    world.storage.put("new/day.json", b"an orphan")
    assert (await world.run())["outcome"] == "succeeded"
    assert world.storage.files["new/day.json"] == rows_of(export.request)


@pytest.mark.looptime
async def test_where_a_file_is_missing_a_name_and_a_size_prove_nothing():
    """b's file was renamed to a's old name by a run that died before it could say so, and a's own file is gone."""
    a, b = make_exports(2)
    world = World([a, b])
    await world.run()
    world.storage.put(a.path, world.storage.files[b.path])
    world.storage.remove(b.path)
    world.exports = [replace(a, path="new/a.json"), replace(b, path=a.path)]
    assert (await world.run())["outcome"] == "succeeded"
    assert world.storage.files["new/a.json"] == rows_of(a.request)
    assert world.storage.files[a.path] == rows_of(b.request)


async def test_the_plan_of_a_moved_holder_is_not_to_be_superseded():
    """Kept as it is: a plan names the holder, and the journal decides whether it still holds the name."""
    holder, taker = make_export(0), make_export(1)
    items = plan.make(
        [replace(holder, path="new.json"), replace(taker, path=holder.path)],
        {holder.key: stored(holder)},
        {holder.path: None},
        now=START,
        options=plan.Options(),
    )
    assert items[1].supersedes == holder.key
    moved = apply(stored(holder), Moved(holder.key, START, path="new.json"))
    assert apply(moved, Superseded(holder.key, START, by=taker.key, path=holder.path)).stored is not None


@pytest.mark.looptime
async def test_a_sign_of_life_heard_by_a_probe_ends_a_doubt():
    """404, an outage whose end a probe finds out with `Processing`, 404: two reads that are not in a row prove nothing."""
    export = make_export(0)
    world = World([export])
    world.service.takes = lambda request: 400.0
    answers = {2: NotFound(), 3: Broken("503"), 4: Broken("503"), 5: Broken("503"), 6: None, 7: NotFound()}
    world.service.on_get = lambda made, n: answers.get(n)
    assert (await world.run())["outcome"] == "succeeded"
    assert len(world.service.posts) == 1


@pytest.mark.parametrize(("cause", "counts"), [(None, True), (Cause.STUCK, True), (Cause.EXPIRED, False)])
async def test_what_a_probe_hears_counts_for_every_report_that_is_still_asked_about(cause, counts):
    """A stuck report is followed on, so a sign of life ends a doubt about it as well."""
    part = Part(0, {}, State.GENERATING, (Report("r", START, cause=cause), Report("next", START)))
    record, live = after(Record("k", {}, "p", None, (0, 10), (part,)), Resumed())
    assert follows(record.parts[0], live, "r") is counts
