"""plan as a person reads it before a run: the grid, what is left out, the forecast, and the exit status."""

import json
import re
import signal

import pytest

ADAPTIVE = {"policy": "adaptive", "first": 20, "every": 0.2, "max": 60}


async def read(it, *arguments, status=0, **more):
    ended = await it.run("plan", "job.yaml", *arguments, **more)
    assert ended.status == status, str(ended)
    return ended


async def document(it, *arguments, **more):
    return (await read(it, "--json", *arguments, **more)).json


async def test_a_grid_shows_each_cell_by_its_mark(stage):
    faults = [
        {"on": "create", "do": "failed", "match": {"team": "id-support", "nth": 2}},
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-support", "nth": 4}},
    ]
    async with stage(faults=faults) as it:
        windows = {"window": {"every": "month", "from": "2020-01", "to": "2020-12"}}
        it.job(teams=("support", "sales"), matrix=windows, limits={"unfinished": 1}, retry={"exports": 0})
        before = await read(it, env={"LOOP_API_TOKEN": ""})
        assert before.out.splitlines() == [
            "         2020",
            "         JFMAMJJASOND",
            "support  ············",
            "sales    ············",
            "· 24 to run",
        ]
        await it.report("job.yaml", "--to", "2020-08", status=1)
        asked = it.requests()
        after = (await read(it, "--to", "2020-10")).out.splitlines()
        assert after[2:4] == ["support  ■✗■!■■■■··", "sales    ■■■■■■■■··"]
        assert after[4] == "✗ 1 failed   ! 1 refused   · 4 to run   ■ 14 stored"
        assert after[5].startswith("  ✗ 1 failed before: the service failed to make this export")
        assert after[6].startswith("  ! 1 the service refuses this request")
        plain = await read(it, "--to", "2020-10", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
        assert plain.out.splitlines()[2:5] == [
            "support  #x#!####..",
            "sales    ########..",
            "x 1 failed   ! 1 refused   . 4 to run   # 14 stored",
        ]
        assert it.requests() == asked
        listed = await read(it, "--verbose")
        assert listed.out.count("support 2020-02") == 1
        assert "         JFMAMJJASOND" in listed.out, "both"
        assert "--verbose" not in listed.err


async def test_what_is_in_flight_is_told_from_what_is_to_run(stage):
    async with stage(duration=60) as it:
        it.job(months=12, teams=("support", "sales"), limits={"unfinished": 3})
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) == 3)
        running.send(signal.SIGTERM)
        assert (await running.ended()).status == 3
        told = await read(it)
        assert "~ 3 in flight   · 21 to run" in told.out
        assert "Forecast: 21 creations, 3 under way, " in told.err


