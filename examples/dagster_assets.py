"""Loop's conversations as a Dagster asset, a partition a month.

The job file names the months, `window: {every: month, from: 2024-01}`, and a partition selects one of them. Two partitions
at once exclude each other, because they are one job: the second one is tried again.
"""

from dagster import (
    AssetExecutionContext,
    Definitions,
    Failure,
    MaterializeResult,
    MonthlyPartitionsDefinition,
    RetryRequested,
    asset,
)

from orchestrator import LockedError, run_job

JOB = "/opt/pipelines/support.yaml"
MONTHS = MonthlyPartitionsDefinition(start_date="2024-01", fmt="%Y-%m")


@asset(partitions_def=MONTHS, group_name="loop")
def conversations(context: AssetExecutionContext) -> MaterializeResult[None]:
    """The files of one month, verified and stored."""
    try:
        report = run_job(
            JOB,
            select=[f"window={context.partition_key}"],
            deadline="50m",
            on_progress=lambda counts: context.log.info("%d of %d exports stored", counts["stored"], counts["planned"]),
        )
    except LockedError as error:
        raise RetryRequested(max_retries=24, seconds_to_wait=300) from error
    if report["outcome"] in ("parked", "unreachable"):
        context.log.info("to be continued: %s", report["reason"])
        raise RetryRequested(max_retries=24, seconds_to_wait=600)
    if report["outcome"] != "succeeded":
        failed = [export["path"] for export in report["exports"] if export["state"] == "failed"]
        raise Failure(f"{report['outcome']}: {report['error'] or failed}", allow_retries=False)
    return MaterializeResult(
        metadata={
            "exports": len(report["exports"]),
            "rows": sum(export["rows"] or 0 for export in report["exports"]),
            "bytes": sum(export["bytes"] or 0 for export in report["exports"]),
        }
    )


definitions = Definitions(assets=[conversations])
