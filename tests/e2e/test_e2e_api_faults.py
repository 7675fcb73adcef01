"""What the API does wrong, each fault on an inbox of its own, so that one run shows that they don't touch each other."""

import asyncio
import contextlib
import json

import pytest

GOOD = {"state": "stored", "attempts": 1, "doubts": 0, "reports": 1}
FAILED = {"state": "failed", "attempts": 1, "doubts": 0, "reports": 0}


def create(do, **more):
    return {"on": "create", "do": do, **more}


def get(do, **more):
    return {"on": "get", "do": do, **more}


# Inbox: what happens to it, and how its export ends.
FAULTS = {
    "calm": ([], GOOD),
    "no-id": ([create("no_id", times=1)], GOOD | {"attempts": 2, "doubts": 1}),
    "bad-json": ([create("bad_json", times=1)], GOOD | {"attempts": 2, "doubts": 1}),
    "reset-after": ([create("reset_after", times=1, by="rst")], GOOD | {"attempts": 2, "doubts": 1}),
    "http-500": ([create("status", code=500, body="html", times=1)], GOOD | {"attempts": 2, "doubts": 1}),
    "http-502": ([create("status", code=502, created=True, times=1)], GOOD | {"attempts": 2, "doubts": 1}),
    "http-503": ([create("status", code=503, retry_after=0.3, times=1)], GOOD | {"attempts": 2}),
    "http-429": ([create("status", code=429, retry_after=0.3, times=1)], GOOD | {"attempts": 2}),
    "http-400": ([create("status", code=400)], FAILED),
    "odd-status": ([create("unknown_status")], GOOD),
    "reason": ([create("wrong_status_text"), get("wrong_status_text")], GOOD),
    "fails-once": ([create("failed", times=1)], GOOD | {"attempts": 2, "reports": 2}),
    "fails-always": ([create("failed")], FAILED | {"attempts": 3, "reports": 3}),
    "expires": ([create("expire", times=1)], GOOD | {"attempts": 2, "reports": 2}),
    "stuck": ([create("stuck", times=1)], GOOD | {"attempts": 2, "reports": 2}),
    "archived": ([get("unknown_status", times=2)], GOOD),
    "no-url": ([get("completed_without_url", times=2)], GOOD),
    "lost-once": ([get("status", code=404, times=1)], GOOD),
    "lost": ([get("status", code=404, times=3)], GOOD | {"attempts": 2, "reports": 2}),
    "get-500": ([get("status", code=500, times=1)], GOOD),
    "get-html": ([get("status", code=200, body="html", times=1)], GOOD),
    "get-json": ([get("bad_json", times=1)], GOOD),
    "get-reset": ([get("reset_before", by="rst", times=1)], GOOD),
    "get-late": ([get("delay", seconds=0.5, times=1)], GOOD),
}  # fmt: skip


async def test_every_fault_strikes_its_own_export_and_no_other(stage):
    rules = [
        fault | {"match": fault.get("match", {}) | {"team": f"id-{team}"}}
        for team, (faults, _) in FAULTS.items()
        for fault in faults
    ]
    async with stage(faults=rules, pending={"min": 0, "max": 0.2}, duration={"min": 0.05, "max": 0.2}) as it:
        # Few at a time and good answers between the bad ones: a host that only ever fails would be an outage.
        it.job(
            months=1,
            teams=list(FAULTS),
            retry={"exports": 2, "stuck_after": 2.5, "attempts": 6},
            limits={"requests_per_second": 60},
        )
        report = await it.report(status=1)
        for export in report["exports"]:
            team = export["coordinates"]["team"]
            found = {
                "state": export["state"],
                "attempts": export["attempts"],
                "doubts": export["possible_duplicates"],
                "reports": len(export["report_ids"]),
            }
            assert found == FAULTS[team][1], (team, export)
        stored = [team for team, (_, ends) in FAULTS.items() if ends["state"] == "stored"]
        it.check_stored(len(stored))
        errors = {export["coordinates"]["team"]: export["error"] for export in report["exports"] if export["error"]}
        assert errors["http-400"]["code"] == "request.invalid"
        assert "planted by a rule: 400" in errors["http-400"]["message"], "the service's own words"
        assert errors["fails-always"]["code"] == "export.failed"
        assert report["api"]["possible_duplicates"] == 5
        assert report["api"]["throttled"] == 1
        assert it.sim.stats.early_requests == []


