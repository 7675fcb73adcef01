"""The library: what the commands do, called from programs of others. The process stays as it was."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import types
import typing

import anyio
import pytest
from rehearsal import TOKEN

import orchestrator
from orchestrator import (
    JobError,
    JobPlan,
    JobStatus,
    JobVerification,
    LockedError,
    OrchestratorError,
    RunReport,
    job_status,
    plan_job,
    run_job,
    run_job_async,
    verify_job,
)

WITH_TOKEN = {"LOOP_API_TOKEN": TOKEN}


def misfits(found, kind, at="document"):
    """Where `found` is not of the documented `kind`, key by key."""
    if typing.is_typeddict(kind):
        if not isinstance(found, dict):
            return [at]
        hints = typing.get_type_hints(kind)
        wrong = [f"{at}: {name}" for name in set(found) - set(hints) | kind.__required_keys__ - set(found)]
        return wrong + [
            each for name in set(found) & set(hints) for each in misfits(found[name], hints[name], f"{at}.{name}")
        ]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return min((misfits(found, one, at) for one in inner), key=len)
    if origin is typing.Literal:
        return [] if found in inner else [f"{at}: {found!r}"]
    if origin is list:
        return [each for n, one in enumerate(found) for each in misfits(one, inner[0], f"{at}[{n}]")]
    if origin is dict:
        return [each for name, one in found.items() for each in misfits(one, inner[1], f"{at}.{name}")]
    return [] if kind is typing.Any or isinstance(found, kind) else [f"{at}: {found!r}"]


async def test_a_job_from_nothing_to_verified_files_on_a_loop_of_the_callers_own(stage):
    async with stage() as it:
        job = it.job(months=3)
        planned = await asyncio.to_thread(plan_job, job)
        report = await run_job_async(job, environ=WITH_TOKEN)
        status = await asyncio.to_thread(job_status, job)
        verified = await asyncio.to_thread(verify_job, job)

        it.check_stored(3)
        kept = await it.run("report", "job.yaml")
        assert (kept.status, "done, 3 exports stored" in kept.out) == (0, True), str(kept)
        assert (report["outcome"], report["counts"]["stored"]) == ("succeeded", 3)
        assert planned["counts"] == {"run": 3}
        assert status["counts"] == {"planned": 3, "stored": 3, "failed": 0, "pending": 0, "new": 0}
        assert verified["counts"] == {"equal": 3, "wrong": 0, "missing": 0}
        for found, kind in (
            (planned, JobPlan),
            (report, RunReport),
            (status, JobStatus),
            (verified, JobVerification),
        ):
            assert misfits(found, kind) == []
            assert json.loads(json.dumps(found)) == found


async def test_it_runs_in_a_thread_that_is_not_the_main_one(stage):
    async with stage() as it:
        job = it.job(months=2)
        report = await asyncio.to_thread(run_job, str(job), environ=WITH_TOKEN)
        assert report["outcome"] == "succeeded"
        it.check_stored(2)


async def test_selecting_and_overriding_are_those_of_the_command(stage):
    async with stage() as it:
        job = it.job(months=3, teams=["sales", "support"])
        report = await run_job_async(
            job,
            select=["team!=sales"],
            first="2020-02",
            last="2020-02",
            sets={"output.path": "{team}-{window}.{ext}", "limits.unfinished": 1, "output.to": it.folder / "exports"},
            environ=WITH_TOKEN,
        )
        assert [export["path"] for export in report["exports"]] == ["support-2020-02.json"]
        refreshed = await run_job_async(job, select=["team=support"], last="2020-02", only="all", environ=WITH_TOKEN)
        assert refreshed["counts"]["stored"] == 2
        assert {entry["path"] for entry in it.manifest()["exports"]} == {"support/2020-01.json", "support/2020-02.json"}


async def test_a_run_in_two_halves(stage):
    async with stage(duration=1.0) as it:
        job = it.job(months=2)
        submitted = await run_job_async(job, command="submit", environ=WITH_TOKEN)
        assert (submitted["command"], submitted["outcome"], submitted["counts"]["pending"]) == (
            "submit",
            "succeeded",
            2,
        )
        collected = await run_job_async(job, command="collect", environ=WITH_TOKEN)
        assert (collected["outcome"], collected["counts"]["stored"], collected["api"]["posts"]) == ("succeeded", 2, 0)
        it.check_stored(2)


async def test_a_frozen_plan_is_run_as_it_is(stage):
    async with stage() as it:
        it.job(months=3)
        assert (await it.run("plan", "job.yaml", "--from", "2020-02", "--out", "plan.json")).status == 0
        report = await run_job_async(it.folder / "plan.json", environ=WITH_TOKEN)
        assert report["counts"]["stored"] == 2
        with pytest.raises(JobError, match="frozen plan"):
            await run_job_async(it.folder / "plan.json", first="2020-03", environ=WITH_TOKEN)


async def test_what_blocks_refuses_to_be_called_where_an_event_loop_runs_and_names_what_does_not(stage):
    async with stage() as it:
        job = it.job()
        for blocking, instead in (
            (run_job, "run_job_async"),
            (plan_job, "asyncio.to_thread(plan_job"),
            (job_status, "asyncio.to_thread(job_status"),
            (verify_job, "asyncio.to_thread(verify_job"),
        ):
            with pytest.raises(RuntimeError) as refused:
                blocking(job)
            assert instead in str(refused.value)
        assert it.requests() == 0


async def test_several_jobs_run_at_once_in_one_process_and_two_runs_of_one_job_exclude_each_other(stage):
    async with stage() as it:
        jobs = [it.job(name=f"{n}.yaml", output={"to": f"./{n}"}, request={"tags": [f"tag-{n}"]}) for n in "abc"]
        reports = await asyncio.gather(
            run_job_async(jobs[0], environ=WITH_TOKEN),
            run_job_async(jobs[1], environ=WITH_TOKEN),
            asyncio.to_thread(run_job, jobs[2], environ=WITH_TOKEN),
        )
        assert [report["outcome"] for report in reports] == ["succeeded"] * 3
        ended = await asyncio.gather(
            *(run_job_async(jobs[0], only="all", environ=WITH_TOKEN) for _ in range(2)), return_exceptions=True
        )
        assert {type(each) for each in ended} == {dict, LockedError}
        (locked,) = (each for each in ended if isinstance(each, LockedError))
        assert locked.message.endswith(", this very process")
        assert "kill" not in locked.hint, "whoever follows it would end the run, and itself"


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_a_cancelled_run_waits_for_the_answers_of_its_creations_and_the_next_run_goes_on(stage, how):
    async with stage(latency=0.3, duration=0.5) as it:
        job = it.job(months=4)

        async def run():
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await run_job_async(job, environ=WITH_TOKEN)

        scopes = []
        task = asyncio.create_task(run())
        await it.until(lambda: len(it.sim.stats.api) == 4)  # four creations are on their way, none is answered
        if how == "task":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            scopes[0].cancel()
            await task
        status = await asyncio.to_thread(job_status, job)
        assert status["active_run"] is None
        assert status["possible_duplicates"] == 0
        assert all(len(export["report_ids"]) == 1 for export in status["exports"])
        assert (status["last_run"]["outcome"], status["last_run"]["reason"]) == ("parked", "a cancellation came")

        report = await run_job_async(job, environ=WITH_TOKEN)
        assert (report["outcome"], report["api"]["posts"]) == ("succeeded", 0)
        it.check_stored(4)


async def test_a_second_cancellation_does_not_wait(stage):
    async with stage(latency=3.0) as it:
        job = it.job(months=1)
        task = asyncio.create_task(run_job_async(job, environ=WITH_TOKEN))
        await it.until(lambda: it.sim.stats.api)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        status = await asyncio.to_thread(job_status, job)
        assert (status["active_run"], status["possible_duplicates"]) == (None, 1)  # counted, as after a kill


async def test_a_deadline_parks_and_is_said_as_in_a_job_file(stage):
    async with stage(duration=60) as it:
        report = await run_job_async(it.job(), deadline="2s", environ=WITH_TOKEN)
        assert (report["outcome"], report["counts"]["pending"]) == ("parked", 3)
        with pytest.raises(JobError, match="deadline"):
            await run_job_async(it.job(), deadline="soon", environ=WITH_TOKEN)


async def test_progress_is_told_in_the_words_of_the_report_and_what_is_raised_there_ends_nothing(stage):
    told = []

    def follow(counts):
        told.append(counts)
        raise RuntimeError("a careless callback")

    async with stage(faults=[{"on": "create", "do": "failed", "match": {"start": 1577836800}}]) as it:
        report = await run_job_async(it.job(retry={"exports": 1}), environ=WITH_TOKEN, on_progress=follow)
        assert report["counts"] == {"planned": 3, "stored": 2, "skipped": 0, "failed": 1, "pending": 0}
        assert told[-1] == report["counts"]
        assert told[0] == report["counts"] | {"stored": 0, "failed": 0, "pending": 3}


async def test_what_a_run_tells_goes_to_the_logger_without_secrets(stage, caplog):
    caplog.set_level(logging.DEBUG)
    faults = [{"on": "create", "do": "status", "code": 500, "body": "html", "match": {"nth": 1}}]
    async with stage(faults=faults, url_lifetime=60) as it:
        await run_job_async(it.job(), environ=WITH_TOKEN)
    ours = [record for record in caplog.records if record.name == "orchestrator"]
    for told in ("run started job='rehearsal'", "stored export='2020-01'", "run ended outcome='succeeded'"):
        assert any(record.getMessage().startswith(told) for record in ours), told
    assert any(record.levelno == logging.WARNING and "500" in record.getMessage() for record in ours)
    for secret in (TOKEN, "Signature="):
        assert secret not in caplog.text


async def test_a_wrong_job_is_the_error_that_the_command_would_print_and_a_wrong_token_an_outcome(stage):
    async with stage(tokens=["right"]) as it:
        job = it.job()
        with pytest.raises(JobError) as wrong:
            await run_job_async(job, sets={"limits.unfinished": "many"}, environ=WITH_TOKEN)
        assert (wrong.value.problems[0].key, wrong.value.code) == ("limits.unfinished", "job.invalid")
        for argument in ("command", "only"):
            with pytest.raises(
                JobError, match=rf"^{argument}: there is no 'walk' \[usage\] \(hint: allowed: "
            ) as wrong:
                await run_job_async(job, **{argument: "walk"}, environ=WITH_TOKEN)
            assert wrong.value.code == "usage"
        with pytest.raises(JobError, match="LOOP_API_TOKEN"):
            await run_job_async(job, environ={"LOOP_API_TOKEN": ""})
        report = await run_job_async(job, environ=WITH_TOKEN)
        assert (report["outcome"], report["error"]["code"]) == ("refused", "account.token")
        assert issubclass(JobError, OrchestratorError)


QUIET = """
import json, logging, signal, sys, threading, warnings
def look():
    return [
        [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        [sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning],
        [logging.getLogger().handlers, logging.getLogger().level, logging.getLogger("asyncio").handlers],
    ]
before = str(look())
import orchestrator
for turn in range(2):
    report = orchestrator.run_job("job.yaml", only="all")
    assert report["outcome"] == "succeeded", report
orchestrator.plan_job("job.yaml"), orchestrator.job_status("job.yaml"), orchestrator.verify_job("job.yaml")
import structlog
assert not structlog.is_configured()
assert str(look()) == before, (before, str(look()))
"""


async def test_the_process_stays_as_it_was_and_nothing_is_printed(stage):
    faults = [{"on": "create", "do": "status", "code": 500, "match": {"nth": 1}}]
    async with stage(faults=faults) as it:
        it.job(months=2)
        running = await it.start(program=("-c", QUIET))
        ended = await running.ended()
        assert (ended.status, ended.out, ended.err) == (0, "", ""), str(ended)


INTERRUPTED = """
import signal, orchestrator
class TimeLimit(BaseException): pass
def over(number, frame): raise TimeLimit
signal.signal(signal.SIGTERM, over)
try:
    orchestrator.run_job("job.yaml")
except (KeyboardInterrupt, TimeLimit) as came:
    status = orchestrator.job_status("job.yaml")
    print(type(came).__name__, status["last_run"]["outcome"], status["possible_duplicates"], status["active_run"])
"""


@pytest.mark.parametrize(
    ("number", "came"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "TimeLimit")], ids=["ctrl-c", "handler"]
)
async def test_what_breaks_out_of_a_run_parks_it_first(stage, number, came):
    async with stage(latency=0.3, duration=60) as it:
        it.job(months=2)
        running = await it.start(program=("-c", INTERRUPTED))
        await it.until(lambda: it.sim.stats.api)
        running.send(number)
        ended = await running.ended()
        assert (ended.status, ended.out, ended.err) == (0, f"{came} parked 0 None\n", ""), str(ended)


def test_the_root_tells_what_is_public():
    for name in orchestrator.__all__:
        assert name.startswith("__") or name.endswith("Error") or f"`{name}`" in orchestrator.__doc__, name
