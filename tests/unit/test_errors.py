"""Errors as programs meet them: printed in a log, sent from one process to another."""

import pickle

import pytest

from orchestrator.errors import JobError, LockedError, Problem, RefusedError, StorageError

PLACED = Problem("unknown key 'tokn'", file="job.yaml", line=3, column=7, key="api.tokn", hint="did you mean `token`?")
OPTION = Problem("--select: nothing", code="select.empty", cause="no label matches")


def test_an_error_of_the_job_that_nobody_caught_tells_each_problem_with_its_place_and_all_that_helps():
    assert str(JobError(PLACED, OPTION)).splitlines() == [
        "job.yaml:3:7: api.tokn: unknown key 'tokn' [job.invalid] (hint: did you mean `token`?)",
        "--select: nothing [select.empty] (cause: no label matches)",
    ]
    assert JobError(PLACED, OPTION).message == "unknown key 'tokn' (and 1 more)"


@pytest.mark.parametrize(
    "error",
    [
        JobError(PLACED, OPTION),
        LockedError("another run", hint="wait"),
        StorageError("full", code="storage.full", cause="ENOSPC"),
        RefusedError("no", code="account.token", hint="a new token"),
    ],
)
def test_an_error_comes_whole_out_of_a_worker_process(error):
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert there.as_json() == error.as_json()
    assert str(there) == str(error)
    assert getattr(there, "problems", None) == getattr(error, "problems", None)
