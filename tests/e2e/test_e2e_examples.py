"""The examples run, and use nothing but the public API.

Airflow and Dagster are far too large for the development environment: their decorators are stood in for by
`tests/stand_ins`, which also serves the type checker. With the real ones (Airflow 3.3.2, Dagster 1.13.29) the examples were
run and type-checked by hand.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
IN_THE_DOCS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/library.md").read_text(), re.DOTALL | re.MULTILINE)
STAND_INS = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/stand_ins'}"}

AIRFLOW = """
import json, runpy
from airflow import sdk
try:
    runpy.run_path("example.py")
except Exception as error:
    print(type(error).__name__, error)
print(json.dumps(sdk.ran))
"""
DAGSTER = """
import json, logging, runpy, sys
from dagster import AssetExecutionContext
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
logging.getLogger("orchestrator").setLevel(logging.ERROR)
found = runpy.run_path("example.py")
print(json.dumps(found["conversations"](AssetExecutionContext("2020-02")).metadata))
"""


def test_there_is_an_example_for_each_of_three():
    assert [path.name for path in EXAMPLES] == ["airflow_dag.py", "dagster_assets.py", "library.py"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_import_the_public_names_alone(path):
    taken = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "orchestrator":
            assert node.module == "orchestrator"
            taken |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.partition(".")[0] == "orchestrator" for alias in node.names)
    assert taken
    assert taken <= set(orchestrator.__all__)


def test_the_type_checker_accepts_them_strictly_wherever_the_package_is_installed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-incremental", *map(str, EXAMPLES)],
        cwd=tmp_path,  # so that the installed package is found, which counts as typed by its `py.typed` alone
        env={"MYPYPATH": str(ROOT / "tests/stand_ins"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def example(it, name):
    job = it.job(months=2, teams=["sales", "support"])
    text = (ROOT / "examples" / name).read_text()
    (it.folder / "example.py").write_text(text.replace("/opt/pipelines/support.yaml", str(job)))


async def test_the_library_example_runs_a_job_and_tells_what_is_wrong_with_one(stage):
    async with stage() as it:
        job = it.job(months=2)
        program = str(ROOT / "examples/library.py")
        good = await (await it.start(job, program=(program,))).ended()
        assert good.status == 0, str(good)
        assert good.out.startswith("2 exports, to be run: 2\n")
        it.job(name="wrong.yaml", limits={"unfinished": "many"})
        wrong = await (await it.start("wrong.yaml", program=(program,))).ended()
        assert wrong.status == 2, str(wrong)
        assert "limits.unfinished" in wrong.out


async def test_the_airflow_example_runs_its_task_and_asks_for_another_try_when_it_is_parked(stage):
    async with stage() as it:
        example(it, "airflow_dag.py")
        ended = await (await it.start(program=("-c", AIRFLOW), env=STAND_INS)).ended()
        assert json.loads(ended.out) == [{"stored": 4, "skipped": 0, "rows": 12}], str(ended)
        it.check_stored(4)

        (it.folder / "example.py").write_text(
            (it.folder / "example.py").read_text().replace('"50m"', '"3s", only="all"')
        )
        it.change(duration=60)
        ended = await (await it.start(program=("-c", AIRFLOW), env=STAND_INS)).ended()
        assert ended.out.startswith("AirflowException to be continued: the deadline"), str(ended)

        it.job(limits={"unfinished": "many"})
        ended = await (await it.start(program=("-c", AIRFLOW), env=STAND_INS)).ended()
        assert ended.out.startswith("AirflowFailException "), str(ended)
        assert "limits.unfinished: a whole number from 1" in ended.out


async def test_the_dagster_example_materializes_a_month(stage):
    async with stage() as it:
        example(it, "dagster_assets.py")
        ended = await (await it.start(program=("-c", DAGSTER), env=STAND_INS)).ended()
        assert "2 of 2 exports stored" in ended.out, str(ended)
        entries = it.manifest()["exports"]
        size = sum(entry["bytes"] for entry in entries)
        assert json.loads(ended.out.splitlines()[-1]) == {"exports": 2, "rows": 6, "bytes": size}, str(ended)
        assert {entry["coordinates"]["window"] for entry in entries} == {"2020-02"}


@pytest.mark.parametrize("block", IN_THE_DOCS, ids=range(len(IN_THE_DOCS)))
async def test_python_in_the_documents_runs(stage, block):
    async with stage() as it:
        it.job(months=2)
        ended = await (await it.start(program=("-c", block))).ended()
        assert (ended.status, ended.err) == (0, ""), str(ended)


def test_there_is_python_in_the_documents():
    assert len(IN_THE_DOCS) == 3
