"""Pictures and pages of the benchmarks."""

import re
import xml.etree.ElementTree as ET

import pytest

from benchmarks.run import HERE, SECTIONS, compose, in_order, read
from benchmarks.service import Life, lives
from benchmarks.svg import Chart, ticks
from benchmarks.timeline import timeline
from orchestrator.simulator.question import read_question
from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.world import World

SVG = "{http://www.w3.org/2000/svg}"


def test_a_timeline_has_a_bar_for_each_stage_of_each_export():
    seen = [Life(0, 2, 3, 4, 1), Life(1, 3, 3.5, 4, 2)]
    drawn = ET.fromstring(str(timeline("a < b", seen)))
    paths = {path.get("class"): path.get("d") for path in drawn.iter(f"{SVG}path")}
    assert list(paths) == [f"c{colour} bar" for colour in range(4)]
    bars = [re.findall(r"M(\S+) \S+?h([^v]+)v", path) for path in paths.values()]
    assert [len(stage) for stage in bars] == [2] * 4
    queue, made, unnoticed, transfer = (float(stage[1][1]) for stage in bars)
    assert queue == pytest.approx(made / 2, abs=0.2)
    assert unnoticed == pytest.approx(transfer, abs=0.2)
    assert float(bars[1][1][0]) == pytest.approx(float(bars[0][1][0]) + queue, abs=0.2)
    assert drawn.find(f"{SVG}text").text == "a < b"


def test_a_dot_lies_where_its_figures_say():
    chart = Chart("t", "x", "y", right=10, top=10)
    chart.dots([(0, 0, 1, "low"), (10, 10, 1, "high"), (5, 5, 1, "middle")], column=0.5)
    places = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in ET.fromstring(str(chart)).iter(f"{SVG}circle")]
    high, middle, low = places
    assert high[0] > middle[0] > low[0]
    assert high[1] < middle[1] < low[1]
    assert middle[0] - low[0] == pytest.approx(high[0] - middle[0])


@pytest.mark.parametrize("most", [0.03, 1, 7.4, 41.2, 400, 1200])
def test_ticks_are_few_round_and_inside(most):
    found = ticks(most)
    assert found[0] == 0
    assert 4 <= len(found) <= 8
    assert most - (found[1] - found[0]) < found[-1] <= most


def test_results_are_read_as_they_were_written():
    sections = {"One": "some text\n\n| a |\n| --- |", "Two": "![p](pictures/p.svg)"}
    assert read(compose(sections)) == sections


def test_sections_have_their_order_and_those_written_by_hand_stay():
    last, first = SECTIONS[-1].title, SECTIONS[0].title
    found = in_order({last: "a", "By hand": "b", first: "c"})
    assert list(found.items()) == [("By hand", "b"), (first, "c"), (last, "a")]


def test_each_section_has_a_program_that_takes_what_it_is_given():
    for section in SECTIONS:
        assert (HERE / f"{section.program}.py").exists()
        assert all(isinstance(word, str) for full in (False, True) for word in section.arguments(full, 2))


def test_lives_are_those_of_the_exports_that_were_fetched():
    def body(start):
        return {"timezone": "UTC", "start": start, "end": start + 1, "resultFormat": "Json"}

    told = {
        "posts": [
            {"at": 5.0, "created": None, "body": body(1), "impersonate": None},
            {"at": 7.0, "created": "a", "body": body(1), "impersonate": None},
            {"at": 8.0, "created": "b", "body": body(2), "impersonate": None},
        ],
        "polls": [
            {"at": 8.0, "export": "a", "status": 200, "state": "Processing"},
            {"at": 9.0, "export": "a", "status": 429, "state": None},
            {"at": 11.0, "export": "a", "status": 200, "state": "Completed"},
            {"at": 12.0, "export": "a", "status": 200, "state": "Completed"},
        ],
        "downloads": [{"export": "a", "ended": None}, {"export": "a", "ended": 13.0}],
    }
    assert lives(told, {"duration": 3}) == [Life(2.0, 5.0, 6.0, 8.0, 3)]


async def test_lives_know_the_durations_that_the_service_dealt(monkeypatch):
    scenario = {"seed": 3, "duration": {"median": 5, "sigma": 0.5}, "pending": {"min": 0, "max": 5}}
    world = World(Scenario.model_validate(scenario))
    monkeypatch.setattr(world, "now", lambda: 100.0)
    told = {"posts": [], "polls": [], "downloads": []}
    dealt = []
    for start, impersonate in ((1, None), (2, None), (2, None), (2, "ops@example.com")):
        body = {"timezone": "UTC", "start": start, "end": start + 1, "resultFormat": "Json"}
        export = world.create(read_question(body), impersonate, "token", "completed")
        dealt.append(export.ends_at - 100.0)
        told["posts"].append({"at": 100.0, "created": export.id, "body": body, "impersonate": impersonate})
        told["polls"].append({"at": 200.0, "export": export.id, "status": 200, "state": "Completed"})
        told["downloads"].append({"export": export.id, "ended": 201.0})
    assert len(set(dealt)) == 4
    assert [life.duration for life in lives(told, scenario)] == pytest.approx(dealt)
