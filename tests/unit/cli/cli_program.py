"""The program in this process: what it says, and how it ends."""

import contextlib
import io
from typing import NamedTuple
from unittest.mock import patch

from orchestrator.cli.main import run_program

JOB = """\
version: 1
name: fuzzed
api: {token: "${NO_SUCH_TOKEN}", base_url: "http://127.0.0.1:9"}
request: {timezone: Europe/Ljubljana}
matrix:
  window: {every: month, from: 2023-01, to: 2023-02}
  team: {support: T1, sales: [T2, T3]}
output: {to: ./out}
"""


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def program(*arguments, environ=()):
    """Runs a command line in an environment of its own. A run that gets as far as asking the service is a failure."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict("os.environ", dict(environ), clear=True),
        patch("orchestrator.cli.session.Session", side_effect=AssertionError("it would have asked the service")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = run_program(list(arguments))
    return Ended(status, out.getvalue(), err.getvalue())
