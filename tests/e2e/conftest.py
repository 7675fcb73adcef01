"""End-to-end tests: see rehearsal.py."""

import functools

import pytest
from rehearsal import rehearsal


@pytest.fixture
def stage(tmp_path):
    """`async with stage(**scenario) as it:` a service of its own, in a folder of its own."""
    return functools.partial(rehearsal, tmp_path)
