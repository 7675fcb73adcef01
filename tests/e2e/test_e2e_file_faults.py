"""What the file host does wrong, each fault on an inbox of its own."""

import hashlib

import pytest

from orchestrator.simulator.rows import expected_result


def fault(do, **more):
    return {"on": "download", "do": do, "times": 1, **more}


CUT = fault("truncate", after=0.6)
# Inbox: what happens to its downloads, how many of them there are, and how many creations.
FAULTS = {
    "calm": ([], 1, 1),
    "cut": ([CUT], 2, 1),
    "cut-rst": ([CUT | {"by": "rst"}], 2, 1),
    "cut-early": ([CUT | {"after": 0}], 2, 1),
    "cut-thrice": ([CUT | {"times": 3}], 4, 1),
    "etag": ([CUT, fault("etag_change", match={"nth": 2})], 2, 1),
    "wrong-range": ([CUT, fault("wrong_range")], 3, 1),
    "forbidden": ([fault("forbidden")], 2, 1),
    "cut-and-dead": ([CUT, fault("forbidden", match={"nth": 2})], 3, 1),
    "flip": ([fault("corrupt", how="flip")], 2, 1),
    "flip-thrice": ([fault("corrupt", how="flip", times=3)], 4, 2),
    "html": ([fault("corrupt", how="html")], 2, 1),
    "html-after": ([fault("corrupt", how="html_after")], 2, 1),
    "empty": ([fault("corrupt", how="empty")], 2, 1),
    "object": ([fault("corrupt", how="object")], 2, 1),
    "short": ([fault("corrupt", how="cut")], 2, 1),
    "no-length": ([fault("no_length")], 2, 1),
    "http-500": ([fault("status", code=500, body="html")], 2, 1),
    "http-503": ([fault("status", code=503, retry_after=0.2)], 2, 1),
    "reset": ([fault("reset_before", by="rst")], 2, 1),
    "hang": ([fault("hang")], 2, 1),
    "stall": ([CUT | {"by": "hang"}], 2, 1),
    "redirect": ([fault("redirect", to="{url}")], 2, 1),
}


def by_team(it, report):
    """Downloads of each inbox, by the ids of its reports."""
    return {
        export["coordinates"]["team"]: [
            entry for entry in it.sim.stats.downloads if entry.export in export["report_ids"]
        ]
        for export in report["exports"]
    }


async def test_every_fault_strikes_its_own_file_and_all_are_whole_in_the_end(stage):
    rules = [
        rule | {"match": rule.get("match", {}) | {"team": f"id-{team}"}}
        for team, (faults, _, _) in FAULTS.items()
        for rule in faults
    ]
    # Larger than a client's buffers: what is cut while nobody has read it yet may be lost, and is fetched again.
    async with stage(faults=rules, rows=2500) as it:
        it.job(months=1, teams=list(FAULTS), network={"timeout": 1}, retry={"attempts": 8})
        report = await it.report()
        it.check_stored(len(FAULTS), revisions={"etag/2020-01.json": 1})
        downloads = by_team(it, report)
        for export in report["exports"]:
            team = export["coordinates"]["team"]
            assert (len(downloads[team]), export["attempts"]) == FAULTS[team][1:], (team, export)
        length = report["exports"][0]["bytes"]
        for team in ("cut", "cut-thrice", "cut-and-dead", "stall"):
            last = downloads[team][-1]
            assert last.status == 206
            start = int(last.headers["range"].removeprefix("bytes=").removesuffix("-"))
            assert 0 < start < length
            assert last.sent == length - start
            assert "if-range" in last.headers
        assert downloads["etag"][1].status == 200
        assert it.sim.stats.with_credentials == 0


async def test_a_url_that_has_died_in_the_queue_is_asked_for_anew(stage):
    async with stage(url_lifetime=0.6, rows=1000, download_rate=700_000) as it:
        it.job(months=3, limits={"downloads": 1})
        report = await it.report()
        it.check_stored(3)
        assert len(it.sim.stats.posts) == 3
        assert any(entry.status == 403 for entry in it.sim.stats.downloads)
        assert report["api"]["possible_duplicates"] == 0


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"do": "no_length"}, "service.failing"),
        ({"do": "forbidden"}, "download.refused"),
        ({"do": "corrupt", "how": "html"}, "content"),
        ({"do": "corrupt", "how": "flip"}, "content"),
    ],
)
async def test_a_file_that_never_comes_right_fails_alone_and_leaves_nothing(stage, rule, code):
    async with stage(faults=[{"on": "download", "match": {"team": "id-bad"}} | rule]) as it:
        it.job(months=3, teams=("good", "bad"), retry={"attempts": 3, "exports": 1})
        report = await it.report(status=1)
        failed = [export for export in report["exports"] if export["state"] == "failed"]
        assert {export["coordinates"]["team"] for export in failed} == {"bad"}
        assert len(failed) == 3
        for export in failed:
            assert export["error"]["code"].startswith(code), export["error"]
            assert export["error"]["hint"]
        it.check_stored(3)
        it.change(faults=[])
        await it.report()
        it.check_stored(6)


async def test_a_weak_etag_and_no_ranges_begin_again_from_the_start(stage):
    cut = [{"on": "download", "do": "truncate", "times": 1}]
    async with stage(etag="weak", faults=cut) as it:
        it.job(months=1)
        await it.report()
        it.check_stored(1)
        assert "range" not in it.sim.stats.downloads[-1].headers
    async with stage(ranges=False, faults=cut) as it:
        it.job(months=1, output={"to": "./others"})
        await it.report()
        data = (it.folder / "others" / "2020-01.json").read_bytes()
        wanted = expected_result(it.sim.stats.posts[0].body, it.sim.scenario)
        assert hashlib.sha256(data).hexdigest() == wanted.sha256


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        pytest.param("http://10.0.0.1/x", marks=pytest.mark.long),
        pytest.param("http://loop.example.com/x", marks=pytest.mark.long),
        "file:///etc/passwd",
        pytest.param("https://2130706433/x", marks=pytest.mark.long),
    ],
)
async def test_files_are_never_fetched_from_where_they_must_not_be(stage, target):
    """Neither by a redirect nor because the API names such a place."""
    redirect = {"on": "download", "do": "redirect", "to": f"{target}?Signature=canary"}
    async with stage(faults=[redirect]) as it:
        it.job(months=1)
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 7, str(ended)
        assert ended.json["error"]["code"] == "file-host.untrusted"
        assert "canary" not in ended.out + ended.err
        answer = f'{{"id": "{{id}}", "status": "Completed", "url": "{target}?Signature=canary"}}'
        named = {"on": "get", "do": "bad_json", "text": answer}
        it.change(faults=[named])
        asked = len(it.sim.stats.downloads)
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 7, str(ended)
        assert ended.json["error"]["code"] == "file-host.untrusted"
        assert len(it.sim.stats.downloads) == asked
        assert len(it.sim.stats.posts) == 1
