"""`report`: the last run as files, from the job's state or from what `run --json` printed."""

import json
import signal
from xml.etree import ElementTree as ET

import pytest

TROUBLED = {
    "rate_limit": {"per_second": 30, "burst": 10, "retry_after": 0.3},
    "faults": [
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-sales", "nth": 2}},
        {"on": "create", "do": "failed", "match": {"team": "id-support"}, "times": 1},
    ],
}


async def test_a_run_is_rendered_three_ways_at_once(stage):
    async with stage(**TROUBLED) as it:
        it.job(months=3, teams=["support", "sales"])
        record = await it.report(status=1)
        (it.folder / "a").mkdir()
        told = await it.run("report", "job.yaml", "--html", "a/r.html", "--markdown", "r.md", "--junit", "r.xml")
        assert told.status == 0, str(told)
        assert told.out == ""
        assert "html: a/r.html" in told.people
        assert (it.folder / "a/r.html").read_text().startswith("<!doctype html>")
        assert "rehearsal: 1 export failed" in (it.folder / "r.md").read_text()
        (error,) = (export["error"] for export in record["exports"] if export["error"])
        assert error["cause"].startswith("usually an id that there is not (any more); or")
        assert all(error["cause"] in (it.folder / file).read_text() for file in ("a/r.html", "r.md", "r.xml"))
        suite = ET.fromstring((it.folder / "r.xml").read_text())[0]
        assert (suite.get("tests"), suite.get("failures")) == ("6", "1")
        assert [case.get("name") for case in suite.iter("testcase")] == [
            " ".join(export["coordinates"].values()) for export in record["exports"]
        ]
        assert not list(it.folder.glob("**/.r.*"))


async def test_what_run_printed_is_rendered_like_what_is_kept_also_without_the_job(stage):
    async with stage(**TROUBLED) as it:
        it.job(months=2, teams=["support", "sales"])
        printed = await it.run("run", "job.yaml", "--json")
        (it.folder / "run.json").write_text(printed.out)
        kept = [await it.run("report", "job.yaml", f"--{kind}", "-") for kind in ("html", "markdown", "junit")]
        (it.folder / "job.yaml").unlink()
        there = [await it.run("report", "run.json", f"--{kind}", "-") for kind in ("html", "markdown", "junit")]
        assert [each.status for each in kept + there] == [0] * 6
        assert [each.out for each in kept] == [each.out for each in there]
        with (it.folder / "run.json").open() as stdin:
            piped = await it.run("report", "-", "--junit", "-", stdin=stdin)
        assert piped.out == there[2].out


async def test_a_report_is_never_written_over_what_it_is_made_from(stage):
    async with stage() as it:
        it.job(months=2, teams=["support"])
        printed = await it.run("run", "job.yaml", "--json")
        assert printed.status == 0, str(printed)
        (it.folder / "run.json").write_text(printed.out)
        (export, _) = json.loads(printed.out)["exports"]
        manifest = it.exports / "manifest.json"
        kept = [("job.yaml", it.folder / "job.yaml"), ("job.yaml", manifest), ("job.yaml", it.exports / export["path"])]
        for source, target in [*kept, ("run.json", it.folder / "run.json")]:
            before = target.read_bytes()
            for kind in ("html", "markdown", "junit"):
                told = await it.run("report", source, f"--{kind}", str(target))
                assert told.status == 2, str(told)
                assert "this would be written over" in told.people
            assert target.read_bytes() == before


async def test_what_is_kept_of_the_time_adds_up_to_the_run_s_figures(stage):
    async with stage(**TROUBLED) as it:
        it.job(months=6, teams=["support", "sales"])
        record = await it.report(status=1)
        assert record["api"]["throttled"] > 0
        for name in ("posts", "polls", "throttled"):
            assert sum(bucket[name] for bucket in record["history"]) == record["api"][name], name
        assert sum(bucket["bytes"] for bucket in record["history"]) == record["bytes"]
        assert sum(bucket["paused"] for bucket in record["history"]) > 0
        for export in record["exports"]:
            names, times = zip(*export["stages"], strict=True)
            assert names[0] == "queued"
            assert names[-1] == "end"
            assert ("transfer" in names) == (export["state"] == "stored")
            assert list(times) == sorted(times)


