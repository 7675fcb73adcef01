"""Scenario files: what may be in them, and what is said about what may not."""

import json
import pathlib
import statistics

import pytest

from orchestrator.errors import JobError
from orchestrator.simulator import server
from orchestrator.simulator.chance import chance
from orchestrator.simulator.rules import VERBS, Fault
from orchestrator.simulator.scenario import Scenario, Spread, load_scenario, parse_scenario


def problems(text):
    with pytest.raises(JobError) as raised:
        parse_scenario(text, "s.yaml")
    return [(problem.place, problem.key, problem.message) for problem in raised.value.problems]


def test_no_file_and_an_empty_file_are_the_calm_scenario(tmp_path):
    empty = tmp_path / "s.yaml"
    empty.write_text("# nothing\n")
    assert load_scenario(None) == load_scenario(empty) == Scenario()


def test_a_whole_file(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("""
seed: 7
tokens: [12345, secret]
pending: 1
duration: {median: 3, sigma: 0.6}
latency: {min: 0.01, max: 0.02}
expires_after: 60
url_lifetime: 5
rows: {per_day: 10}
row_bytes: 1000
download_rate: 1e6
rate_limit: {per_second: 10, burst: 5, retry_after: 2, retry_after_form: date}
max_unfinished: 4
encoding: gzip
chunked: true
ranges: false
etag: weak
outages:
  - {at: 30, for: 10, mode: 503, on: api}
  - {for: 5}
faults:
  - {on: create, do: status, code: 429, retry_after: 2, match: {team: 77, nth: [1, 2]}, times: 3}
  - {on: create, do: status, code: 503, retry_after: Fri, match: {start: 1693526400}}
  - {on: download, do: truncate, after: 0.5, by: rst}
""")
    scenario = load_scenario(file)
    assert scenario.tokens == ("12345", "secret")
    assert scenario.outages[0].for_ == 10
    assert [outage.mode for outage in scenario.outages] == ["503", "refuse"]
    first, second, third = scenario.faults
    assert (first.retry_after, second.retry_after) == (2, "Fri")
    assert (first.match.team, first.match.nth, first.times) == ("77", (1, 2), 3)
    assert third == Fault(on="download", do="truncate", after=0.5, by="rst")
    assert Scenario.model_validate(json.loads(scenario.model_dump_json(exclude_unset=True, by_alias=True))) == scenario


def test_every_problem_is_told_with_its_place():
    text = (
        "sed: 1\nrows: many\nfaults:\n  - {on: create, do: truncate}\n  - on: get\n    do: status\noutages: [{at: 1}]\n"
    )
    assert problems(text) == [
        ("s.yaml:1:1", "sed", "this key is not known"),
        ("s.yaml:2:1", "rows.min", "found 'many'; input should be a valid integer, unable to parse string as an integer"),
        ("s.yaml:2:1", "rows.max", "found 'many'; input should be a valid integer, unable to parse string as an integer"),
        ("s.yaml:4:5", "faults.0", "truncate can't be planted on create; allowed is on: download"),
        ("s.yaml:5:5", "faults.1", "status needs code"),
        ("s.yaml:7:11", "outages.0.for", "Field required"),
    ]  # fmt: skip


def test_an_unknown_key_gets_a_hint():
    with pytest.raises(JobError) as raised:
        parse_scenario("rate_limt: {per_second: 1}")
    assert raised.value.problems[0].hint == "did you mean rate_limit?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("duration: {min: 1}", "{min, max} or {median, sigma}"),
        ("duration: {min: 2, max: 1}", "min must not be above max"),
        ("duration: -1", "greater than or equal to 0"),
        ("duration: .inf", "valid number"),
        ("duration: 1e999", "finite"),
        ("rows: {min: 2, max: 1}", "min must not be above max"),
        ("rows: {min: 1, per_day: 2}", "{min, max} or {per_day}"),
        ("row_bytes: 10", "greater than or equal to 600"),
        ("rate_limit: {}", "Field required"),
        ("faults: [{on: create, do: explode}]", "do: explode is not known; allowed are status, reset_before"),
        ("faults: [{on: get, do: delay}]", "delay needs seconds"),
        ("faults: [{on: get, do: delay, seconds: 1, to: x}]", "delay takes no option to; allowed are: seconds"),
        ("faults: [{on: get, do: forbidden, to: x}]", "can't be planted on get"),
        ("faults: [{on: create, do: stuck, to: x}]", "allowed are: none"),
        ("faults: [{on: get, do: hang, created: true}]", "created: true is for on: create"),
        ("faults: [{on: get, do: reset_before, by: hang}]", "use do: hang"),
        ("faults: [{on: get, do: status, code: 99}]", "greater than or equal to 200"),
        ("faults: [{on: nowhere, do: hang}]", "found 'nowhere'"),
        ("[]", "valid dictionary"),
        ("rows: 1\nrows: 2", "stands here twice"),
        ("rows: &a 1\nseed: *a", "alias"),
        ("rows: [", "not YAML"),
        ("rows: !!python/name:os.system 1", "a tag"),
        ("? [a]\n: 1", "not YAML"),
        ("rows: \x07", "not YAML"),
        ("[" * 5000, "nested more than 50 deep"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    assert any(said in message for _, _, message in problems(text))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "s.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(JobError) as raised:
        load_scenario(file)
    assert raised.value.code == "scenario.unreadable"
    assert [problem.file for problem in raised.value.problems] == [str(file)]


def test_spreads():
    draws = [chance(0, number) for number in range(2000)]
    assert all(0 < draw < 1 for draw in draws)
    assert 0.45 < statistics.mean(draws) < 0.55
    assert {Spread.model_validate(3).seconds(draw) for draw in draws} == {3}
    even = [Spread(min=2, max=4).seconds(draw) for draw in draws]
    assert 2 <= min(even) < 2.1
    assert 3.9 < max(even) <= 4
    lognormal = [Spread(median=5, sigma=0.5).seconds(draw) for draw in draws]
    assert 4.8 < statistics.median(lognormal) < 5.2
    assert Spread(median=5, sigma=0).seconds(0.9) == 5


def test_the_vocabulary_takes_only_options_that_exist():
    options = set(Fault.model_fields) - {"on", "do", "match", "times"}
    assert set().union(*(verb.options for verb in VERBS.values())) == options


def test_the_room_imports_nothing_of_the_others():
    room = pathlib.Path(server.__file__).parent
    for file in room.glob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("from orchestrator", "import orchestrator")):
                assert line.lstrip().startswith(("from orchestrator.simulator.", "from orchestrator.errors import"))
