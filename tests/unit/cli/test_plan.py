"""`plan`, and frozen plans, where numbers or the environment are not what they should be."""

import json

import pytest
from cli_program import JOB, program


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.mark.parametrize(("section", "key"), [("retry", "outage"), ("network", "timeout")])
def test_a_frozen_plan_with_a_number_beyond_every_float_is_refused(job, section, key):
    path = job.with_name("plan.json")
    assert program("plan", str(job), "--out", str(path)).status == 0
    document = json.loads(path.read_text())
    document["frozen"]["settings"].setdefault(section, {})[key] = 10**400
    path.write_text(json.dumps(document))
    for command in ("plan", "run"):
        ended = program(command, str(path))
        assert ended.status == 2, ended.err
        assert "[plan.invalid]" in ended.err


def test_a_proxy_of_the_environment_that_a_run_could_not_use_is_told(job):
    environ = {"HTTPS_PROXY": "socks5://joe:canary-password@proxy.example:1080"}
    people = program("plan", str(job), environ=environ)
    assert people.status == 0
    assert "A run from here would stop at once" in people.err
    assert "the environment's https_proxy names a proxy that can't be used [job.proxy]" in people.err
    assert "SOCKS is not supported" in " ".join(people.err.split())
    as_json = program("plan", str(job), "--json", environ=environ)
    assert json.loads(as_json.out)["proxy"] is None
    assert "canary-password" not in people.out + people.err + as_json.out + as_json.err
