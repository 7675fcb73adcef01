"""Hooks and telemetry of a run: which hook is called, what it gets and may not get, and that none of it changes how the run ends."""

import json
import re
import signal
import subprocess
import sys

import pytest
from parrot import Parrot
from rehearsal import TOKEN

KEEP = "import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ), os.getcwd()], open('told.json', 'w'))"


def python(code):
    return [sys.executable, "-c", code]


def is_gone(ended):
    """Whether the process that a hook has told of is over (nobody may have looked after its remains yet)."""
    (pid,) = re.findall(r": pid ([0-9]+)", ended.err)
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], check=False, capture_output=True, text=True).stdout
    return state.strip()[:1] in ("", "Z")


def told(it):
    return json.loads((it.folder / "told.json").read_text())


async def test_a_hook_gets_the_report_and_no_token(stage):
    async with stage() as it:
        it.job(hooks={"on_success": python(KEEP)})
        report = await it.report(env={"OTHER": "x"})
        found, environ, folder = told(it)
        assert found == report
        assert folder == str(it.folder)
        assert "LOOP_API_TOKEN" not in environ
        assert TOKEN not in json.dumps(environ)
        assert environ["OTHER"] == "x"
        assert {name: environ[f"ORCHESTRATOR_{name}"] for name in ("OUTCOME", "RUN_ID", "JOB", "EXIT_CODE")} == {
            "OUTCOME": "succeeded",
            "RUN_ID": report["run_id"],
            "JOB": "rehearsal",
            "EXIT_CODE": "0",
        }


ALL = {f"on_{name}": python(f"open('called', 'a').write('{name} ')") for name in ("success", "failure", "parked")}


@pytest.mark.parametrize(
    ("scenario", "arguments", "status", "called"),
    [
        ({}, (), 0, "success "),
        ({"faults": [{"on": "create", "do": "status", "code": 400}]}, (), 1, "failure "),
        ({"duration": 60}, ("--deadline", "2s"), 3, "parked "),
        ({"faults": [{"on": "create", "do": "status", "code": 401}]}, (), 4, "failure "),
        ({}, ("--set", "output.to=./job.yaml"), 6, "failure "),
        ({}, ("--set", "api.base_url=https://127.0.0.1:9", "--set", "retry.outage=1s"), 7, "failure "),
        ({}, ("--set", "limits.unfinished=no"), 2, None),
    ],
)
async def test_each_outcome_has_its_hook(stage, scenario, arguments, status, called):
    async with stage(**scenario) as it:
        it.job(months=1, hooks=ALL)
        ended = await it.run("run", "job.yaml", *arguments)
        assert ended.status == status, str(ended)
        file = it.folder / "called"
        assert (file.read_text() if file.exists() else None) == called


async def test_of_the_two_halves_the_second_tells_of_success(stage):
    async with stage() as it:
        it.job(hooks=ALL)
        assert (await it.run("submit", "job.yaml")).status == 0
        assert not (it.folder / "called").exists()
        assert (await it.run("collect", "job.yaml")).status == 0
        assert (it.folder / "called").read_text() == "success "


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        (python("import sys; print('so much'); sys.exit(3)"), "hooks.on_success ended with status 3"),
        (["./not-there"], "hooks.on_success can't be started: ./not-there: No such file"),
        (python("import os; os.kill(os.getpid(), 9)"), "hooks.on_success ended by signal 9"),
    ],
)
async def test_a_failing_hook_is_a_warning(stage, hook, says):
    async with stage() as it:
        it.job(hooks={"on_success": hook})
        ended = await it.run("run", "job.yaml")
        assert ended.status == 0
        assert f"warning: {says}" in ended.people


async def test_a_word_that_no_program_can_be_given_is_a_warning(stage):
    async with stage() as it:
        (it.folder / "note").write_bytes(b"before\0after")
        it.job(hooks={"on_success": ["./notify", "${file:note}"]})
        ended = await it.run("run", "job.yaml")
        assert ended.status == 0, str(ended)
        assert "warning: hooks.on_success can't be started: one of its words" in ended.people


async def test_a_hook_that_takes_too_long_is_ended_with_all_it_has_started(stage):
    async with stage() as it:
        it.job(hooks={"on_success": ["sh", "-c", "sleep 1000 & echo pid $!; sleep 1000"], "timeout": "2s"})
        ended = await it.run("run", "job.yaml")
        assert ended.status == 0
        assert "hooks.on_success was ended: it took longer than 2 s" in ended.people
        await it.until(lambda: is_gone(ended))


