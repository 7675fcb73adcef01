"""What answering `--help` may cost: it imports nothing heavy. Looked at in `sys.modules`, not at the clock."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "structlog",
    "pydantic",
    "anyio",
    "asyncio",
    "orjson",
    "msgspec",
    "yaml",
    "sqlite3",
    "aiofiles",
    "http.client",
}

PROBE = """
import json, sys
sys.argv = ["orchestrator", *json.loads(sys.argv[1])]
from orchestrator.cli.entry import main
try:
    main()
except SystemExit as end:
    print("\\n" + json.dumps([end.code, sorted({*sys.modules, *(name.partition(".")[0] for name in sys.modules)})]))
"""


def modules_after(*arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    code, names = json.loads(done.stdout.splitlines()[-1])
    return code, set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("simulate", "--help")])
def test_help_and_version_import_nothing_heavy(arguments):
    code, names = modules_after(*arguments)
    assert code == 0
    assert names & HEAVY == set()


def test_importing_the_package_imports_nothing_heavy():
    code = "import orchestrator, sys, json; print(json.dumps(sorted(n.partition('.')[0] for n in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & (HEAVY | {"click", "rich"}) == set()
