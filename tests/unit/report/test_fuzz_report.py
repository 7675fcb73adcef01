"""Whatever a record holds, it is refused in words or rendered: no record makes a report fall over."""

import io
import json
from xml.etree import ElementTree as ET

from fuzzing import spoilt
from hypothesis import given
from report_records import export, failed, run_record

from orchestrator.errors import JobError
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.summary import print_summary
from orchestrator.report import html, junit, markdown, record

GOOD = run_record(
    export("2024-01"),
    failed("2024-02"),
    export("2024-03", "pending"),
    export("2024-04", "skipped", action="wait"),
    outcome="failed",
    error={"code": "x", "message": "y", "hint": None},
)


@given(spoilt(GOOD))
def test_a_spoilt_record_is_refused_or_rendered(value):
    try:
        known = record.parse(json.dumps(value), "run.json")
    except JobError:
        return
    assert html.render(known).startswith("<!doctype html>")
    assert len(markdown.render(known, limit=5000).encode()) <= 5000
    ET.fromstring(junit.render(known))
    print_summary(known, PeopleConsole(io.StringIO()))
