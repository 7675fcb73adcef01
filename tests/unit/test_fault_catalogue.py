"""The table in `tests/README.md` names every fault of the catalogue, and only tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = {
    cells[0].strip(): re.findall(r"`([^`]+::[^`]+)`", cells[2])
    for line in (TESTS / "README.md").read_text().splitlines()
    if re.match(r"\| S?\d+ \|", line)
    for cells in [line.strip("|\n ").split(" | ")]
}
WANTED = [*(str(n) for n in range(1, 45)), *(f"S{n}" for n in range(1, 16))]


@cache
def names_in(file):
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_has_every_row_of_the_catalogue_once():
    lines = [line for line in (TESTS / "README.md").read_text().splitlines() if re.match(r"\| S?\d+ \|", line)]
    assert len(lines) == len(WANTED)
    assert list(ROWS) == WANTED


@pytest.mark.parametrize("row", WANTED)
def test_each_row_names_tests_that_exist(row):
    assert ROWS[row], "no test plants it"
    for named in ROWS[row]:
        file, _, name = named.partition("::")
        assert (TESTS / file).is_file(), file
        assert name in names_in(file), named
