"""What becomes of reports and files that go wrong, told as whole runs."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from fakes import World, completed, make_exports, rows_of

from orchestrator.engine.policy import Polling, Retry
from orchestrator.engine.ports import Broken, Denied, FileBroken, FileRefused, Lesson, NotFound, Status
from orchestrator.engine.states import Cause, State

pytestmark = pytest.mark.looptime


def causes(world, export):
    return [report.cause for report in world.part(export).reports]


# ----------------------------------------------------------------------------------------------------- lost reports


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Status("Failed"), Cause.FAILED),
        (Status("Expired"), Cause.EXPIRED),
        (NotFound(), Cause.MISSING),
    ],
)
async def test_a_lost_report_is_created_anew(answer, cause):
    world = World(make_exports(2))
    world.service.on_get = lambda made, n: answer if made.id == "report-0000" else None
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert causes(world, world.exports[0]) == [cause, None]
    assert (report["api"]["posts"], report["api"]["possible_duplicates"]) == (3, 0)


async def test_an_export_that_always_fails_is_created_four_times_and_no_more():
    world = World(make_exports(3))
    bad = world.exports[1].request
    world.service.on_get = lambda made, n: Status("Failed") if made.request == bad else None
    report = await world.run()
    assert (report["outcome"], report["counts"]["stored"]) == ("failed", 2)
    assert report["exports"][1]["error"]["code"] == "export.failed"
    assert len(world.service.made_of(world.exports[1])) == 4
    # The next run gives it a fresh budget.
    await world.run()
    assert len(world.service.made_of(world.exports[1])) == 8


async def test_pending_is_waited_for_if_the_report_was_never_seen_alive():
    world = World(make_exports(1))
    world.service.takes = lambda request: 3600.0
    world.service.on_get = lambda made, n: (
        Status("PendingOrExpired") if world.clock.now() < made.created_at + made.takes else None
    )
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 1)


async def test_expired_is_believed_at_the_second_read_of_what_was_seen_alive():
    world = World(make_exports(1))

    def answer(made, n):
        if made.id != "report-0000":
            return None
        return Status("Processing") if n == 1 else Status("PendingOrExpired")

    world.service.on_get = answer
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert causes(world, world.exports[0]) == [Cause.EXPIRED, None]
    reads = [at for at, report_id in world.service.gets if report_id == "report-0000"]
    assert len(reads) == 3
    assert reads[2] - reads[1] >= 10


async def test_one_read_that_says_gone_is_not_believed():
    world = World(make_exports(1))
    world.service.takes = lambda request: 100.0
    world.service.on_get = lambda made, n: {2: Status("PendingOrExpired"), 4: NotFound()}.get(n)
    assert (await world.run())["api"]["posts"] == 1


async def test_what_expired_between_two_runs_is_found_out_by_asking():
    world = World(make_exports(4))
    await world.run(park_after=12)
    await asyncio.sleep(8 * 3600)
    old = set(world.service.made)
    world.service.on_get = lambda made, n: Status("PendingOrExpired") if made.id in old else None
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 8)
    assert report["api"]["possible_duplicates"] == 0


async def test_age_alone_decides_nothing():
    world = World(make_exports(4))
    await world.run(park_after=12)
    await asyncio.sleep(8 * 3600)
    assert (await world.run())["api"]["posts"] == 4


async def test_a_night_between_two_runs_does_not_teach_how_long_exports_take():
    world = World(make_exports(8))
    await world.run(park_after=12)
    await asyncio.sleep(8 * 3600)
    await world.run()
    lessons = world.journal.account.get("lessons", [])
    assert all(Lesson(*lesson).high < 60 for lesson in lessons)


async def test_a_status_that_nobody_knows_is_told_once_and_waited_for():
    world = World(make_exports(1))
    world.service.on_get = lambda made, n: Status("Queued") if n < 4 else None
    assert (await world.run())["outcome"] == "succeeded"
    assert [told.code for told in world.told.all if hasattr(told, "code")] == ["api.status"]


@pytest.mark.parametrize("policy", ["steady", "adaptive"])
async def test_a_stuck_report_gets_a_successor_and_the_first_to_finish_wins(policy):
    world = World(make_exports(1), stuck_after=300.0, polling=Polling(policy))
    world.service.takes = lambda request: 400.0 if not world.service.made else 10_000.0
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert report["api"]["posts"] == 2
    part = world.part(world.exports[0])
    assert part.stored.report_id == "report-0000"
    assert part.spent == 1
    # The loser may run on, and is accounted for, but nobody asks about it any more.
    assert world.runner._learning.asking._reports == {}
    assert world.service.made["report-0001"].created_at - part.ghosts[-1] < 1


async def test_what_is_always_stuck_fails_in_the_end():
    world = World(make_exports(2), stuck_after=300.0)
    bad = world.exports[1].request
    world.service.takes = lambda request: 1e9 if request == bad else 10.0
    report = await world.run()
    assert (report["counts"]["stored"], report["exports"][1]["error"]["code"]) == (1, "export.stuck")
    assert len(world.service.made) == 5


async def test_completed_without_a_url_is_asked_again():
    world = World(make_exports(1))
    world.service.on_get = lambda made, n: Status("Completed") if n < 4 else None
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 1)


# -------------------------------------------------------------------------------------------------- another account


async def test_a_service_that_knows_no_report_of_an_earlier_run_is_another_account():
    world = World(make_exports(40), unfinished=30)
    await world.run(park_after=9)
    assert len(world.service.made) == 30
    made, world.service.made = world.service.made, {}
    for _ in range(3):  # however often it is tried
        posts = world.service.posts_sent
        report = await world.run()
        assert (report["outcome"], report["error"]["code"]) == ("refused", "account.other")
        assert world.service.posts_sent == posts
    world.service.made = made
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 40)


@pytest.mark.parametrize("gone", [1, 3, 7])
async def test_some_reports_that_are_gone_are_created_anew(gone):
    world = World(make_exports(8), unfinished=8)
    await world.run(park_after=12)
    for report_id in list(world.service.made)[:gone]:
        del world.service.made[report_id]
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 8 + gone)


async def test_a_handful_of_reports_that_are_gone_says_nothing_about_the_account():
    world = World(make_exports(2))
    await world.run(park_after=12)
    world.service.made.clear()
    assert (await world.run())["outcome"] == "succeeded"


@pytest.mark.parametrize("answer", [Denied(403, "no"), Broken("HTTP 500")])
async def test_a_report_that_fails_for_a_reason_of_its_own_leaves_nobody_waiting_for_what_it_says_of_the_account(
    answer,
):
    world = World(make_exports(5), unfinished=4)
    world.service.takes = lambda request: 60.0
    await world.run(park_after=5)
    bad, *_ = world.service.made
    world.service.made = {bad: world.service.made[bad]}
    world.service.on_get = lambda made, n: answer if made.id == bad else None
    with anyio.fail_after(86_400):
        report = await world.run()
    assert (report["outcome"], report["error"] and report["error"]["code"]) == ("refused", "account.other")


async def test_of_two_reports_beside_one_that_fails_of_itself_both_are_believed_to_be_gone():
    world = World(make_exports(4), unfinished=3)
    world.service.takes = lambda request: 60.0
    await world.run(park_after=5)
    bad, *_ = world.service.made
    world.service.made = {bad: world.service.made[bad]}
    world.service.on_get = lambda made, n: Denied(403, "no") if made.id == bad else None
    with anyio.fail_after(86_400):
        report = await world.run()
    assert (report["counts"]["stored"], report["counts"]["failed"]) == (3, 1)


# --------------------------------------------------------------------------------------------------------- downloads


async def test_a_dead_url_is_replaced_by_a_fresh_one():
    world = World(make_exports(1))

    def refuse(made, n):
        if n == 1:
            raise FileRefused(403)

    world.files.on_open = refuse
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"], report["api"]["polls"]) == ("succeeded", 1, 3)


async def test_a_file_host_that_refuses_every_url_fails_that_export():
    world = World(make_exports(3))
    bad = world.exports[0].request

    def refuse(made, n):
        if made.request == bad:
            raise FileRefused(403)

    world.files.on_open = refuse
    report = await world.run()
    assert (report["counts"]["stored"], report["exports"][0]["error"]["code"]) == (2, "download.refused")


async def test_a_cut_download_goes_on_where_it_was_cut():
    world = World(make_exports(1))
    # It is cut more often than one request may be tried: what comes further each time is not failing.
    world.files.on_open = lambda made, n: 200 if n <= 8 else None
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.good(*world.exports)
    assert [offset for _, _, offset in world.files.opened] == [200 * n for n in range(9)]


async def test_a_cut_download_without_a_validator_begins_anew():
    world = World(make_exports(1))
    world.files.etag = None
    world.files.on_open = lambda made, n: 200 if n <= 2 else None
    assert (await world.run())["outcome"] == "succeeded"
    assert [offset for _, _, offset in world.files.opened] == [0, 0, 0]
    assert world.good(*world.exports)


async def test_cuts_and_dead_urls_in_turn_are_no_row_of_refusals():
    world = World(make_exports(1), attempts=3)

    def answer(made, n):
        if n % 2 == 0 and n <= 8:
            raise FileRefused(403)
        return 200 if n <= 8 else None

    world.files.on_open = answer
    assert (await world.run())["outcome"] == "succeeded"
    assert world.good(*world.exports)


async def test_what_is_silent_for_a_while_is_asked_again_after_its_wait():
    world = World(make_exports(2))

    def busy(made, n):
        if made.id == "report-0000" and n == 1:
            raise FileBroken("503", wait=120.0, reached=True)

    world.files.on_open = busy
    assert (await world.run())["outcome"] == "succeeded"
    first, *others = sorted(at for at, report_id, _ in world.files.opened)
    assert all(at < first + 5 or at >= first + 120 for at in others)


@pytest.mark.parametrize("body", [b"[1, 2", b"<html>busy</html>", b"", b"[1]<html>"])
async def test_wrong_content_is_fetched_again_then_created_anew(body):
    world = World(make_exports(2))
    world.files.on_open = lambda made, n: body if made.id == "report-0000" else None
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert causes(world, world.exports[0]) == [Cause.CORRUPT, None]
    assert sum(report_id == "report-0000" for _, report_id, _ in world.files.opened) == 3
    assert world.good(*world.exports)
    assert not world.storage.temps


async def test_content_that_is_always_wrong_fails():
    world = World(make_exports(2), retry=Retry(exports=1))
    bad = world.exports[0].request
    world.files.on_open = lambda made, n: b"[1, 2" if made.request == bad else None
    report = await world.run()
    assert (report["counts"]["stored"], report["counts"]["failed"]) == (1, 1)
    assert "exported anew" in report["exports"][0]["error"]["message"]
    assert len(world.service.made_of(world.exports[0])) == 2
    assert world.exports[0].path not in world.storage.files


async def test_the_winner_of_two_completed_reports_is_fetched_although_the_other_is_lost():
    world = World(make_exports(1), stuck_after=200.0)
    world.service.takes = lambda request: 1e9
    world.service.on_get = lambda made, n: (
        completed(made) if made.id == "report-0001" else Status("Failed") if len(world.service.made) > 1 else None
    )
    report = await world.run()
    assert report["outcome"] == "succeeded"
    part = world.part(world.exports[0])
    assert (part.state, part.stored.report_id) == (State.STORED, "report-0001")
    assert world.storage.files[world.exports[0].path] == rows_of(world.exports[0].request)


@pytest.mark.parametrize("answer", [NotFound(), Denied(403, "no"), Status("Failed"), Broken("500")])
async def test_reports_that_came_to_nothing_are_not_waited_for_by_the_adaptive_policy(answer):
    world = World(make_exports(4), policy="adaptive")
    bad = world.exports[0].request
    world.service.on_get = lambda made, n: answer if made.request == bad else None
    report = await world.run()
    assert (report["counts"]["failed"], report["counts"]["stored"]) == (1, 3)
    assert world.runner._learning._refs == {}
    assert all(not known.running for known in world.runner._learning.asking._classes.values())
