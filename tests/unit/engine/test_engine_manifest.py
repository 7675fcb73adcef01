"""Records to manifest entries and back: the union of journal and manifest counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import START, make_export

from orchestrator.engine.manifest import adoptions, build, entry, rfc3339
from orchestrator.engine.ports import Manifest
from orchestrator.engine.states import Adopted, File, Moved, Part, Planned, Record, Report, State, Superseded, apply
from orchestrator.errors import StorageError


def stored(export, *, sha256="aa", at=START, path=None, state=State.STORED):
    file = File("r1", 100, sha256, 3, START - 50, partial=False, path=path or export.path)
    part = Part(0, export.request, state=state, reports=(Report("r1", START - 50),), stored=file, stored_at=at)
    window = (export.window.start, export.window.end)
    return Record(export.key, dict(export.coordinates), file.path, export.impersonate, window, (part,))


def adopt(manifest_of, journal, sizes):
    """The journal's records after it has learned from the manifest."""
    known = {record.key: record for record in journal}
    events = [e for group in adoptions(build("job", manifest_of), dict(known), sizes) for e in group]
    for event in events:
        known[event.key] = apply(known.get(event.key), event)
    return known, [type(event) for event in events]


EXPORT = make_export(0)
THERE = {EXPORT.path: 100}


def test_times_are_utc_with_milliseconds():
    assert rfc3339(START) == "2027-01-15T08:00:00.000Z"


def test_an_entry_tells_what_was_asked_and_what_came():
    told = entry(stored(EXPORT))
    assert told["request"] == EXPORT.request
    assert told["window"] == {"start": EXPORT.window.start, "end": EXPORT.window.end}
    assert (told["path"], told["bytes"], told["rows"], told["report_ids"]) == (EXPORT.path, 100, 3, ["r1"])
    assert told["parts"][0]["report_id"] == "r1"
    assert told["stored_at"] == rfc3339(START)


def test_only_what_is_stored_is_in_the_manifest():
    records = [
        stored(EXPORT),
        stored(make_export(1), state=State.SUPERSEDED),
        Record("k", {}, "", None, (0, 0), (Part(0, {}),)),
    ]
    assert [told["key"] for told in build("job", records).exports] == [EXPORT.key]


def test_while_a_newer_one_is_under_way_the_stored_one_stays():
    told = entry(stored(EXPORT, state=State.GENERATING))
    assert told["stored_at"] == rfc3339(START)


def test_a_forgotten_export_is_known_again():
    known, events = adopt([stored(EXPORT)], [], THERE)
    assert events == [Planned, Adopted]
    assert known[EXPORT.key].stored == stored(EXPORT).stored
    assert known[EXPORT.key].window == (EXPORT.window.start, EXPORT.window.end)


@pytest.mark.parametrize(
    ("journal", "sizes", "events"),
    [
        (stored(EXPORT), THERE, []),
        (stored(EXPORT), {}, []),
        (stored(EXPORT, sha256="bb", at=START - 9), THERE, [Planned, Adopted]),
        (stored(EXPORT, sha256="bb", at=START - 9), {EXPORT.path: 7}, []),
        (stored(EXPORT, sha256="bb", at=START + 9), THERE, []),
        (replace(stored(EXPORT), parts=(Part(0, {}),)), THERE, [Planned, Adopted]),
        (replace(stored(EXPORT), parts=(Part(0, {}),)), {}, []),
        (replace(stored(EXPORT), parts=(Part(0, {}, state=State.SUPERSEDED, stored_at=START + 9),)), THERE, []),
        (stored(EXPORT, path="old.json"), THERE, [Moved]),
        (stored(EXPORT, path="old.json"), THERE | {"old.json": 100}, []),
    ],
)
def test_which_of_the_two_knows_better(journal, sizes, events):
    assert adopt([stored(EXPORT)], [journal], sizes)[1] == events


def test_a_newer_manifest_says_who_was_superseded():
    old = make_export(0, timezone="Europe/Ljubljana")
    known, events = adopt([stored(EXPORT)], [stored(old, at=START - 9)], THERE)
    assert events == [Planned, Adopted, Superseded]
    assert known[old.key].stored is None
    _, events = adopt([stored(EXPORT)], [stored(old, at=START + 9)], THERE)
    assert events == []


def test_a_place_that_another_export_has_by_now_is_not_gone_back_to():
    other = make_export(1, path=EXPORT.path)
    _, events = adopt([stored(EXPORT)], [stored(EXPORT, path="aside.json"), stored(other)], THERE)
    assert events == []


@pytest.mark.parametrize("broken", [{}, {"key": "k"}, {**entry(stored(EXPORT)), "stored_at": "yesterday"}])
def test_an_entry_that_cannot_be_understood_is_told(broken):
    with pytest.raises(StorageError) as caught:
        list(adoptions(Manifest("job", (broken,)), {}, {}))
    assert caught.value.code == "storage.manifest"
