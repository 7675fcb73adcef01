"""The report of a run as the journal keeps it."""

from __future__ import annotations

import json

import pytest

from orchestrator.journal.records import report_row, report_text, to_text

REPORT = {
    "schema": "orchestrator.run/1",
    "counts": {"stored": 2},
    "history": [{"at": 0.0, "posts": 2}],
    "exports": [{"key": "a"}, {"key": "b\udc80"}],
}


def test_its_texts_are_those_of_the_whole_and_of_what_every_run_leaves_for_good():
    head, deflated = report_row(REPORT)
    assert json.loads(head) == {"schema": "orchestrator.run/1", "counts": {"stored": 2}}
    assert report_text(deflated) == to_text(REPORT)


def test_its_exports_are_put_into_words_one_by_one():
    living, most = [0], [0]

    class Export(dict):
        def __init__(self):
            super().__init__(key="a")
            living[0] += 1
            most[0] = max(most[0], living[0])

        def __del__(self):
            living[0] -= 1

    report_row({"exports": (Export() for _ in range(5))})
    assert most[0] <= 2, "the next one is made while the last is still held"


def test_what_is_no_report_is_told_as_such():
    with pytest.raises(ValueError, match="last run"):
        report_text(b"{}")
