"""A backfill when nothing goes wrong: files, manifest, report, permissions, and a second run with nothing to do."""

import itertools
import json
import os
import re
import stat
import zipfile

import pytest

from orchestrator.simulator.rows import expected_result

INSTANT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ENTRY = {"key", "coordinates", "state", "report_ids", "path", "bytes", "sha256", "rows", "attempts", "polls"} | {
    "possible_duplicates",
    "timings",
    "error",
}
STORED = {"key", "coordinates", "report_ids", "path", "bytes", "sha256", "rows", "request", "impersonate", "window"} | {
    "exported_at",
    "partial",
    "parts",
}


async def test_24_exports_end_as_the_contract_says_and_a_second_run_asks_nothing(stage):
    async with stage(rows={"min": 0, "max": 40}) as it:
        it.job(months=12, teams=("support", "sales"), request={"timezone": "Europe/Ljubljana"})
        report = await it.report()
        it.check_stored(24)

        ledger = it.sim.stats
        assert len(ledger.posts) == 24
        assert ledger.with_credentials == 0
        assert report["schema"] == "orchestrator.run/1"
        assert report["job"] == "rehearsal"
        assert report["run_id"]
        assert report["outcome"] == "succeeded"
        assert INSTANT.fullmatch(report["started_at"])
        assert INSTANT.fullmatch(report["finished_at"])
        assert report["started_at"] <= report["finished_at"]
        assert report["counts"] == {"planned": 24, "stored": 24, "skipped": 0, "failed": 0, "pending": 0}
        assert report["api"] == {
            "posts": 24,
            "polls": len(ledger.polls),
            "throttled": 0,
            "errors": 0,
            "possible_duplicates": 0,
        }
        manifest = it.manifest()
        assert manifest["schema"] == "orchestrator.manifest/1"
        assert manifest["job"] == "rehearsal"
        told = {entry["key"]: entry for entry in manifest["exports"]}
        posted = {post.created: post for post in ledger.posts}
        for export in report["exports"]:
            assert set(export) >= ENTRY
            assert export["state"] == "stored"
            assert export["attempts"] == 1
            assert export["polls"] >= 1
            assert export["error"] is None
            timings = [export["timings"][name] for name in ("submitted_at", "ready_at", "stored_at")]
            assert all(map(INSTANT.fullmatch, timings))
            assert timings == sorted(timings)
            entry = told[export["key"]]
            assert set(entry) >= STORED
            for name in ("coordinates", "report_ids", "path", "bytes", "sha256", "rows"):
                assert entry[name] == export[name]
            assert entry["path"] == "{team}/{window}.json".format(**entry["coordinates"])
            assert not entry["partial"]
            assert entry["impersonate"] is None
            assert INSTANT.fullmatch(entry["exported_at"])
            (report_id,) = export["report_ids"]
            assert posted[report_id].body == entry["request"]
            assert [(part["request"], part["report_id"]) for part in entry["parts"]] == [(entry["request"], report_id)]
            assert entry["window"]["start"] == entry["request"]["start"]
            assert entry["window"]["end"] == entry["request"]["end"]
        assert report["bytes"] == sum(entry["bytes"] for entry in manifest["exports"])
        assert report["rows"] == sum(entry["rows"] for entry in manifest["exports"])

        asked = it.requests()
        again = await it.report()
        assert it.requests() == asked
        assert again["outcome"] == "succeeded"
        assert again["counts"] == {"planned": 24, "stored": 0, "skipped": 24, "failed": 0, "pending": 0}
        assert again["api"]["posts"] == again["api"]["polls"] == 0


async def test_windows_are_asked_for_at_local_midnights_and_tile(stage):
    async with stage() as it:
        it.job(months=12, request={"timezone": "Europe/Ljubljana"})
        await it.report()
        asked = sorted((post.body["start"], post.body["end"]) for post in it.sim.stats.posts)
        assert asked[0][0] == 1577833200  # 2019-12-31T23:00:00Z
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(asked))
        assert {post.body["timezone"] for post in it.sim.stats.posts} == {"Europe/Ljubljana"}


