"""A job file for every test to bend: `job(text)` writes and loads it, `problems(text)` gives what is wrong with it."""

import re
import textwrap

import pytest

from orchestrator.errors import JobError
from orchestrator.job.loader import load_job

HEAD = "version: 1\nname: test-job\napi: {token: '${LOOP_API_TOKEN}'}\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="job.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return path

    return write


@pytest.fixture
def job(write):
    """A job from its text below version, name and token (lines 1 to 3)."""

    def job(text, environ=None, overrides=(), head=HEAD):
        text = head + textwrap.dedent(text)
        if not re.search(r"^output:", text, re.MULTILINE):  # required, and seldom what a test is about
            text += "output: {to: ./exports}\n"
        return load_job(write(text), environ or {}, overrides)

    return job


@pytest.fixture
def problems(job):
    def problems(text, environ=None, overrides=(), head=HEAD):
        with pytest.raises(JobError) as caught:
            job(text, environ, overrides, head)
        return caught.value.problems

    return problems
