"""The ready files for pipelines are what those who read them expect, and name only commands that exist."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from orchestrator.cli.main import cli

ROOT = Path(__file__).parents[2]
CI = ROOT / "configs/ci"
PIPELINES = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
SCHEMAS = {
    "github-workflows": CI / "github-actions.yml",
    "gitlab-ci": CI / "gitlab-ci.yml",
    "github-actions": ROOT / "action.yml",
}
COMMAND = re.compile(rf"(?:^|[\s'=/])orchestrator ((?:{'|'.join(cli.commands)}) [^\n#|;'`]*)", re.MULTILINE)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_keeps_to_the_published_schema(schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(SCHEMAS[schema])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def texts():
    yield from ((file.name, file.read_text(encoding="utf-8")) for file in sorted(CI.iterdir()))
    for n, block in enumerate(re.findall(r"```(?:yaml|sh|groovy|)\n(.*?)```", PIPELINES, re.DOTALL)):
        yield f"pipelines.md {n}", block


def commands():
    for name, text in texts():
        for found in COMMAND.finditer("\n".join(line.partition(" #")[0] for line in text.splitlines())):
            yield pytest.param(found[1].strip(), id=f"{name}: {found[1].strip()}")


@pytest.mark.parametrize("line", list(commands()))
def test_every_command_line_is_one_of_ours(line):
    name, *arguments = shlex.split(re.sub(r"[>&].*", "", line))
    try:
        cli.commands[name].make_context(name, arguments)
    except click.ClickException as error:
        pytest.fail(f"{line}: {error.format_message()}")


def test_there_are_command_lines_in_each_file_that_runs_something():
    found = {parameter.id.partition(":")[0] for parameter in commands()}
    assert {"github-actions.yml", "gitlab-ci.yml", "loop-export.service", "crontab"} <= found


def test_the_workflow_gives_a_run_less_time_than_the_job_has():
    job = yaml.safe_load(SCHEMAS["github-workflows"].read_text())["jobs"]["export"]
    (step,) = (step for step in job["steps"] if step.get("id") == "export")
    assert int(step["with"]["deadline"].removesuffix("m")) < job["timeout-minutes"]
    inputs = yaml.safe_load(SCHEMAS["github-actions"].read_text())["inputs"]
    assert set(step["with"]) <= set(inputs)
    (upload,) = (step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    assert upload["with"]["include-hidden-files"] is True


def test_no_input_of_the_action_is_pasted_into_a_script():
    action = yaml.safe_load(SCHEMAS["github-actions"].read_text())
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert all("${{" not in script for script in scripts)


def test_the_units_of_systemd_are_sound():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(CI / "loop-export.service")
    assert unit["Service"]["SuccessExitStatus"] == "3"
    assert "3" in unit["Service"]["RestartForceExitStatus"].split()
    verify = shutil.which("systemd-analyze")
    if verify is not None:
        done = subprocess.run(
            [verify, "verify", str(CI / "loop-export.service"), str(CI / "loop-export.timer")],
            check=False,
            capture_output=True,
            text=True,
        )
        # The program and the folders of the example are not on this machine.
        told = [line for line in done.stderr.splitlines() if "not executable" not in line]
        assert [line for line in told if "loop-export" in line] == []


def test_the_crontab_has_five_times_and_a_command():
    (line,) = (line for line in (CI / "crontab").read_text().splitlines() if re.match(r"[0-9*]", line))
    assert re.fullmatch(r"(?:[\d*,/-]+\s+){5}\S.*", line)


def test_the_hook_of_pre_commit_looks_at_each_file_that_it_is_given(tmp_path):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    good = (ROOT / "orchestrator/cli/job.yaml").read_text()
    (tmp_path / "job a.yaml").write_text(good)
    (tmp_path / "job-b.yml").write_text(good.replace("matrix:", "matrx:"))
    files = [path.name for path in sorted(tmp_path.iterdir())]
    assert all(re.search(hook["files"], name) for name in files)
    assert not re.search(hook["files"], "jobs.txt")
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    for given, status in ((files, 2), (files[:1], 0)):
        done = subprocess.run(
            [*shlex.split(hook["entry"]), *given], cwd=tmp_path, env=env, check=False, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        assert done.stderr.count("valid; it expands") == 1
    assert "job a.yaml: valid" in done.stderr
