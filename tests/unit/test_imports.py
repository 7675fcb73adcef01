"""Who may import whom: the rooms of the house, read from the code."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "orchestrator"
EVERYBODY = {"errors", "version"}
PORTS = {"engine.ports", "engine.states", "engine.events"}

MAY_IMPORT = {
    "job": set(),
    "content": set(),
    "engine": {"job.expand", "content.digest", "codes.table"},  # records and a table, nothing that does anything
    "api": PORTS,
    "journal": PORTS,
    "storage": PORTS,
    "progress": {*PORTS, "job.periods"},  # what the label of a window means
    "report": {
        "progress.words",
        "progress.ending",
    },  # how figures and ends are put for people, and nothing of the engine
    "simulator": set(),
    "codes": set(),
    "ci": set(),
    "telemetry": {"engine.result"},  # the outcomes that a run may have
}
"""`cli` knows all the others; nobody knows `cli` but the other door, `library`, and nobody knows that."""

FOREIGN = {
    "aiohttp": {"api", "simulator"},
    "aiofiles": {"storage"},
    "pydantic": {"job", "simulator"},
    "sqlite3": {"journal"},
    "structlog": {"cli", "library"},
    "rich": {"progress", "cli"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "yaml": {"job", "simulator"},
    "orjson": {"content", "api", "journal", "storage"},
    "msgspec": {"content"},
    "opentelemetry": {"telemetry"},
}


def imports():
    for file in sorted(PACKAGE.rglob("*.py")):
        module = file.relative_to(PACKAGE).with_suffix("")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield module, node.module, [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield module, alias.name, []
            elif isinstance(node, ast.ImportFrom):
                pytest.fail(f"{module} imports relatively")


def test_rooms_import_only_whom_they_may():
    wrong = []
    for module, target, names in imports():
        room = module.parts[0]
        if not target.startswith("orchestrator") or len(module.parts) == 1 or room in ("cli", "library"):
            continue
        inner = target.removeprefix("orchestrator").removeprefix(".")
        candidates = {inner, *(f"{inner}.{name}".strip(".") for name in names)}
        if inner.partition(".")[0] == room or candidates & (EVERYBODY | MAY_IMPORT[room]):
            continue
        wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_nobody_goes_in_by_the_librarys_door():
    wrong = [
        str(module)
        for module, target, _ in imports()
        if target.startswith("orchestrator.library") and module.parts[0] not in ("__init__", "library")
    ]
    assert wrong == []


def test_nobody_imports_through_a_package_root():
    roots = {f"orchestrator.{room}" for room in (*MAY_IMPORT, "cli", "library")}
    wrong = [
        f"{module} imports {names} from {target}"
        for module, target, names in imports()
        if target in roots and not all((PACKAGE / target.split(".")[1] / f"{name}.py").exists() for name in names)
    ]
    assert wrong == []


def test_each_foreign_library_is_known_to_its_rooms_only():
    wrong = [
        f"{module} imports {target}"
        for module, target, _ in imports()
        if (top := target.partition(".")[0]) in FOREIGN and module.parts[0] not in FOREIGN[top]
    ]
    assert wrong == []
