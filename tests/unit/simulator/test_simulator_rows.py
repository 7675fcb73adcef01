"""The files: computable, repeatable, and true to the question."""

import datetime as dt
import hashlib
import io
import json
import zoneinfo

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.simulator.question import BadRequestError, read_question
from orchestrator.simulator.rows import BLOCK, COLUMNS, Rows, expected_result, make_result
from orchestrator.simulator.scenario import SHORTEST_ROW, Scenario

QUESTION = {"start": 1693526400, "end": 1696118400, "timezone": "Europe/Ljubljana"}


def whole(source):
    return b"".join(source.blocks(0, source.length))


def rows_of(scenario, **changes):
    return json.loads(whole(Rows(read_question(QUESTION | changes), scenario)))


def test_rows_have_their_columns_and_lie_in_the_window_in_the_questions_zone():
    rows = rows_of(Scenario(rows=500))
    assert len(rows) == 500
    assert {tuple(row) for row in rows} == {COLUMNS}
    instants = [dt.datetime.fromisoformat(row["createdAt"]) for row in rows]
    assert instants[0].timestamp() == QUESTION["start"]
    assert all(QUESTION["start"] <= instant.timestamp() < QUESTION["end"] for instant in instants)
    zone = zoneinfo.ZoneInfo("Europe/Ljubljana")
    assert all(instant.utcoffset() == instant.astimezone(zone).utcoffset() for instant in instants)
    assert len({row["conversationId"] for row in rows}) == 500


def test_an_inclusive_service_has_a_row_on_each_edge():
    rows = rows_of(Scenario(rows=3, end="inclusive"))
    edges = [dt.datetime.fromisoformat(row["createdAt"]).timestamp() for row in (rows[0], rows[-1])]
    assert edges == [QUESTION["start"], QUESTION["end"]]
    assert len(rows_of(Scenario(rows=3, end="inclusive"), end=QUESTION["start"])) == 3


@pytest.mark.parametrize("changes", [{"end": QUESTION["start"]}, {}])
def test_a_file_without_rows_is_an_empty_array(changes):
    scenario = Scenario(rows=5 if changes else 0)
    assert rows_of(scenario, **changes) == []
    assert expected_result(QUESTION | changes, scenario)[0] == 2


def test_rows_obey_the_filters():
    wanted = {"teamIds": ["t1"], "teammateIds": ["a@b.c"], "customerIds": ["c1", "c2"], "tagIds": ["x%s", "y"]}
    for row in rows_of(Scenario(), **wanted):
        assert (row["team"], row["agent"]) == ("t1", "a@b.c")
        assert row["customer"] in ("c1", "c2")
        assert {"x%s", "y"} & set(row["tags"])


def test_files_differ_by_question_seed_and_revision_and_by_nothing_else():
    def digest(scenario=None, revision=0, **changes):
        return expected_result(QUESTION | changes, scenario or Scenario(), revision).sha256

    base = digest()
    assert digest(teamIds=[], tagIds=None, resultFormat="Json") == base
    assert digest(Scenario(duration=9, latency=1, faults=[{"on": "create", "do": "failed"}])) == base
    assert digest(teamIds=["b", "a", "a"]) == digest(teamIds=["a", "b"])
    others = [
        digest(Scenario(seed=1)),
        digest(revision=1),
        digest(start=QUESTION["start"] + 1),
        digest(teamIds=["a"]),
        digest(tagIds=["a"]),
        digest(timezone="UTC"),
    ]
    assert len({base, *others}) == len(others) + 1


def test_expected_result_is_of_the_bytes():
    scenario = Scenario(rows=1234, row_bytes=777)
    data = whole(Rows(read_question(QUESTION), scenario))
    assert expected_result(QUESTION, scenario) == (1 + 1234 * 777, hashlib.sha256(data).hexdigest(), 1234)
    assert len(data) == 1 + 1234 * 777
    with pytest.raises(BadRequestError):
        expected_result({}, scenario)


def test_rows_by_days_and_between():
    assert len(rows_of(Scenario(rows={"per_day": 2}))) == 60
    counts = {
        expected_result(QUESTION | {"tagIds": [str(i)]}, Scenario(rows={"min": 3, "max": 5})).rows for i in range(50)
    }
    assert counts == {3, 4, 5}


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@given(
    st.lists(texts, max_size=3),
    st.lists(texts, max_size=3),
    st.integers(0, 253_370_764_799),
    st.sampled_from(["UTC", "Africa/Monrovia", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_every_row_fits_whatever_the_question_is(tags, others, start, zone):
    body = {"start": start, "end": min(start + 86_400, 253_370_764_799), "timezone": zone}
    body |= {"tagIds": tags, "teamIds": others, "teammateIds": others, "customerIds": others}
    source = Rows(read_question(body), Scenario(rows=14))
    data = whole(source)
    assert len(data) == source.length
    assert len(json.loads(data)) == source.count


def test_the_shortest_row_holds_the_longest_ids():
    long = ["x" * 62]
    body = QUESTION | {"tagIds": long, "teamIds": long, "teammateIds": long, "customerIds": long, "start": 0}
    for seed in range(50):
        scenario = Scenario(rows=13, seed=seed)
        rows = rows_of(scenario, **body)
        assert expected_result(body, scenario).bytes == 1 + 13 * SHORTEST_ROW
        assert rows[0]["team"] == long[0]
        assert all(row["note"] for row in rows)


@given(st.integers(0, 40 * 700 + 1), st.integers(0, 40 * 700 + 1))
def test_any_range_is_a_slice_of_the_whole(one, other):
    start, stop = sorted((one, other))
    source = Rows(read_question(QUESTION), Scenario(rows=40, row_bytes=700))
    assert b"".join(source.blocks(start, stop)) == whole(source)[start:stop]


def test_a_large_file_is_known_and_read_from_the_middle_at_once():
    source = Rows(read_question(QUESTION), Scenario(rows=2_000_000, row_bytes=1000))
    assert source.length == 2_000_000_001
    middle = b"".join(source.blocks(1_000_000_001, 1_000_001_001))
    assert json.loads(middle[:-2])["conversationId"].endswith("-000f4240")
    first, second = [block for block, _ in zip(source.blocks(0, source.length), range(2), strict=False)]
    assert (first, len(second) >= BLOCK - 1000) == (b"[", True)


def test_a_workbook_opens_and_holds_the_rows_of_the_json_file():
    scenario = Scenario(rows=20)
    question = QUESTION | {"teamIds": ["a\x01b\ufffe<&>"]}
    rows = rows_of(scenario, **question)
    source = make_result(read_question(question | {"resultFormat": "Xlsx"}), scenario)
    data = whole(source)
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    found = list(sheet.iter_rows(values_only=True))
    assert found[0] == COLUMNS
    assert len(found) == 21
    assert [line[0] for line in found[1:]] == [row["conversationId"] for row in rows]
    assert [line[8] for line in found[1:]] == [row["responseSeconds"] for row in rows]
    assert found[1][2] == "a�b�<&>"
    expected = expected_result(question | {"resultFormat": "Xlsx"}, scenario)
    assert expected == (len(data), hashlib.sha256(data).hexdigest(), 20)