async def test_colours_are_for_terminals_that_want_them(stage):
    async with stage() as it:
        it.job(months=12, teams=("support", "sales"))
        assert "\x1b" not in (await read(it)).out
        coloured = await read(it, env={"FORCE_COLOR": "1", "TERM": "xterm"})
        assert "\x1b[" in coloured.out
        assert "\x1b[3" not in (await read(it, env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"})).out
        strip = re.compile(r"\x1b\[[0-9;]*m")
        assert strip.sub("", coloured.out) == (await read(it)).out, "nothing is understood by colour alone"


@pytest.mark.parametrize("columns", [40, 80, 140])
async def test_it_keeps_to_the_width(stage, columns):
    async with stage() as it:
        it.job(months=60, teams=("support", "a team whose name is longer than it need be, by far"))
        told = await read(it, env={"COLUMNS": str(columns)})
        assert max(map(len, told.out.splitlines())) <= columns


async def test_the_forecast_is_a_guess_until_something_is_learned(stage):
    async with stage(rows=50) as it:
        it.job(months=12, teams=("support", "sales"), polling=ADAPTIVE)
        guess = await document(it)
        assert guess["forecast"]["posts"] == 24
        assert guess["forecast"]["bytes"] is None
        assert guess["forecast"]["rests_on"] == {
            "durations_of": 0,
            "same_length_of_window": False,
            "sizes_of": 0,
            "limits": "given",
        }
        assert "A guess: nothing is learned yet" in (await read(it)).err
        done = await it.report("job.yaml", "--to", "2020-06")
        asked = it.requests()
        plan = await document(it, env={"LOOP_API_TOKEN": ""})
        told = plan["forecast"]
        assert told["rests_on"] == {
            "durations_of": 12,
            "same_length_of_window": True,
            "sizes_of": 12,
            "limits": "given",
        }
        assert told["posts"] == 12
        assert told["requests"]["low"] == told["posts"] + told["polls"]["low"]
        assert told["seconds"]["high"] < guess["forecast"]["seconds"]["high"]
        people = await read(it)
        assert "From 12 earlier exports (how long they took), 12 stored files (sizes)" in people.people
        assert it.requests() == asked
        rest = await it.report()
        low, high = (told["bytes"][end] for end in ("low", "high"))
        assert 0.8 * low <= rest["bytes"] <= 1.2 * high
        assert told["polls"]["low"] <= rest["api"]["polls"]
        assert done["counts"]["stored"] == rest["counts"]["stored"] == 12
        assert (await document(it))["forecast"] is None
        assert "Nothing to do." in (await read(it)).err


async def test_where_all_is_done_but_what_was_refused_both_ways_on_are_named(stage):
    faults = [{"on": "create", "do": "status", "code": 400, "match": {"nth": 1}}]
    async with stage(faults=faults) as it:
        it.job(months=2)
        await it.report(status=1)
        assert "Nothing to do: what was refused" in (await read(it)).people
        assert "or with --only failed." in (await read(it)).people


async def test_files_that_nobody_knows_are_told_before_they_are_replaced(stage):
    async with stage() as it:
        it.job(months=2)
        out = it.folder / "exports"
        out.mkdir()
        for name in ("2020-01.json", "2020-02.json"):
            (out / name).write_text("precious")
        told = "2 files at places of new exports, known to neither journal nor manifest.json, will be replaced: 2020-01.json"
        assert told in (await read(it)).people
        assert told in (await it.run("run", "job.yaml")).people
        assert "will be replaced" not in (await read(it)).people
        it.check_stored(2)


async def test_a_pause_that_the_service_has_asked_for_is_told(stage):
    faults = [{"on": "create", "do": "status", "code": 429, "retry_after": 3600, "times": 1}]
    async with stage(faults=faults) as it:
        it.job(months=2)
        await it.report(status=3)
        assert (await document(it))["forecast"]["paused_until"] > "2020"
        waits = (await read(it, "--set", "limits.longest_pause=2h")).people
        assert "The service has asked for silence until " in waits
        assert "a run waits for that first" in waits
        parks = (await read(it)).people
        assert "a run would park at once (exit 3): run it after that" in parks
        assert " Next, after " in parks
        status = await it.run("status", "job.yaml")
        assert " Next, after " in status.people
        assert (await it.run("status", "job.yaml", "--json")).json["last_run"]["resume_after"] > "2020"


async def test_what_parked_for_a_long_pause_says_after_when_it_is_run_again(stage):
    faults = [{"on": "create", "do": "status", "code": 429, "retry_after": 3600, "times": 1}]
    async with stage(faults=faults) as it:
        it.job(months=2)
        for words in ("asks for silence until ", "asked an earlier run for silence until "):
            told = (await it.run("run", "job.yaml")).people
            until = told.rpartition(words)[2][: len("2026-11-23 12:00:00 UTC")]
            assert f"Next: after {until}, run the same command again to go on" in told


DAMAGED = "the journal is no database" * 1000


async def test_a_damaged_journal_leaves_a_forecast_without_grounds(stage):
    async with stage() as it:
        it.job(months=2, polling=ADAPTIVE)
        await it.report("job.yaml", "--to", "2020-01")
        (it.state / "journal.db").write_bytes(DAMAGED.encode())
        told = await read(it, "--json")
        assert told.json["forecast"]["rests_on"]["durations_of"] == 0
        assert told.err.count("warning: ") == 1


async def test_the_detailed_exit_status_in_all_cases(stage):
    async with stage(faults=[{"on": "create", "do": "status", "code": 400, "match": {"team": "id-bad"}}]) as it:

        async def status(*arguments, target="job.yaml"):
            return (await it.run("plan", target, "--detailed-exitcode", *arguments)).status

        it.job(months=1, teams=("good", "bad"))
        await read(it, "--out", "plan.json")
        assert await status("--json") == 10, "new"
        assert await status(target="plan.json") == 10
        await it.report(status=1)
        assert await status(target="plan.json") == 0
        assert await status() == 0, "stored, and refused"
        assert await status("--only", "failed") == 10
        assert await status("--only", "all") == 10
        assert await status("--select", "team=bad") == 0
        it.job(months=2, teams=("good",))
        assert await status() == 10, "one of them is new"
        assert await status("--to", "2020-01") == 0
        it.job(matrix={"window": {"every": "year", "from": "2099", "to": "2099"}})
        assert await status() == 0, "it waits for its window"
        assert await status("--select", "team=x") == 2


async def test_a_renamed_file_is_something_to_do_and_nothing_to_ask(stage):
    async with stage() as it:
        path = {"path": "{team}/{window}.{ext}"}
        it.job(months=1, matrix={"team": {"support": "id-1"}}, output=path)
        await it.report()
        it.job(months=1, matrix={"team": {"help": "id-1"}}, output=path)
        told = await read(it, "--detailed-exitcode", status=10)
        assert "Nothing to ask of the service: files are renamed, that is all." in told.people
        assert (await document(it))["forecast"] is None


async def test_a_frozen_plan_is_planned_as_it_was_and_says_what_is_next(stage):
    async with stage() as it:
        it.job(months=12, teams=("support", "sales"))
        frozen = await read(it, "--select", "team=sales", "--out", "my plan.json")
        assert "Frozen into my plan.json.\nNext: orchestrator run 'my plan.json'\n" in frozen.err
        written = json.loads((it.folder / "my plan.json").read_text())
        assert written["left_out"] == {"exports": 12, "counts": {"to_run": 12}}
        assert written["forecast"]["posts"] == 12
        again = await it.run("plan", "my plan.json", "--json")
        assert again.json["counts"] == {"run": 12}
        assert again.json["left_out"] == {"exports": 0, "counts": {}}
        (it.folder / "job.yaml").write_text((it.folder / "job.yaml").read_text().replace("id-sales", "id-sold"))
        refused = await it.run("run", "my plan.json")
        assert refused.status == 2
        assert (
            "cause: matrix.team.sales: id-sales → id-sold; 12 exports asked for otherwise (sales 2020-01"
            in refused.people
        )
        assert "--select team=sales --out 'my plan.json'" in refused.people
        assert not it.requests()
