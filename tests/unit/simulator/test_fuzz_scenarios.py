"""Scenario files as nobody should write them: a scenario that can be played comes out, or JobError with places."""

import json

import yaml
from fuzzing import json_values, spoilt
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import JobError
from orchestrator.simulator.rules import VERBS
from orchestrator.simulator.scenario import load_scenario, parse_scenario

WHOLE = {
    "seed": 7, "tokens": ["a", 1], "pending": 1, "duration": {"median": 3, "sigma": 0.6}, "latency": {"min": 0, "max": 1},
    "expires_after": 60, "url_lifetime": 5, "rows": {"per_day": 10}, "row_bytes": 1000, "download_rate": 1e6,
    "rate_limit": {"per_second": 10, "burst": 5, "retry_after": 2, "retry_after_form": "date"}, "max_unfinished": 4,
    "encoding": "gzip", "chunked": True, "etag": "weak", "outages": [{"at": 30, "for": 10, "mode": 503, "on": "api"}],
    "faults": [
        {"on": "create", "do": "status", "code": 429, "retry_after": 2, "match": {"team": 77, "nth": [1, 2]}, "times": 3},
        {"on": "download", "do": "truncate", "after": 0.5, "by": "rst", "match": {"probability": 0.5}},
    ],
}  # fmt: skip
WORDS = st.sampled_from(
    [*VERBS, "create", "get", "download", "none", "date", "rst", "-1", "0", "1e400", "-0.0", "1e-9", ".5", "08", "~"]
)
NUMBERS = st.sampled_from([0, -1, 1, 0.5, 1e300, 10**17, 10**18, 10**30])
TEXTS = st.lists(
    st.sampled_from(
        ["rows", "seed", ": ", "- ", "\n", "\n  ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!int ", "!!float ''", "!!timestamp x", "? ", "=",
         "|", ">", "'", '"', "\\ud800", "1", "1e999", "~", "\t", "\0", "é", "---", "...", "%YAML 9.9\n", "#", "faults:"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def played(text, name="s.yaml"):
    """What the simulator does with a scenario before it answers anybody; None if it is refused."""
    try:
        scenario = parse_scenario(text, name)
    except JobError as error:
        assert all(problem.message and problem.file == name for problem in error.problems)
        return None
    for spread in (scenario.pending, scenario.duration, scenario.latency):
        assert min(spread.seconds(0.001), spread.seconds(0.999)) >= 0
    assert scenario.rows.count(0.999, 366 * 86_400) >= 0
    assert all(0 <= fault.cut(1000) <= 1000 for fault in scenario.faults)
    return scenario


@given(st.text() | TEXTS)
@example("!!float ''")
@example("!!int ''")
@example("!!bool x")
@example("seed: !!timestamp x")
@example("[" * 400_000)  # it overran the stack of libyaml's composer
@example("duration: {median: 1, sigma: 1e300}")
@example("rows: {per_day: 1e307}")
def test_of_any_text_a_scenario_comes_out_or_what_is_wrong_with_it(text):
    played(text)


@given(st.binary(max_size=100))
def test_of_any_bytes_a_scenario_comes_out_or_what_is_wrong_with_them(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz-scenario.yaml"
    path.write_bytes(data)
    try:
        load_scenario(path)
    except JobError as error:
        assert all(problem.file == str(path) for problem in error.problems)


@given(spoilt(WHOLE, json_values | WORDS | NUMBERS), st.booleans())
def test_a_scenario_with_odd_values_is_played_or_told_with_places(document, flow):
    text = json.dumps(document) if flow else yaml.safe_dump(document, allow_unicode=True)
    scenario = played(text)
    if scenario is not None:
        again = scenario.model_dump_json(exclude_unset=True, by_alias=True)
        assert played(again) == scenario, "a rehearsal hands its scenario over as JSON"
