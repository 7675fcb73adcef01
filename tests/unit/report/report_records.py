"""Run records for tests of reports: as many exports as wanted, with what the engine would tell of them."""

from datetime import UTC, datetime, timedelta

BEGAN = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
STAGES = {
    "stored": [["queued", 0.0], ["service", 1.0], ["notice", 20.0], ["ready", 31.0], ["transfer", 32.0], ["end", 35.0]],
    "failed": [["queued", 0.0], ["service", 1.0], ["queued", 20.0], ["service", 25.0], ["end", 50.0]],
    "pending": [["queued", 0.0]],
    "skipped": [],
}


def at(seconds):
    return (BEGAN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def export(window, state="stored", *, error=None, action="run", **changes):
    """One export; `team` or all `coordinates` may be given, and anything else of it."""
    coordinates = changes.pop("coordinates", {"window": window, "team": changes.pop("team", "support")})
    name = "/".join(coordinates.values())
    stored = state == "stored"
    return {
        "key": f"k1-{name}",
        "coordinates": coordinates,
        "state": state,
        "action": action,
        "reason": "",
        "report_ids": [] if state == "pending" else [f"id-{name}"],
        "path": f"{name}.json",
        "bytes": 2_000_000 if stored else None,
        "sha256": "0" * 64 if stored else None,
        "rows": 1000 if stored else None,
        "partial": False,
        "attempts": 1,
        "polls": 3,
        "possible_duplicates": 0,
        "timings": {
            "submitted_at": None if state == "pending" else at(1),
            "ready_at": at(31) if stored else None,
            "stored_at": at(35) if stored else None,
        },
        "stages": STAGES[state],
        "error": error,
        **changes,
    }


def failed(
    window, message="the export failed 3 times", *, code="export.failed", hint="Look at the filters.", **changes
):
    return export(window, "failed", error={"code": code, "message": message, "hint": hint}, **changes)


def run_record(*exports, outcome="succeeded", **changes):
    states = [each["state"] for each in exports]
    return {
        "schema": "orchestrator.run/1",
        "job": "support-backfill",
        "run_id": "20261126T080000Z-abcdef",
        "outcome": outcome,
        "reason": None,
        "resume_after": None,
        "error": None,
        "started_at": at(0),
        "finished_at": at(95),
        "counts": {
            "planned": len(exports),
            **{state: states.count(state) for state in ("stored", "skipped", "failed", "pending")},
        },
        "api": {"posts": len(exports), "polls": 61, "throttled": 2, "errors": 0, "possible_duplicates": 0},
        "bytes": sum(each["bytes"] or 0 for each in exports),
        "rows": sum(each["rows"] or 0 for each in exports),
        "history": [
            {
                "at": 0.0,
                "seconds": 60.0,
                "posts": 3,
                "polls": 9,
                "downloads": 2,
                "throttled": 2,
                "bytes": 9,
                "paused": 4.0,
            },
            {
                "at": 60.0,
                "seconds": 60.0,
                "posts": 0,
                "polls": 2,
                "downloads": 0,
                "throttled": 0,
                "bytes": 0,
                "paused": 0.0,
            },
        ],
        "exports": list(exports),
        **changes,
    }


def months(first_year, years):
    return [f"{year}-{month:02}" for year in range(first_year, first_year + years) for month in range(1, 13)]