async def test_what_a_hook_prints_is_shown_without_secrets_and_escapes(stage):
    code = f"print('\\x1b[2J::error::x {TOKEN} y')"
    async with stage() as it:
        it.job(hooks={"on_success": python(code)})
        ended = await it.run("run", "job.yaml")
        line = next(line for line in ended.err.splitlines() if line.startswith("on_success:"))
        assert "\x1b" not in ended.err
        assert TOKEN not in ended.err
        assert line.endswith("y")


async def test_a_signal_parks_and_then_calls_and_a_second_one_ends_the_hook_too(stage):
    code = "import os, signal, time; print('pid', os.getpid(), flush=True); time.sleep(1000)"
    async with stage(duration=60) as it:
        it.job(months=1, hooks={"on_parked": python(code), "timeout": "1000s"})
        running = await it.start("run", "job.yaml")
        await it.until(lambda: it.sim.stats.created)
        running.send(signal.SIGTERM)
        await running.says("on_parked: pid")
        running.send(signal.SIGTERM)
        ended = await running.ended()
        assert ended.status == 3
        assert "was ended" not in ended.err
        await it.until(lambda: is_gone(ended))


async def test_a_first_signal_during_a_hook_ends_it_and_leaves_the_status(stage):
    async with stage() as it:
        it.job(months=1, hooks={"on_success": python("import time; print('here', flush=True); time.sleep(1000)")})
        running = await it.start("run", "job.yaml")
        await running.says("on_success: here")
        running.send(signal.SIGINT)
        assert (await running.ended()).status == 0


async def test_a_text_is_split_as_a_shell_would_and_no_shell_reads_it(stage):
    async with stage() as it:
        script = it.folder / "hook.py"
        script.write_text("import sys; print(sys.argv[1:])")
        it.job(hooks={"on_success": f"{sys.executable} hook.py 'a b' \"${{GREETING}}\" $HOME; > x"})
        ended = await it.run("run", "job.yaml", env={"GREETING": "x 'y; z"})
        assert """on_success: ['a b', "x 'y; z", '$HOME;', '>', 'x']""" in ended.err


async def test_a_reference_that_can_not_be_replaced_ends_the_run_before_it_begins(stage):
    async with stage() as it:
        it.job(hooks={"on_failure": ["notify", "${WEBHOOK}"]})
        assert (await it.run("plan", "job.yaml")).status == 0
        ended = await it.run("run", "job.yaml")
        assert ended.status == 2
        assert "hooks.on_failure: the environment variable WEBHOOK is not set" in ended.people
        assert it.requests() == 0


@pytest.mark.parametrize("hook", ["", "'unclosed", [], [""], {"a": "b"}, ["x", "${no name}"], "a ${unclosed"])
async def test_a_hook_that_is_no_command_is_an_error_of_the_job_file(stage, hook):
    async with stage() as it:
        it.job(hooks={"on_success": hook})
        ended = await it.run("validate", "job.yaml")
        assert ended.status == 2
        assert "hooks.on_success" in ended.err


async def test_a_frozen_plan_holds_references_and_calls_the_hook(stage):
    async with stage() as it:
        it.job(hooks={"on_success": ["sh", "-c", 'echo "$1" > called', "-", "${WEBHOOK}"]})
        env = {"WEBHOOK": "https://hooks.example/T0K3N"}
        assert (await it.run("plan", "job.yaml", "--out", "plan.json", env=env)).status == 0
        assert "T0K3N" not in (it.folder / "plan.json").read_text()
        assert (await it.run("run", "plan.json", env=env)).status == 0
        assert (it.folder / "called").read_text() == "https://hooks.example/T0K3N\n"


async def test_a_service_that_repeats_all_it_hears_brings_no_secret_to_a_hook(stage):
    query = "X-Sig=5ecret-sig-0123456789"
    async with stage() as it, Parrot(query, query) as parrot:
        it.job(
            api={"base_url": parrot.url},
            hooks={f"on_{name}": python(KEEP) for name in ("success", "failure", "parked")},
            metrics={"file": "loop.prom"},
        )
        await it.run("run", "job.yaml", "--deadline", "20s")
        text = (it.folder / "told.json").read_text()
        assert TOKEN not in text
        assert "5ecret-sig" not in text
        assert TOKEN not in (it.folder / "loop.prom").read_text()
