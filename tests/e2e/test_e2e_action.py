"""The shell steps of action.yml, run as GitHub's runner runs them: `bash --noprofile --norc -e -o pipefail`, against a service."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml
from rehearsal import TOKEN
from test_e2e_github import outputs

ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")


def step(name):
    (found,) = (step for step in ACTION["runs"]["steps"] if step.get("name") == name)
    return found


async def start(it, name, **inputs):
    """Starts a step with the action's inputs in its environment, as its `env` says."""
    given = {key: str(value.get("default", "")) for key, value in ACTION["inputs"].items()} | {
        key.replace("_", "-"): value for key, value in inputs.items()
    }
    env = {
        key: given[value.removeprefix("${{ inputs.").removesuffix(" }}")] for key, value in step(name)["env"].items()
    }
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(it.folder),
        "GITHUB_OUTPUT": str(it.folder / "outputs"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(it.folder),
    }
    return await asyncio.create_subprocess_exec(
        *BASH,
        step(name)["run"],
        cwd=it.folder,
        env=github | env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(process):
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def run(it, name, **inputs):
    return await ended(await start(it, name, **inputs))


async def test_a_step_runs_the_job_and_gives_the_outputs_that_the_action_names(stage):
    async with stage() as it:
        it.job(teams=["support", "sales"])
        status, said = await run(it, "Run", job="job.yaml", token=TOKEN, args="--select 'team=sup*' --to 2020-02")
        assert status == 0, said
        assert TOKEN not in said
        found = outputs(it)
        assert (found["outcome"], found["exit-code"], found["stored"]) == ("succeeded", "0", "2")
        named = {
            output["value"].removeprefix("${{ steps.run.outputs.").removesuffix(" }}")
            for output in ACTION["outputs"].values()
        }
        assert named <= set(found)


@pytest.mark.parametrize(("accept", "status"), [("true", 0), ("false", 3)])
async def test_a_parked_run_passes_if_it_is_told_to(stage, accept, status):
    async with stage(duration=60) as it:
        it.job(months=1)
        got, said = await run(it, "Run", job="job.yaml", token=TOKEN, deadline="2s", accept_parked=accept)
        assert got == status, said
        assert outputs(it)["exit-code"] == "3"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_runners_signals_park_the_run_and_its_end_is_waited_for(stage, number):
    async with stage(duration=60) as it:
        it.job(months=1)
        process = await start(it, "Run", job="job.yaml", token=TOKEN)
        await it.until(lambda: it.sim.stats.created)
        process.send_signal(number)
        status, said = await ended(process)
        assert status == 3, said
        assert outputs(it)["outcome"] == "parked"


async def test_other_commands_and_failures_pass_their_status_on(stage):
    async with stage(faults=[{"on": "create", "do": "status", "code": 400}]) as it:
        it.job(months=1)
        assert (await run(it, "Run", job="job.yaml", command="validate"))[0] == 0
        assert (await run(it, "Run", job="job.yaml", token=TOKEN, accept_parked="true"))[0] == 1
        assert (await run(it, "Run", job="job.yaml", args="--no-such-option"))[0] == 2
        other = {"token": TOKEN, "token_variable": "ANOTHER", "args": "--set 'api.token=${ANOTHER}'"}
        assert (await run(it, "Run", job="job.yaml", **other))[0] == 1


async def test_the_token_is_masked_by_a_step_that_prints_nothing_else(stage):
    async with stage() as it:
        assert await run(it, "Hide the token", token=TOKEN) == (0, f"::add-mask::{TOKEN}\n")
