"""A run as JUnit XML, read back by a parser that is not ours."""

import re
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from report_records import export, failed, run_record

from orchestrator.report import junit

HOSTILE = (
    "]]>",
    "<failure>",
    "&amp;",
    '"quoted"',
    "=1+1",
    "a\nb",
    "\x1b[31mred",
    "\x00\x0b",
    "\ufffe",
    "\ud800",
    "é 🎉",
)

JENKINS = {
    # element: (attributes that it must have, those that it may have, elements within it)
    "testsuites": ("", "name time tests failures errors", "testsuite"),
    "testsuite": (
        "name tests failures errors",
        "group time skipped timestamp hostname id package file log url",
        "testsuite properties testcase system-out system-err",
    ),
    "properties": ("", "", "property"),
    "property": ("name value", "", ""),
    "testcase": ("name", "time classname group", "skipped error failure system-out system-err"),
    "failure": ("", "type message", ""),
    "error": ("", "type message", ""),
    "skipped": ("", "type message", ""),
}
"""What the xUnit plugin of Jenkins takes, which turns away whatever its schema (`junit-10.xsd`) does not know; without what is only
for tests that are run several times."""


def strange_to_jenkins(element):
    must, may, within = map(str.split, JENKINS[element.tag])
    yield from (f"{element.tag} lacks {name}" for name in must if name not in element.keys())  # noqa: SIM118  no dict
    yield from (f"{element.tag} has {name}" for name in element.keys() if name not in (*must, *may))  # noqa: SIM118
    if element.tag.startswith("testsuite") and not re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time")):
        yield f"{element.tag} took {element.get('time')}"
    if len(element) and (element.text or "").strip():
        yield f"{element.tag} has text"
    for inner in element:
        yield from strange_to_jenkins(inner) if inner.tag in within else [f"{inner.tag} in {element.tag}"]


@pytest.mark.parametrize(
    "record",
    [
        run_record(),
        run_record(failed("2024-01"), export("2024-02", "pending"), export("2024-03", "skipped", action="wait")),
        run_record(export("2024-01"), job=None, run_id=None, outcome="storage", reason="no room"),
        *(
            run_record(failed(text, text, code=text, hint=text, report_ids=[text]), outcome="bug", reason=text)
            for text in HOSTILE
        ),
    ],
)
def test_jenkins_finds_what_its_schema_knows_and_nothing_else(record):
    root = ET.fromstring(junit.render(record))
    assert root.tag == "testsuites"
    assert list(strange_to_jenkins(root)) == []


def parsed(record):
    (suite,) = JUnitXml.fromstring(junit.render(record).encode())
    return suite


def test_an_export_is_a_test_case():
    suite = parsed(run_record(export("2024-01"), export("2024-01", team="sales")))
    assert [(case.classname, case.name, case.time) for case in suite] == [
        ("support-backfill.support", "2024-01 support", 34.0),
        ("support-backfill.sales", "2024-01 sales", 34.0),
    ]
    assert all(case.is_passed for case in suite)
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == ("support-backfill", 2, 0, 0, 0)


def test_a_failed_export_is_a_failure_with_its_code_its_message_and_all_that_helps():
    bad = failed("2024-01", "it failed 3 times")
    bad["error"]["cause"] = "usually it is too large"
    (case,) = parsed(run_record(bad, outcome="failed"))
    (failure,) = case.result
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("export.failed", "it failed 3 times")
    assert failure.text.splitlines() == [
        "it failed 3 times",
        "cause: usually it is too large",
        "hint: Look at the filters.",
        "report ids: id-2024-01/support",
        "more: orchestrator explain export.failed",
    ]


@pytest.mark.parametrize(
    ("each", "why"),
    [
        (export("2024-01", "skipped", action="skip", reason="stored"), "stored before: stored"),
        (
            export("2024-01", "skipped", action="wait", reason="open until tomorrow"),
            "window still open: open until tomorrow",
        ),
        (export("2024-01", "pending"), "not done yet: pending"),
    ],
)
def test_what_the_run_did_not_do_is_skipped(each, why):
    (case,) = parsed(run_record(each, outcome="parked"))
    (skipped,) = case.result
    assert isinstance(skipped, Skipped)
    assert skipped.message == why


@pytest.mark.parametrize("outcome", ["refused", "unreachable", "storage", "bug"])
def test_a_run_that_was_ended_early_is_no_success_even_without_any_export(outcome):
    error = {"code": "account.token", "message": "the token is refused", "cause": "HTTP 401", "hint": "Make a new one."}
    suite = parsed(run_record(outcome=outcome, error=error))
    (case,) = suite
    (told,) = case.result
    assert isinstance(told, Error)
    assert told.type == "account.token"
    assert "HTTP 401" in told.message
    assert "Make a new one." in told.text
    assert suite.errors == 1


def test_a_parked_run_is_no_error():
    suite = parsed(run_record(export("2024-01", "pending"), outcome="parked", reason="the deadline is near"))
    assert (suite.errors, suite.skipped) == (0, 1)
    assert {each.name: each.value for each in suite.properties()}["reason"] == "the deadline is near"


def test_the_figures_of_the_run_are_properties():
    suite = parsed(run_record(export("2024-01")))
    properties = {each.name: each.value for each in suite.properties()}
    assert properties["outcome"] == "succeeded"
    assert properties["api.throttled"] == "2"
    assert "reason" not in properties


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text):
    bad = failed("x", text, code=text, hint=text, coordinates={"window": text, "team": text}, report_ids=[text])
    error = {"code": text, "message": text, "hint": text}
    suite = parsed(run_record(bad, job=text, outcome="storage", error=error))
    case, told = suite
    assert isinstance(case.result[0], Failure)
    assert isinstance(told.result[0], Error)
    assert suite.tests == 2
    if text.isprintable() and text != "\ufffe":
        assert case.result[0].message == text
        assert case.name == f"{text} {text}"


def test_a_dot_in_a_label_begins_no_group():
    (case,) = parsed(run_record(export("2024-01", team="a.b@example.com")))
    assert case.classname == "support-backfill.a_b@example_com"
