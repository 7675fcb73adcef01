"""Frozen plans that somebody edited, cut, or wrote with another version: run as they were frozen, or refused."""

import json

import pytest
from cli_program import JOB, program
from fuzzing import costly, json_values, spoilt
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.job.misfit import Misfit
from orchestrator.job.paths import check

ODD = json_values | st.sampled_from(
    ["", "/etc/passwd", "../x", "a/../../x", "~nobody-here/x", "a\0b", "\x1b[2J", "x" * 3000, "${X}", "missing", "json", 0, -1, 1e300, 2**70]
)  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """A frozen plan and its document."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "job.yaml").write_text(JOB)
    path = folder / "plan.json"
    assert program("plan", str(folder / "job.yaml"), "--out", str(path)).status == 0
    return path, json.loads(path.read_text())


def looked_at(path):
    """What `plan FILE` and `run FILE` make of it: the exports that would be asked for, or None if it is refused."""
    planned, run = program("plan", str(path), "--json"), program("run", str(path))
    assert run.status in (2, 6), run.err  # what is right with the plan is still without a token
    if planned.status != 0:
        assert planned.status in (2, 6), planned.err
        assert "Traceback" not in planned.err + run.err
        return None
    return json.loads(planned.out)["exports"]


@given(data=st.data())
def test_a_plan_with_odd_values_is_what_was_frozen_or_refused(plan, data):
    path, document = plan
    edited = path.with_name("edited.json")
    place = data.draw(st.sampled_from(("anywhere", "settings", "asked", "cells", "cells", "cells")))
    if place == "anywhere":
        changed = data.draw(spoilt(document, ODD))
    else:
        changed = {
            **document,
            "frozen": {**document["frozen"], place: data.draw(spoilt(document["frozen"][place], ODD))},
        }
    edited.write_text(json.dumps(changed))
    exports = looked_at(edited)
    if exports is None:
        return
    frozen = {export["key"]: (export["request"], export["impersonate"]) for export in document["exports"]}
    for export in exports:
        assert frozen[export["key"]] == (export["request"], export["impersonate"]), "a key stands for its question"
        try:
            check(export["path"])
        except Misfit as misfit:
            raise AssertionError(f"{export['path']!r} leads out") from misfit
    assert len({export["path"].casefold() for export in exports}) == len(exports)


@costly
@given(data=st.data())
def test_a_plan_that_was_cut_or_scribbled_over_is_what_was_frozen_or_refused(plan, data):
    path, document = plan
    written = path.read_bytes()
    at = data.draw(st.integers(0, len(written)))
    scribbled = path.with_name("scribbled.json")
    scribbled.write_bytes(
        written[:at] + data.draw(st.binary(max_size=5)) + written[at + data.draw(st.integers(0, 5)) :]
    )
    exports = looked_at(scribbled)
    if exports is not None:
        frozen = {export["key"]: export["request"] for export in document["exports"]}
        assert all(frozen[export["key"]] == export["request"] for export in exports)


DURATIONS = st.sampled_from(
    ["0.00001s", "0.3s", "1ms", "999999999999h", "1h30m", "12345678.987654321", "0.000000000001"]
)


@costly
@given(
    st.fixed_dictionaries(
        {
            "limits": st.fixed_dictionaries({}, optional={
                "unfinished": st.integers(1, 10**6), "requests_per_second": st.sampled_from(["0.0000001", "1e5", "1.5", "999999"]),
                "downloads": st.integers(1, 10**6), "longest_pause": DURATIONS}),
            "polling": st.fixed_dictionaries({}, optional={"first": DURATIONS, "max": DURATIONS, "jitter": st.sampled_from(["0", "0.000001", "1"])}),
            "retry": st.fixed_dictionaries({}, optional={"base": DURATIONS, "outage": DURATIONS, "ambiguous": st.just("stop")}),
            "network": st.fixed_dictionaries({}, optional={"timeout": DURATIONS, "proxy": st.sampled_from(["none", "http://h:1"]), "ca_file": st.just("a.pem")}),
        }
    )
)  # fmt: skip
@example({"limits": {"longest_pause": "0.00001s"}})
def test_every_plan_that_can_be_frozen_can_be_run(tmp_path_factory, settings):
    folder = tmp_path_factory.getbasetemp()
    (folder / "frozen-job.yaml").write_text(
        JOB + "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    )
    frozen = program("plan", str(folder / "frozen-job.yaml"), "--out", str(folder / "frozen.json"), "--json")
    if frozen.status == 0:
        exports = json.loads(frozen.out)["exports"]
        assert looked_at(folder / "frozen.json") == exports
