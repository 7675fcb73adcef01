"""In a step of GitHub Actions: summary, outputs and annotations, and what none of them may do to results."""

import json
import re

import pytest


@pytest.fixture
def step(tmp_path):
    """The environment of a step whose repository is the test's folder."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "outputs"),
    }


def outputs(it):
    return dict(
        re.findall(
            r"(?ms)^([a-z-]+)<<(?:end-[0-9a-f]{32})\n(.*?)\nend-[0-9a-f]{32}$", (it.folder / "outputs").read_text()
        )
    )


def annotations(ended):
    return [line for line in ended.err.splitlines() if line.startswith("::")]


REFUSED = [{"on": "create", "do": "status", "code": 400, "match": {"nth": 2}}]


async def test_a_failed_run_is_told_in_all_three_ways_and_stdout_stays_results(stage, step):
    async with stage(faults=REFUSED) as it:
        it.job(teams=["support"], limits={"unfinished": 1})
        ended = await it.run("run", "job.yaml", "--json", env=step)
        assert ended.status == 1
        assert ended.json["counts"]["failed"] == 1
        (told,) = annotations(ended)
        assert told.startswith("::error file=job.yaml,title=request.invalid::support 2020-02: the service refuses")
        assert "%0Ahint: " in told
        summary = (it.folder / "summary.md").read_text()
        assert "1 export failed" in summary
        assert summary.index("support 2020-02") < summary.index("### Grid")
        found = outputs(it)
        assert found == {
            "outcome": "failed",
            "exit-code": "1",
            "run-id": ended.json["run_id"],
            "stored": "2",
            "skipped": "0",
            "failed": "1",
            "pending": "0",
            "possible-duplicates": "0",
            "manifest": str(it.exports / "manifest.json"),
        }


async def test_a_parked_run_is_a_notice(stage, step):
    async with stage(duration=60) as it:
        it.job(months=1)
        ended = await it.run("run", "job.yaml", "--deadline", "2s", env=step)
        assert ended.status == 3
        (told,) = annotations(ended)
        assert told.startswith("::notice file=job.yaml,title=parked::")
        assert outputs(it)["outcome"] == "parked"
        assert outputs(it)["pending"] == "1"


@pytest.mark.parametrize("command", ["run", "plan", "validate"])
async def test_errors_of_the_job_file_are_annotated_where_they_stand(stage, step, command):
    async with stage() as it:
        text = it.job().read_text()
        (it.folder / "jobs").mkdir()
        (it.folder / "jobs/job.yaml").write_text(f"{text}surplus: 1\n")
        line = len(text.splitlines()) + 1
        ended = await it.run(command, "jobs/job.yaml", env=step)
        assert ended.status == 2
        (told,) = annotations(ended)
        assert told.startswith(f"::error file=jobs/job.yaml,line={line},col=1,title=job.invalid::surplus: ")
        if command == "run":
            assert outputs(it) == {"outcome": "wrong", "exit-code": "2"}
            assert "surplus" in (it.folder / "summary.md").read_text()
        else:
            assert not (it.folder / "outputs").exists()


async def test_runs_that_ended_before_they_began_are_told_as_well(stage, step):
    async with stage() as it:
        it.job()
        (it.folder / "exports").write_text("a file where the folder should be")
        ended = await it.run("run", "job.yaml", env=step)
        assert ended.status == 6
        (told,) = annotations(ended)
        assert told.startswith("::error file=job.yaml,title=storage.")
        assert outputs(it)["outcome"] == "storage"
        assert outputs(it)["run-id"] == ""
        assert "storage" in (it.folder / "summary.md").read_text()


async def test_a_second_run_of_the_job_is_told_that_it_is_locked(stage, step):
    async with stage(duration=60) as it:
        it.job(months=1)
        first = await it.start("run", "job.yaml")
        await it.until(lambda: it.sim.stats.created)
        ended = await it.run("run", "job.yaml", env=step)
        assert ended.status == 5
        assert outputs(it) == {"outcome": "locked", "exit-code": "5"}
        assert annotations(ended)[0].startswith("::error title=run.locked::")
        first.process.terminate()
        await first.ended()


async def test_outside_of_github_and_with_ci_none_nothing_is_told(stage, step):
    async with stage(faults=REFUSED) as it:
        it.job()
        for env, options in ((step | {"GITHUB_ACTIONS": ""}, ()), (step, ("--ci", "none"))):
            ended = await it.run("run", "job.yaml", *options, env=env)
            assert annotations(ended) == []
            assert not (it.folder / "summary.md").exists()
            assert not (it.folder / "outputs").exists()


async def test_asked_for_it_is_told_without_githubs_word(stage, step):
    async with stage(faults=REFUSED) as it:
        it.job()
        ended = await it.run("run", "job.yaml", env={**step, "GITHUB_ACTIONS": "", "ORCHESTRATOR_RUN_CI": "github"})
        assert len(annotations(ended)) == 1


async def test_logs_for_machines_hold_no_commands(stage, step):
    async with stage(faults=REFUSED) as it:
        it.job()
        ended = await it.run("run", "job.yaml", "--log-format", "json", env=step)
        assert [json.loads(line) for line in ended.err.splitlines()]
        assert outputs(it)["failed"] == "1"


async def test_a_full_or_unwritable_summary_spoils_nothing(stage, step):
    async with stage() as it:
        it.job()
        (it.folder / "summary.md").write_text("x" * 899_000)
        ended = await it.run("run", "job.yaml", env=step | {"GITHUB_OUTPUT": str(it.folder)})
        assert ended.status == 0
        assert "summary is left out" in ended.people
        assert "can't be written" in ended.people
        assert (it.folder / "summary.md").stat().st_size == 899_000


async def test_a_summary_joins_those_that_are_there_and_stays_under_the_cap(stage, step):
    async with stage() as it:
        it.job(months=24, teams=["a", "b", "c", "d"])
        (it.folder / "summary.md").write_text("earlier\n" + "x" * 897_000)
        assert (await it.run("run", "job.yaml", env=step)).status == 0
        summary = (it.folder / "summary.md").read_text()
        assert summary.startswith("earlier\n")
        assert "rehearsal: done" in summary
        assert len(summary.encode()) <= 900_000


async def test_what_others_say_gives_githubs_runner_no_command(stage, step):
    """Printed text is wrapped, so a command may come to stand at the beginning of a line."""
    said = "x ::add-mask::e ##[add-mask]e ::set-output name=a::b " * 4
    async with stage(faults=REFUSED) as it:
        it.job(matrix={"team": {f"{said}{n}": str(n) for n in range(2)}}, months=2, output={"path": "{key}.json"})
        ended = await it.run("run", "job.yaml", env=step)
        assert ended.status == 1
        assert "add-mask" in ended.err
        began = [line for line in ended.err.splitlines() if line.lstrip().startswith("::")]
        assert [line.partition(" ")[0] for line in began] == ["::error"]
        assert "##[" not in ended.err