@pytest.mark.parametrize("how", [{"chunked": True}, {"encoding": "gzip"}])
async def test_however_the_file_host_sends_the_decoded_file_is_what_is_stored(stage, how):
    async with stage(rows=2000, **how) as it:
        it.job(months=2)
        await it.report()
        it.check_stored(2)


async def test_workbooks_beside_json_and_a_user_to_impersonate(stage):
    async with stage(rows=20, created_status=201) as it:
        it.job(
            months=2,
            matrix={"format": ["json", "xlsx"], "impersonate": {"ana": "ana@example.com"}},
            output={"path": "{impersonate}/{window}.{ext}"},
        )
        await it.report()
        it.check_stored(4)
        assert it.data_files() == {f"ana/2020-0{n}.{ext}" for n in (1, 2) for ext in ("json", "xlsx")}
        assert zipfile.is_zipfile(it.exports / "ana/2020-01.xlsx")
        assert {post.impersonate for post in it.sim.stats.posts} == {"ana@example.com"}
        assert {poll.impersonate for poll in it.sim.stats.polls} == {"ana@example.com"}
        for entry in it.manifest()["exports"]:
            assert entry["impersonate"] == "ana@example.com"
            assert entry["rows"] in (20, None if entry["path"].endswith("xlsx") else 20)


async def test_data_is_readable_by_umask_and_the_state_by_its_owner_alone(stage):
    async with stage() as it:
        it.job(months=1, teams=("support",))
        await it.report(umask=0o027)

        def mode(*path):
            return stat.S_IMODE(os.stat(it.exports.joinpath(*path)).st_mode)

        assert mode("support", "2020-01.json") == 0o640
        assert mode("manifest.json") == 0o640
        assert mode("support") == 0o750
        assert mode(".orchestrator") == 0o700
        assert mode(".orchestrator", "journal.db") == 0o600
        assert {path.name for path in it.folder.iterdir()} == {"job.yaml", "exports"}


@pytest.mark.parametrize("how", ["option", "job file"])
async def test_the_state_may_live_elsewhere(stage, how):
    async with stage() as it:
        it.job(months=1, output={"state": "./kept/state"} if how == "job file" else {})
        option = ("--state", it.folder / "kept" / "state") if how == "option" else ()
        await it.report("job.yaml", *option)
        assert not it.state.exists()
        assert (it.folder / "kept" / "state" / "journal.db").is_file()
        asked = it.requests()
        await it.report("job.yaml", *option)
        assert it.requests() == asked
        status = await it.run("status", "job.yaml", "--json", *option)
        assert status.json["counts"]["stored"] == 1


async def test_open_windows_wait_and_future_ones_are_not_asked_for(stage):
    async with stage() as it:
        it.job(matrix={"window": {"every": "year", "from": "2020", "to": "2199"}})
        plan = (await it.run("plan", "job.yaml", "--json")).json
        closed = [export for export in plan["exports"] if export["action"] == "run"]
        report = await it.report()
        assert report["counts"]["stored"] == len(closed) == len(it.sim.stats.posts)
        assert report["counts"]["skipped"] == 180 - len(closed)
        reasons = [export["reason"] for export in plan["exports"] if export["action"] == "wait"]
        assert reasons[0].startswith("open until ")
        it.job(matrix={"window": {"every": "year", "from": "2198", "to": "2199"}})
        asked = it.requests()
        report = await it.report()
        assert report["outcome"] == "succeeded"
        assert it.requests() == asked


async def test_an_open_window_that_is_wanted_is_exported_as_partial(stage):
    async with stage() as it:
        it.job(matrix={"window": {"every": {"days": 3000}, "from": "2020-01-01", "include_current": True, "to": None}})
        report = await it.report()
        (entry,) = [entry for entry in it.manifest()["exports"] if entry["partial"]]
        (export,) = [export for export in report["exports"] if export["key"] == entry["key"]]
        assert export["state"] == "stored"
        data = (it.exports / entry["path"]).read_bytes()
        assert len(json.loads(data)) == expected_result(entry["request"], it.sim.scenario).rows
