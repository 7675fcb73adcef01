"""What the documents say is what the program does."""

import json
import re
from pathlib import Path

import pytest
import yaml

from orchestrator.cli.main import cli
from orchestrator.job.loader import load_job
from orchestrator.job.schema import job_schema
from orchestrator.simulator.rules import VERBS
from orchestrator.simulator.scenario import Scenario, parse_scenario

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIMULATOR = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_schema_in_configs_is_the_models():
    assert json.loads((ROOT / "configs/job.schema.json").read_text(encoding="utf-8")) == job_schema()


def test_every_command_is_in_the_readme():
    for name in cli.commands:
        assert re.search(rf"`{name}[ `]", README), name


def test_the_readmes_job_loads(tmp_path):
    (job,) = blocks(README, "yaml")
    (tmp_path / "inboxes.csv").write_text("id,name\n1,support\n")
    (tmp_path / "job.yaml").write_text(job)
    assert load_job(tmp_path / "job.yaml", {}).model.name == "support-backfill"


def test_the_job_that_init_writes_loads():
    job = load_job(ROOT / "orchestrator/cli/job.yaml", {})
    assert job.model.matrix.order == ("window", "team")


def test_the_scenario_in_the_docs_is_one_and_names_every_key():
    (scenario,) = blocks(SIMULATOR, "yaml")
    parse_scenario(scenario)
    told = set(yaml.safe_load(scenario))
    assert told | {"created_status", "early_grace"} == set(Scenario.model_fields)


@pytest.mark.parametrize("verb", VERBS)
def test_every_fault_is_in_the_docs(verb):
    assert f"`{verb}`" in SIMULATOR or verb == "wrong_status_text"
