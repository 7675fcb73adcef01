"""Run a job from a program of your own and look at what came of it: `LOOP_API_TOKEN=… python examples/library.py job.yaml`."""

from __future__ import annotations

import logging
import sys

from orchestrator import JobError, LockedError, plan_job, run_job

logging.basicConfig(level=logging.INFO, format="%(message)s")  # the library says nothing where nobody listens


def main(job: str) -> int:
    try:
        plan = plan_job(job)
        print(f"{len(plan['exports'])} exports, to be run: {plan['counts'].get('run', 0)}")
        report = run_job(job, deadline="50m")
    except JobError as error:
        for problem in error.problems:
            print(problem.place or job, problem.key or "", problem.message, f"[{problem.code}]")
        return 2
    except LockedError as error:
        print(error.message)
        return 5
    for export in report["exports"]:
        if export["state"] == "failed" and export["error"] is not None:
            print(export["path"], export["error"]["message"], export["error"]["hint"] or "")
    print(report["outcome"], report["counts"])
    return 0 if report["outcome"] == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
