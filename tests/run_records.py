"""Run records as small as tests of their readers need."""


def record(**changes):
    return {
        "schema": "orchestrator.run/1",
        "command": "run",
        "job": "backfill",
        "run_id": "20260101T000000Z-abcdef",
        "outcome": "succeeded",
        "reason": None,
        "resume_after": None,
        "error": None,
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:01:00.250Z",
        "counts": {"planned": 3, "stored": 1, "skipped": 1, "failed": 0, "pending": 1},
        "api": {"posts": 2, "polls": 5, "throttled": 1, "errors": 4, "possible_duplicates": 0},
        "bytes": 1234,
        "rows": 7,
        "exports": [],
    } | changes


def export(state, *labels, error=None, **changes):
    return {
        "key": "k1-0",
        "coordinates": {f"axis{n}": label for n, label in enumerate(labels)},
        "state": state,
        "report_ids": ["r-1"],
        "path": "a/b.json",
        "bytes": 12 if state == "stored" else None,
        "rows": 3 if state == "stored" else None,
        "attempts": 1,
        "polls": 2,
        "possible_duplicates": 0,
        "timings": {
            "submitted_at": "2026-01-01T00:00:01.000Z",
            "ready_at": None,
            "stored_at": "2026-01-01T00:00:31.500Z" if state == "stored" else None,
        },
        "error": error,
    } | changes


def failed(label, message, code="request.invalid", hint=None):
    return export("failed", label, error={"code": code, "message": message, "hint": hint})
