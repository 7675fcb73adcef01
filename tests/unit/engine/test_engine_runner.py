"""The loop as a whole, in virtual time, against a small service in memory: limits, pauses, refusals, parking."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import datetime

import pytest
from fakes import World, make_export, make_exports

from orchestrator.engine import runner
from orchestrator.engine.attempts import POST_GRACE
from orchestrator.engine.events import (
    ExportChanged,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
)
from orchestrator.engine.policy import Retry
from orchestrator.engine.ports import Broken, Denied, FileBroken, Invalid, Status, Throttled
from orchestrator.engine.states import State
from orchestrator.errors import StorageError
from orchestrator.job.expand import Export
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.machine import Machine
from orchestrator.journal.memory import MemoryJournal
from orchestrator.journal.records import record_from_text

pytestmark = pytest.mark.looptime


def is_paced(times, limit):
    """No second holds more than `limit` requests."""
    return all(after - before >= 1 - 1e-6 for before, after in zip(times, times[limit:], strict=False))


def first(exports):
    return exports[0].request


async def test_everything_is_stored_with_one_post_each():
    world = World(make_exports(24))
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert report["counts"] == {"planned": 24, "stored": 24, "skipped": 0, "failed": 0, "pending": 0}
    assert report["api"] == {
        "posts": 24,
        "polls": world.service.gets_sent,
        "throttled": 0,
        "errors": 0,
        "possible_duplicates": 0,
    }
    assert world.good(*world.exports)
    assert not world.storage.temps
    manifest = await world.storage.read_manifest()
    assert {entry["path"] for entry in manifest.exports} == {export.path for export in world.exports}
    assert isinstance(world.told.all[0], RunStarted)
    assert isinstance(world.told.all[-1], RunEnded)


async def test_a_second_run_asks_for_nothing():
    world = World(make_exports(3))
    await world.run()
    asked = len(world.service.requests)
    report = await world.run()
    assert (report["outcome"], report["counts"]["skipped"]) == ("succeeded", 3)
    assert len(world.service.requests) == asked


# ------------------------------------------------------------------------------------------------------------ limits


async def test_the_limits_hold():
    world = World(make_exports(30), unfinished=5, downloads=2, requests_per_second=4)
    world.files.pause = 1.0
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.service.most_unfinished == 5
    assert world.files.most_running == 2
    assert is_paced(world.service.requests, 4)


async def test_a_slow_download_holds_no_place_for_creating():
    world = World(make_exports(6), unfinished=2, downloads=1)
    world.files.pause = 30.0
    await world.run()
    last_post = world.service.posts[-1][0]
    assert last_post - world.service.posts[0][0] < 120 < world.clock.now() - last_post


async def test_a_place_is_free_before_it_is_journalled(monkeypatch):
    async def slow(journal, events):
        if any(event.kind == "ready" for event in events):
            await asyncio.sleep(60)
        await append(journal, events)

    append = MemoryJournal.append
    monkeypatch.setattr(MemoryJournal, "append", slow)
    world = World(make_exports(2), unfinished=1)
    report = await world.run()
    assert (report["outcome"], world.service.most_unfinished) == ("succeeded", 1)
    (one, _), (two, _) = world.service.posts
    assert two - one < 60


async def test_a_creation_whose_answer_was_lost_holds_its_place():
    world = World(make_exports(12), unfinished=3)
    world.service.takes = lambda request: 20.0
    world.service.after_post = lambda request, n: Broken("reset") if n == 1 and request["start"] % 2 == 0 else None
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert report["api"]["possible_duplicates"] == 12
    # A ghost is believed to run for three polls' time, longer than these do.
    assert world.service.most_unfinished <= 3


async def test_what_an_earlier_run_left_running_holds_its_place_in_a_run_of_other_exports():
    world = World(make_exports(8), unfinished=4)
    world.service.takes = lambda request: 25.0
    await world.run(select=world.exports[:4], park_after=2)
    report = await world.run(select=world.exports[4:])
    assert report["counts"]["stored"] == 4
    assert world.service.most_unfinished == 4


# ------------------------------------------------------------------------------------------------------------- gates


async def test_a_429_closes_the_gate_for_all():
    world = World(make_exports(10))
    world.service.before_post = lambda request, n: (
        Throttled(40, "slow down") if request == world.exports[4].request and n == 1 else None
    )
    report = await world.run()
    assert (report["outcome"], report["api"]["throttled"]) == ("succeeded", 1)
    at = next(at for at, request in world.service.posts if request == world.exports[4].request)
    under_way = world.service.latency
    assert not [t for t in world.service.requests if at + under_way < t < at + 40]
    assert report["exports"][4]["attempts"] == 2


async def test_the_gate_outlives_the_run():
    world = World(make_exports(3))
    world.service.before_post = lambda request, n: Throttled(300, "slow down") if not world.service.made else None
    await world.run(park_after=10)
    gate = world.told.of(Paused)[0].until
    world.service.before_post = lambda request, n: None
    sent = len(world.service.requests)
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert min(world.service.requests[sent:]) >= gate


async def test_a_long_pause_parks_the_run_and_the_next_one_while_it_lasts():
    world = World(make_exports(3), longest_pause=60)
    world.service.before_post = lambda request, n: (
        Throttled(600, "slow down") if not world.service.gets and asyncio.get_running_loop().time() < 600 else None
    )
    report = await world.run()
    assert report["outcome"] == "parked"
    sent = len(world.service.requests)
    assert (await world.run())["outcome"] == "parked"
    assert len(world.service.requests) == sent
    await asyncio.sleep(650)
    assert (await world.run())["outcome"] == "succeeded"


def until(world, report):
    """Seconds from now to what the report says of when to run again."""
    return datetime.fromisoformat(report["resume_after"]).timestamp() - world.clock.now()


@pytest.mark.parametrize("stopped_first", [False, True])
async def test_a_report_says_before_when_the_next_run_would_park_as_well(stopped_first):
    world = World(make_exports(2), longest_pause=60)
    world.service.before_post = lambda request, n: Throttled(600 if request == first(world.exports) else 9000, "slow")
    world.service.latency = 1.0
    if stopped_first:
        asyncio.get_running_loop().call_later(0.9, lambda: world.runner.park("SIGTERM came"))
    report = await world.run()
    assert report["outcome"] == "parked"
    assert len(world.service.posts) == 2
    assert until(world, report) == pytest.approx(9000, abs=10)
    await asyncio.sleep(until(world, report) - 100)
    again = await world.run()
    assert (again["outcome"], until(world, again)) == ("parked", pytest.approx(100, abs=1))
    await asyncio.sleep(101)
    world.service.before_post = lambda request, n: None
    report = await world.run()
    assert (report["outcome"], report["resume_after"]) == ("succeeded", None)


async def test_of_the_pauses_of_two_hosts_the_longer_one_counts():
    world = World(make_exports(2), longest_pause=60)
    account = JournalAccount(world.journal, world.clock)
    await world.journal.open()
    await account.pause(world.clock.now() + 1000)
    await account.pause(world.clock.now() + 9000, "files")
    report = await world.run()
    assert (report["outcome"], until(world, report)) == ("parked", pytest.approx(9000, abs=1))


async def test_a_run_that_ends_otherwise_says_nothing_of_a_pause():
    world = World(make_exports(2), longest_pause=60)
    world.service.latency = 1.0
    world.service.before_post = lambda request, n: (
        Throttled(600, "slow") if request == first(world.exports) else Denied(451, "unverified")
    )
    report = await world.run()
    assert (report["outcome"], report["resume_after"]) == ("refused", None)


@pytest.mark.parametrize("wait", [None, 0])
async def test_a_pause_without_a_time_grows_and_is_no_storm(wait):
    world = World(make_exports(6))
    world.service.before_post = lambda request, n: (
        Throttled(wait, "slow down") if world.clock.now() < since + 60 else None
    )
    since = world.clock.now()
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert report["api"]["throttled"] < 15
    # Several answers to requests that were under way together make one step of the growth, not one each.
    assert world.told.of(Paused)[0].until - since < 10


async def test_throttling_does_not_excuse_the_failures_before_it():
    world = World(make_exports(3), attempts=4)

    def answer(made, n):
        if made.request != first(world.exports):
            return None
        return Throttled(1, "slow down") if n % 2 else Broken("500")

    world.service.on_get = answer
    report = await world.run()
    assert report["exports"][0]["error"]["code"] == "service.failing"
    assert report["counts"]["stored"] == 2


# --------------------------------------------------------------------------------------------------------- refusals


async def test_a_renewed_token_goes_on():
    world = World(make_exports(4))
    world.service.renewals = 1
    world.service.before_post = lambda request, n: Denied(401, "expired") if world.service.renewals == 1 else None
    report = await world.run()
    assert (report["outcome"], report["counts"]["stored"]) == ("succeeded", 4)
    assert report["api"]["possible_duplicates"] == 0


@pytest.mark.parametrize(
    ("status", "code"), [(401, "account.token"), (403, "account.forbidden"), (451, "account.unverified")]
)
async def test_a_refused_account_ends_the_run(status, code):
    world = World(make_exports(4))
    world.service.before_post = lambda request, n: Denied(status, "no")
    report = await world.run()
    assert report["outcome"] == "refused"
    assert report["error"]["code"] == code
    assert report["counts"]["pending"] == 4
    world.service.before_post = lambda request, n: None
    assert (await world.run())["outcome"] == "succeeded"


async def test_a_403_after_others_were_accepted_fails_one_export():
    world = World(make_exports(4))
    world.service.before_post = lambda request, n: Denied(403, "no") if request == world.exports[3].request else None
    report = await world.run()
    assert report["outcome"] == "failed"
    assert report["exports"][3]["error"]["code"] == "request.forbidden"
    assert report["counts"]["stored"] == 3


async def test_each_identity_is_judged_for_itself():
    exports = [make_export(0), make_export(1, impersonate="ops@example.com")]
    world = World(exports)
    world.service.before_post = lambda request, n: Denied(403, "no") if request == exports[1].request else None
    report = await world.run()
    assert report["outcome"] == "refused"
    assert "ops@example.com" in report["error"]["message"]


async def test_a_400_fails_at_once_and_is_not_sent_again():
    world = World(make_exports(3))
    world.service.before_post = lambda request, n: Invalid("tagIds") if request == first(world.exports) else None
    report = await world.run()
    assert (report["outcome"], report["exports"][0]["attempts"]) == ("failed", 1)
    sent = world.service.posts_sent
    assert (await world.run())["outcome"] == "failed"
    assert world.service.posts_sent == sent


async def test_a_host_that_is_not_to_be_trusted_ends_the_run():
    world = World(make_exports(2))
    world.service.before_post = lambda request, n: Broken("certificate", sent=False, trusted=False)
    report = await world.run()
    assert (report["outcome"], report["error"]["code"]) == ("unreachable", "host.untrusted")
    assert report["api"]["possible_duplicates"] == 0


# ----------------------------------------------------------------------------------------------- ambiguous creations


async def test_an_answer_that_was_lost_is_a_possible_duplicate():
    world = World(make_exports(3))
    world.service.after_post = lambda request, n: (
        Broken("reset") if request == first(world.exports) and n == 1 else None
    )
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert report["api"]["possible_duplicates"] == report["exports"][0]["possible_duplicates"] == 1
    assert len(world.service.made) == 4


async def test_stop_fails_what_is_ambiguous():
    world = World(make_exports(3), retry=Retry(ambiguous="stop"))
    world.service.after_post = lambda request, n: Broken("reset") if request == first(world.exports) else None
    report = await world.run()
    assert (report["outcome"], report["exports"][0]["error"]["code"]) == ("failed", "create.ambiguous")
    assert len(world.service.made) == 3


async def test_a_connection_that_never_opened_created_nothing():
    world = World(make_exports(3))
    world.service.before_post = lambda request, n: Broken("refused", sent=False) if n == 1 else None
    report = await world.run()
    assert (report["outcome"], report["api"]["possible_duplicates"]) == ("succeeded", 0)
    assert len(world.service.made) == 3


# ----------------------------------------------------------------------------------------------- outages and poison


async def test_a_short_outage_is_told_once_and_costs_nothing():
    world = World(make_exports(24), attempts=2)
    down = (12.0, 42.0)

    def answer(*_):
        return Broken("connection refused", sent=False) if down[0] < world.clock.now() - since < down[1] else None

    world.service.before_post = world.service.on_get = answer
    since = world.clock.now()
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.service.posts_sent - len(world.service.made) <= 24
    began, ended = world.told.of(OutageBegan), world.told.of(OutageEnded)
    assert [told.host for told in began + ended] == ["api", "api"]
    probes = [at for at in world.service.requests if began[0].at < at < since + down[1]]
    assert 1 <= len(probes) <= 5


async def test_a_long_outage_parks_the_run():
    world = World(make_exports(5))
    world.service.on_get = lambda made, n: Broken("502")
    report = await world.run()
    assert (report["outcome"], report["error"]["code"]) == ("unreachable", "host.unreachable")
    assert report["error"]["message"].endswith("for 900 s")
    assert report["counts"] == {"planned": 5, "stored": 0, "skipped": 0, "failed": 0, "pending": 5}
    assert 880 < world.clock.now() - world.told.all[0].at < 960
    world.service.on_get = lambda made, n: None
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 5)


async def test_an_outage_of_the_file_host_parks_the_run():
    world = World(make_exports(5))

    def refuse(made, n):
        raise FileBroken("connection refused")

    world.files.on_open = refuse
    report = await world.run()
    assert (report["outcome"], report["error"]["code"]) == ("unreachable", "file-host.unreachable")
    world.files.on_open = lambda made, n: None
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 5)


@pytest.mark.parametrize("poisoned", [0, 11, 23])
@pytest.mark.parametrize("kind", ["create", "poll", "download"])
async def test_a_poisoned_export_fails_and_the_others_are_stored(kind, poisoned):
    world = World(make_exports(24))
    bad = world.exports[poisoned].request
    if kind == "create":
        world.service.before_post = lambda request, n: Broken("500") if request == bad else None
    elif kind == "poll":
        world.service.on_get = lambda made, n: Broken("500") if made.request == bad else None
    else:
        world.files.etag = None
        world.files.on_open = lambda made, n: 100 if made.request == bad else None
    report = await world.run()
    assert report["outcome"] == "failed"
    assert report["counts"] == {"planned": 24, "stored": 23, "skipped": 0, "failed": 1, "pending": 0}
    assert report["exports"][poisoned]["error"]["code"] == "service.failing"
    assert world.clock.now() - world.told.all[0].at < 600


async def test_the_last_exports_are_told_from_an_outage_by_a_control_question():
    world = World(make_exports(4))
    others, poisoned = world.exports[:2], [export.request for export in world.exports[2:]]

    def answer(made, n):
        if made.request not in poisoned:
            return None
        return Broken("500") if world.good(*others) else Status("Processing")

    world.service.on_get = answer
    report = await world.run()
    assert (report["outcome"], report["counts"]["failed"], report["counts"]["stored"]) == ("failed", 2, 2)
    assert world.clock.now() - world.told.all[0].at < 600


# ---------------------------------------------------------------------------------------------------------- parking


async def test_the_deadline_parks_and_the_next_run_goes_on():
    world = World(make_exports(24))
    report = await world.run(park_after=12)
    assert report["outcome"] == "parked"
    assert report["counts"]["pending"] > 0
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.service.posts_sent == 24
    assert world.good(*world.exports)


async def test_a_post_under_way_is_waited_for_while_parking():
    world = World(make_exports(1))
    world.service.latency = POST_GRACE - 1
    report = await world.run(park_after=1)
    assert (report["outcome"], report["exports"][0]["report_ids"]) == ("parked", ["report-0000"])
    assert (await world.run())["api"]["posts"] == 1


async def test_a_post_without_an_answer_is_not_waited_for_for_ever():
    world = World(make_exports(1))
    world.service.latency = 3600
    report = await world.run(park_after=1)
    assert (report["outcome"], report["api"]["possible_duplicates"]) == ("parked", 1)
    assert world.clock.now() - world.told.all[0].at == pytest.approx(1 + POST_GRACE)


async def test_parking_lets_go_of_polls_and_downloads_at_once():
    world = World(make_exports(8))
    world.files.pause = 100.0
    asyncio.get_running_loop().call_later(60, lambda: world.runner.park("SIGTERM came"))
    report = await world.run()
    assert report["outcome"] == "parked"
    assert world.clock.now() - world.told.all[0].at == pytest.approx(60)
    assert world.files.running == 0
    assert not world.storage.temps


@pytest.mark.parametrize(("pause", "stored"), [(0.1, 1), (100.0, 0)])
async def test_a_download_at_the_deadline_has_the_last_seconds_to_end(pause, stored):
    calm = World(make_exports(1))
    await calm.run()
    began = next(told.at for told in calm.told.of(RequestSent) if told.kind == "fetch") - calm.told.all[0].at
    world = World(make_exports(1))
    world.files.pause = pause
    report = await world.run(park_after=began + 0.1)
    assert report["reason"] == "the deadline is near"
    assert report["counts"]["stored"] == stored
    assert world.clock.now() - world.told.all[0].at <= began + 0.1 + POST_GRACE
    assert not world.storage.temps


async def test_no_post_is_sent_once_the_run_parks():
    world = World(make_exports(3))

    def park_after_the_intent(told):
        if isinstance(told, ExportChanged) and told.event == "intended":
            world.runner.park("SIGTERM came")

    world.told.tell = lambda told: (world.told.all.append(told), park_after_the_intent(told))
    report = await world.run()
    assert (report["outcome"], report["api"]["posts"], report["api"]["possible_duplicates"]) == ("parked", 0, 0)
    assert report["reason"] == "SIGTERM came"
    assert len(world.told.of(Parking)) == 1


async def test_fail_fast_parks_at_the_first_failure():
    world = World(make_exports(24), fail_fast=True)
    world.service.before_post = lambda request, n: Invalid("tagIds") if request == world.exports[2].request else None
    report = await world.run()
    assert report["outcome"] == "failed"
    assert report["counts"]["pending"] > 0


async def test_a_full_disk_parks_the_run_and_keeps_what_is_stored():
    world = World(make_exports(6), downloads=1)
    place = world.storage.place

    async def full(temp, path):
        if path == world.exports[3].path:
            raise StorageError("no space left", code="storage.full")
        await place(temp, path)

    world.storage.place = full
    report = await world.run()
    assert (report["outcome"], report["error"]["code"]) == ("storage", "storage.full")
    world.storage.place = place
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.service.posts_sent == 6
    assert world.good(*world.exports)


async def test_a_bug_is_told_when_everything_is_home():
    world = World(make_exports(4))

    def bug(made, n):
        raise ZeroDivisionError

    world.service.on_get = bug
    assert (await world.run())["outcome"] == "bug"
    assert isinstance(world.runner.bug, ZeroDivisionError)
    world.service.on_get = lambda made, n: None
    assert (await world.run())["outcome"] == "succeeded"
    assert world.service.posts_sent == 4


async def test_a_bug_of_the_loop_itself_lets_answers_come_home(monkeypatch):
    calls = 0

    def odd(*arguments):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise ZeroDivisionError
        return choose(*arguments)

    choose = runner.choose
    monkeypatch.setattr(runner, "choose", odd)
    world = World(make_exports(4))
    world.service.latency = 1.0
    report = await world.run()
    assert (report["outcome"], report["reason"]) == ("bug", "an error of this program")
    assert isinstance(world.runner.bug, ZeroDivisionError)
    assert report["api"]["possible_duplicates"] == 0
    assert (await world.run())["outcome"] == "succeeded"
    assert len(world.service.posts) == 4


async def test_whoever_lost_the_journal_leaves_the_manifest_alone():
    world = World(make_exports(3))
    world.service.takes = lambda request: 1.0
    await world.run()
    appends = world.journal.appends
    world = World(make_exports(3))
    world.service.takes = lambda request: 1.0
    report = await world.run(dies_at=appends)
    assert report["outcome"] == "storage"
    assert report["counts"]["stored"] == 2
    manifest = await world.storage.read_manifest()
    assert manifest.exports == (), "as it was when the journal was still this run's"


# ------------------------------------------------------------------------------------------------------------ clocks


@pytest.mark.parametrize("shift", [-365 * 86_400.0, -86_400.0, 86_400.0, 365 * 86_400.0])
@pytest.mark.parametrize("park_after", [2, 12, 18])
async def test_the_clock_may_jump_between_two_runs(shift, park_after):
    world = World(make_exports(20), unfinished=4)
    world.service.after_post = lambda request, n: Broken("reset") if n == 1 and request["start"] % 7 == 0 else None
    await world.run(park_after=park_after)
    began = asyncio.get_running_loop().time()
    world.clock.shift += shift
    for made in world.service.made.values():
        made.created_at += shift  # the service has a clock of its own
    report = await world.run()
    assert report["outcome"] == "succeeded"
    assert world.good(*world.exports)
    assert asyncio.get_running_loop().time() - began < 600
    assert world.part(world.exports[0]).state is State.STORED


# ------------------------------------------------------------------------------------------ slow answers, low limits


@pytest.mark.parametrize(("per_second", "latency"), [(1.0, 5.0), (1.5, 5.0), (0.5, 20.0)])
async def test_a_low_rate_waits_for_no_answer(per_second, latency):
    world = World(make_exports(20), requests_per_second=per_second, unfinished=20)
    world.service.latency = latency
    world.service.takes = lambda request: 600.0
    await world.run()
    begun = [at for at, _ in world.service.posts]
    assert begun[-1] - begun[0] <= 21 / per_second


# ----------------------------------------------------------------------------------------- pauses of other runs


async def test_a_pause_that_another_run_was_asked_for_is_told_and_kept(tmp_path):
    world = World(make_exports(3))
    other, world.shared = Machine(tmp_path / "shared" / "a"), Machine(tmp_path / "shared" / "a")
    other.take(world.clock.now(), 0.2, 0)
    other.close_until(world.clock.now() + 600, world.clock.now())
    began = world.clock.now()
    report = await world.run()
    assert (report["outcome"], min(at for at, _ in world.service.posts) - began >= 600) == ("succeeded", True)
    assert [pause.until - began for pause in world.told.of(Paused)] == [600]


async def test_a_pause_of_another_run_that_is_too_long_parks_this_one_and_the_next(tmp_path):
    world = World(make_exports(3))
    other, world.shared = Machine(tmp_path / "shared" / "a"), Machine(tmp_path / "shared" / "a")
    other.take(world.clock.now(), 0.2, 0)
    other.close_until(world.clock.now() + 7200, world.clock.now())
    for shared in (world.shared, None):  # its own journal knows of it as well
        world.shared = shared
        report = await world.run()
        assert (report["outcome"], world.service.posts) == ("parked", [])
        assert "silence until" in report["reason"]


async def side_by_side(runs, path, **limits):
    """Runs of 24 exports each of one account, at one time. Gives the service, what was refused, and the seconds it took."""
    worlds = [World(make_exports(24, team=f"team-{n}"), **limits) for n in range(runs)]
    service = worlds[0].service
    service.takes = lambda request: 6.0
    service.before_post = lambda request, n: Throttled(1.0, "too many") if service.unfinished() >= 8 else None
    for world in worlds:
        world.service, world.files, world.shared = service, worlds[0].files, Machine(path / "shared" / "a")
    began = worlds[0].clock.now()
    reports = await asyncio.gather(*(world.run() for world in worlds))
    assert {report["outcome"] for report in reports} == {"succeeded"}
    return service, sum(report["api"]["throttled"] for report in reports), worlds[0].clock.now() - began


async def test_runs_side_by_side_find_the_cap_of_their_account_and_share_it(tmp_path):
    limits = {"unfinished": 64, "unfinished_start": 4, "requests_per_second": 50.0, "requests_start": 4.0}
    _, refused_alone, alone = await side_by_side(1, tmp_path, **limits)
    service, refused, together = await side_by_side(2, tmp_path, **limits)
    assert service.most_unfinished == 8
    assert refused <= 2 * refused_alone
    assert together < 2.2 * alone


async def test_others_know_of_a_run_that_asks_for_nothing_for_long(tmp_path):
    world = World(make_exports(3), policy="steady", first=1800.0)
    world.service.takes = lambda request: 1500.0
    other, world.shared = Machine(tmp_path / "shared" / "a"), Machine(tmp_path / "shared" / "a")
    found = []
    for at in (60, 600, 1400):
        asyncio.get_running_loop().call_later(at, lambda: found.append(other.take(world.clock.now(), 0.1, 0).others))
    report = await world.run()
    assert (report["outcome"], found) == ("succeeded", [3, 3, 3])


# ------------------------------------------------------------------------------------------------------------- parts


class Halves(Export):
    """An export that is asked for in two requests."""

    @property
    def parts(self):
        return ({**self.request, "half": 1}, {**self.request, "half": 2})


async def test_what_becomes_of_one_part_while_the_other_is_being_journalled_is_kept(monkeypatch):
    async def slow(journal, events):
        await asyncio.sleep(0.3)
        await append(journal, events)

    append = MemoryJournal.append
    monkeypatch.setattr(MemoryJournal, "append", slow)
    usual = make_export()
    world = World(
        [Halves(**{field.name: getattr(usual, field.name) for field in fields(usual)})], requests_per_second=50
    )
    await world.run()
    key = usual.key
    believed = world.runner._records[key]
    assert believed == record_from_text(world.disk.records[key])
    assert [part.state for part in believed.parts] == [State.STORED, State.STORED]