async def test_a_refused_request_is_sent_again_only_when_it_is_asked_for(stage):
    async with stage(faults=[create("status", code=400, match={"nth": 2})]) as it:
        it.job(months=3)
        report = await it.report(status=1)
        assert report["counts"]["failed"] == 1
        assert report["outcome"] == "failed"
        asked = it.requests()
        again = await it.report(status=1)
        assert it.requests() == asked
        assert again["counts"] == {"planned": 3, "stored": 0, "skipped": 2, "failed": 1, "pending": 0}
        assert "planted by a rule: 400" in json.dumps(again["exports"])
        report = await it.report("job.yaml", "--only", "failed")
        assert report["counts"]["stored"] == 1
        assert len(it.sim.stats.posts) == 4
        it.check_stored(3)


async def test_other_failures_are_tried_afresh_by_the_next_run(stage):
    async with stage(faults=[create("failed", times=2)]) as it:
        it.job(months=1, retry={"exports": 1})
        report = await it.report(status=1)
        assert report["exports"][0]["error"]["code"] == "export.failed"
        await it.report()
        it.check_stored(1)
        assert len(it.sim.stats.posts) == 3


@pytest.mark.parametrize("fault", [create("no_id"), create("reset_after")])
async def test_stop_fails_an_ambiguous_creation_with_a_hint(stage, fault):
    async with stage(faults=[fault | {"match": {"nth": 2}}]) as it:
        it.job(months=3, retry={"ambiguous": "stop"})
        report = await it.report(status=1)
        (error,) = [export["error"] for export in report["exports"] if export["error"]]
        assert error["code"] == "create.ambiguous"
        assert "Look in Loop" in error["hint"]
        assert len(it.sim.stats.posts) == 3
        assert report["counts"]["stored"] == 2


async def test_pending_is_told_from_expired_by_memory(stage):
    async with stage(pending=1.2, duration=0.1) as it:
        it.job(months=2, retry={"exports": 0})
        await it.report()
        assert len(it.sim.stats.posts) == 2
        assert any(poll.state == "PendingOrExpired" for poll in it.sim.stats.polls)
        it.check_stored(2)


async def test_an_export_that_expired_before_it_was_fetched_is_made_again(stage):
    away = {"for": 6, "on": "files"}  # long enough for a slow machine to have started the program
    async with stage(outages=[away], expires_after=0.8, duration=0.3) as it:
        it.job(months=2, retry={"attempts": 9, "exports": 9, "outage": 60})
        report = await it.report()
        it.check_stored(2)
        assert len(it.sim.stats.created) > 2
        assert report["api"]["possible_duplicates"] == 0


@contextlib.asynccontextmanager
async def trap():
    """A listener that must never hear from anybody; gives its port and the bytes that it got."""
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


@pytest.mark.parametrize(("on", "code"), [("create", 307), ("get", 302)])
async def test_an_api_that_redirects_is_not_followed(stage, on, code):
    async with trap() as (port, heard):
        fault = {"on": on, "do": "redirect", "code": code, "to": f"http://127.0.0.1:{port}/x?token=1"}
        async with stage(faults=[fault]) as it:
            it.job(months=1)
            ended = await it.run("run", "job.yaml", "--json")
            assert ended.status == 7, str(ended)
            assert "redirects" in ended.json["error"]["cause"]
            assert "?token" not in ended.out + ended.err
        assert heard == []
