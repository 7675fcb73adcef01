"""A run record as JUnit XML: a test case an export, so that GitLab, Jenkins and their like show a run without knowing it. Pure.

The dialect is the one that Surefire writes and everybody reads. What XML can't hold (most control characters, lone
surrogates) is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from orchestrator.progress.words import label, printable
from orchestrator.report.pictures import spans
from orchestrator.report.record import WINDOW, Export, seconds_taken, standing, story

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROPERTIES = ("run_id", "outcome", "reason", "started_at", "finished_at", "bytes", "rows")


def render(record: Mapping[str, Any]) -> str:
    """The whole document. A failed export is a `failure`, one that needed nothing now or is not done yet is `skipped`, and what
    ended the run early is an `error` of a test case of its own, so that a run that did nothing does not look like a success.
    """
    job, seconds = record["job"] or "run", seconds_taken(record)
    cases = [_case(job, export, seconds) for export in record["exports"]]
    told = story(record)
    if told.why and record["outcome"] not in ("failed", "parked"):
        cases.append(_ended_early(job, told.why, told.next_step, record))
    suite = _element("testsuite", name=job, time=f"{seconds:.3f}", timestamp=record["started_at"][:19])
    for kind in ("failure", "error", "skipped"):
        name = {"failure": "failures", "error": "errors"}.get(kind, kind)
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
    properties = ET.SubElement(suite, "properties")
    figures = {name: record.get(name) for name in _PROPERTIES} | {f"api.{name}": n for name, n in record["api"].items()}
    properties.extend(
        _element("property", name=name, value=str(value)) for name, value in figures.items() if value is not None
    )
    suite.extend(cases)
    suites = _element(
        "testsuites", name=job, **{name: suite.get(name, "") for name in ("tests", "failures", "errors", "time")}
    )
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(job: str, export: Export, seconds: float) -> ET.Element:
    coordinates = export["coordinates"]
    groups = [value for axis, value in coordinates.items() if axis != WINDOW]
    case = _element(
        "testcase",
        classname=".".join([job, *(group.replace(".", "_") for group in groups)]),  # a dot would begin another group
        name=label(coordinates),
        time=f"{sum(end - begin for name, begin, end in spans(export, seconds) if name != 'queued'):.3f}",
    )
    error = export["error"]
    if export["state"] == "failed":
        code, message = (error["code"], error["message"]) if error else ("error", "no reason was kept")
        failure = _element("failure", type=code, message=message)
        lines = [message]
        lines += [f"{name}: {error[name]}" for name in ("cause", "hint") if error and error.get(name)]
        lines += [f"report ids: {', '.join(export['report_ids'])}"] if export["report_ids"] else []
        failure.text = "\n".join([*map(_clean, lines), f"more: orchestrator explain {_clean(code)}"])
        case.append(failure)
    elif export["state"] in ("skipped", "pending"):
        case.append(_element("skipped", message=f"{standing(export).words}: {export['reason'] or export['state']}"))
    return case


def _ended_early(job: str, why: str, next_step: str | None, record: Mapping[str, Any]) -> ET.Element:
    case = _element("testcase", classname=job, name="the run itself", time="0")
    code = record["error"]["code"] if record.get("error") else record["outcome"]
    error = _element("error", type=code, message=why)
    error.text = "\n".join(_clean(line) for line in (why, next_step) if line)
    case.append(error)
    return case


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", printable(text))