async def test_without_a_format_it_is_the_summary_and_how_to_get_more(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        told = await it.run("report", "job.yaml")
        assert told.status == 0
        assert told.out.startswith("rehearsal: done, 2 exports stored")
        assert "As a page: orchestrator report job.yaml --html report.html" in told.err.splitlines(), "to be pasted"


async def test_before_any_run_there_is_nothing_to_report(stage):
    async with stage() as it:
        it.job()
        told = await it.run("report", "job.yaml", "--html", "r.html")
        assert told.status == 2
        assert "[report.none]" in told.people
        assert "orchestrator run job.yaml" in told.people
        assert not (it.folder / "r.html").exists()


async def test_while_a_run_is_active_the_one_before_is_told_and_that_it_is(stage):
    async with stage(duration=60) as it:
        it.job(months=2)
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 2)
        told = await it.run("report", "job.yaml", "--markdown", "-")
        assert told.status == 2
        assert "its first run is still active" in told.people
        running.send(signal.SIGTERM)
        assert (await running.ended()).status == 3

        running = await it.start("run", "job.yaml")
        await running.says("2 exports to do")
        told = await it.run("report", "job.yaml", "--markdown", "-")
        assert told.status == 0, str(told)
        assert "parked before the end" in told.out
        assert "this is the one before" in told.people
        running.send(signal.SIGTERM)
        await running.ended()


async def test_of_a_killed_run_there_is_no_report_and_that_is_told(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        it.change(duration=60)
        it.job(months=2)
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 2)
        running.send(signal.SIGKILL)
        await running.ended()
        told = await it.run("report", "job.yaml", "--markdown", "-")
        assert told.status == 0
        assert "done, 1 export stored" in told.out
        assert "did not end in its own words (killed?)" in told.people


async def test_a_selection_narrows_the_report_of_a_job_and_is_refused_for_a_file(stage):
    async with stage() as it:
        it.job(months=3, teams=["support", "sales"])
        (it.folder / "run.json").write_text(json.dumps(await it.report()))
        select = ("--select", "team=sales", "--from", "2020-02", "--junit", "-")
        suite = ET.fromstring((await it.run("report", "job.yaml", *select)).out)[0]
        assert [case.get("name") for case in suite.iter("testcase")] == ["sales 2020-02", "sales 2020-03"]
        refused = await it.run("report", "run.json", *select)
        assert refused.status == 2
        assert "name the job file" in refused.people


async def test_options_come_from_the_environment_as_well(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        told = await it.run("report", "job.yaml", env={"ORCHESTRATOR_REPORT_MARKDOWN": "-"})
        assert told.out.startswith("## ✅ rehearsal: done, 1 export stored")


async def test_the_markdown_keeps_to_a_limit(stage):
    async with stage() as it:
        it.job(months=20, teams=["a", "b", "c", "d"])
        await it.report()
        whole = await it.run("report", "job.yaml", "--markdown", "-")
        cut = await it.run("report", "job.yaml", "--markdown", "-", "--markdown-limit", "600")
        assert len(cut.out.encode()) <= 601 < len(whole.out.encode())
        assert "cut to fit" in cut.out


@pytest.mark.parametrize("wrong", [("--html", "-", "--junit", "-"), ("--html", "job.yaml/r.html"), ("--junit", ".")])
async def test_what_can_t_be_written_is_an_error_and_leaves_the_rest_as_it_was(stage, wrong):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        before = {path: path.read_bytes() for path in it.folder.iterdir() if path.is_file()}
        told = await it.run("report", "job.yaml", *wrong)
        assert told.status == (2 if "-" in wrong else 6), str(told)
        assert {path: path.read_bytes() for path in it.folder.iterdir() if path.is_file()} == before


async def test_no_folder_is_made_for_a_report(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        told = await it.run("report", "job.yaml", "--html", "nowhere/r.html")
        assert told.status == 6, str(told)
        assert "hint: Make its folder first" in told.people
        assert not (it.folder / "nowhere").exists()


async def test_a_run_with_nothing_to_do_leaves_the_report_that_is_worth_reading(stage):
    async with stage() as it:
        it.job(months=2)
        await it.report()
        first = await it.run("report", "job.yaml", "--html", "-")
        assert "found nothing to do" not in first.people
        assert (await it.report())["counts"]["skipped"] == 2
        told = await it.run("report", "job.yaml")
        assert told.out.startswith("rehearsal: done, 2 exports stored")
        assert "found nothing to do; this is the last one that did something" in told.people
        assert (await it.run("report", "job.yaml", "--html", "-")).out == first.out


async def test_a_report_is_replaced_whole(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        old = it.folder / "r.md"
        old.write_text("an old report")
        with old.open() as reader:  # somebody who reads the old one goes on reading it
            assert (await it.run("report", "job.yaml", "--markdown", "r.md")).status == 0
            assert reader.read() == "an old report"
        assert old.read_text().startswith("## ✅")


@pytest.mark.parametrize("text", ["{}", '{"schema": "orchestrator.run/1"}', '{"schema": "orchestrator.run/9"}'])
async def test_a_file_that_is_no_report_is_refused(stage, text):
    async with stage() as it:
        (it.folder / "run.json").write_text(text)
        told = await it.run("report", "run.json", "--html", "-")
        assert told.status == 2, str(told)
        assert told.out == ""
