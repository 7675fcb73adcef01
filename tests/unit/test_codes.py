"""The table of error codes is complete: every code that the product can give is in it, and nothing else is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.cli import exits
from orchestrator.codes.table import CODES, GROUPS, find, near
from orchestrator.engine.step import _LOSSES

PACKAGE = Path(errors.__file__).parent
CODE = re.compile(r"[a-z][a-z-]*(\.[a-z-]+)?")
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.OrchestratorError)
}
LOOKS_LIKE_ONE = {
    # keys of the job file
    "api.token",
    # files
    "demo.yaml", "job.yaml", "journal.db", "manifest.json",
    # attributes of OpenTelemetry
    "service.name", "service.version",
}  # fmt: skip
"""Texts of the product that have the form of a code of a known group, and are none."""


@cache
def sources():
    # The errors' defaults count where they are raised; the package's root has names of modules only.
    left_out = {PACKAGE / "errors.py", PACKAGE / "__init__.py", *(PACKAGE / "codes").glob("*.py")}
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if file not in left_out]
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}


def nodes(kind):
    return (node for tree in sources().values() for node in ast.walk(tree) if isinstance(node, kind))


def texts_in(node):
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def raised():
    """Calls of the errors' classes: the class, and the code if it is written there."""
    for call in nodes(ast.Call):
        name = getattr(call.func, "id", getattr(call.func, "attr", None))
        if name == "Problem" or name in CLASSES:
            codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
            yield name, codes[0] if codes else None


def in_product():
    groups = {code.group for code in CODES.values() if "." in code.code}
    written = {text for call in nodes(ast.keyword) if call.arg == "code" for text in texts_in(call.value)}
    # Codes also stand in tables (what an errno means, what a status means) and in f-strings' pieces.
    tabled = {
        node.value
        for node in nodes(ast.Constant)
        if isinstance(node.value, str)
        and CODE.fullmatch(node.value)
        and node.value.partition(".")[0] in groups
        and "." in node.value
    }
    defaults = {
        CLASSES.get(name, errors.Problem).code for name, code in raised() if code is None and name != "JobError"
    }
    made = {f"export.{cause.value}" for cause in _LOSSES}
    said = {match for text in texts_of_strings() for match in re.findall(r"\[(platform|bug)\]", text)}
    return {code for code in written if CODE.fullmatch(code)} | (tabled - LOOKS_LIKE_ONE) | defaults | made | said


def texts_of_strings():
    return (node.value for node in nodes(ast.Constant) if isinstance(node.value, str))


def test_every_code_of_the_product_is_in_the_table():
    assert in_product() - set(CODES) == set()


def test_every_code_of_the_table_is_one_of_the_product():
    assert set(CODES) - in_product() == set()


def test_the_table_names_each_code_once():
    assert sum(map(len, GROUPS.values())) == len(CODES)


def test_what_looks_like_a_code_and_is_none_is_still_there():
    assert set(texts_of_strings()) >= LOOKS_LIKE_ONE


def test_the_table_says_the_exit_status_to_which_the_error_leads():
    seen = set()
    for name, code in raised():
        if name in ("ContentError", "OrchestratorError") or not isinstance(code, ast.Constant):
            continue  # a file's fault is its export's; the root's own codes are told by those who raise them
        error = (
            errors.JobError(errors.Problem("x", code=code.value))
            if name == "Problem"
            else CLASSES[name]("x", code=code.value)
        )
        if CODES[code.value].ends == "none":
            continue  # caught by whoever looks, and told as a warning
        assert exits.of_error(error) == exits.ENDS[CODES[code.value].ends], code.value
        seen.add(code.value)
    assert len(seen) > 40


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_code_says_what_it_means_why_and_what_to_do(code):
    for text in (code.means, *code.causes, *code.do):
        assert text.strip() == text
        assert text[-1] in ".?…)", text
    assert code.causes
    assert re.fullmatch(r"usually [^A-Z][^A-Z].*[^.]", code.usually) or code.ends != "export", code.usually
    assert code.do
    assert CODE.fullmatch(code.code)


def test_a_group_is_found_by_what_stands_before_the_dot():
    assert {code.code for code in find("journal")} == {code for code in CODES if code.startswith("journal.")}
    assert find("journal.") == find("journal.*") == find("journal")
    assert find("journals") == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("storage.ful", "storage.full"), ("locked", "run.locked"), ("storge", "storage"), ("Run.Locked", "run.locked")],
)
def test_a_misspelt_code_is_guessed(typed, meant):
    assert near(typed)[0] == meant
