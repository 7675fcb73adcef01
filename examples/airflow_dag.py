"""Last month's conversations on the second of each month, by Airflow 3.

The job file says `window: {every: month, last: 3}`: a run exports what is missing of the three last months, so a month
that went wrong is mended by the next run and needs no backfill. The token is a variable of the worker's environment, or
`environ=` hands it over from wherever you keep it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from orchestrator import JobError, LockedError, run_job

JOB = "/opt/pipelines/support.yaml"


@task(retries=24, retry_delay=timedelta(minutes=10), execution_timeout=timedelta(hours=1))
def export() -> dict[str, int]:
    """One try. What it parks, the next one goes on with: reports that Loop is making are found again."""
    try:
        # Within the execution_timeout. Should Airflow end the task all the same, the run is parked before it goes.
        report = run_job(JOB, deadline="50m")
    except LockedError as error:
        raise AirflowException(error.message) from None  # somebody else runs it: tried again later
    except JobError as error:
        raise AirflowFailException(str(error)) from None  # no other try would mend the job file
    if report["outcome"] in ("parked", "unreachable"):
        raise AirflowException(f"to be continued: {report['reason']}")
    if report["outcome"] != "succeeded":
        failed = [export["path"] for export in report["exports"] if export["state"] == "failed"]
        raise AirflowFailException(f"{report['outcome']}: {report['error'] or failed}")
    counts = report["counts"]  # small enough for an XCom; the files are named by the manifest
    return {"stored": counts["stored"], "skipped": counts["skipped"], "rows": report["rows"]}


@dag(schedule="0 6 2 * *", start_date=datetime(2025, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def support_conversations() -> None:
    export()


support_conversations()
