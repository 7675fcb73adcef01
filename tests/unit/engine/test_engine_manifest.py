"""Records to manifest entries: what is stored, and how it was asked for."""

from __future__ import annotations

from fakes import START, make_export

from orchestrator.engine.manifest import build, entry, rfc3339
from orchestrator.engine.states import File, Part, Record, Report, State


def stored(export, *, sha256="aa", at=START, path=None, state=State.STORED):
    file = File("r1", 100, sha256, 3, START - 50, partial=False, path=path or export.path)
    part = Part(0, export.request, state=state, reports=(Report("r1", START - 50),), stored=file, stored_at=at)
    window = (export.window.start, export.window.end)
    return Record(export.key, dict(export.coordinates), file.path, export.impersonate, window, (part,))


EXPORT = make_export(0)


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


def test_entries_are_made_one_at_a_time_and_only_when_they_are_read(monkeypatch):
    made = []
    monkeypatch.setattr("orchestrator.engine.manifest.entry", lambda record: made.append(record.key) or {})
    exports = [make_export(n) for n in range(4)]
    told = build("job", [stored(export) for export in exports]).exports
    assert (len(told), made) == (4, [])
    entries = iter(told)
    next(entries)
    next(entries)
    assert made == [export.key for export in exports[:2]]
    assert (list(told[1:3]), made[2:]) == ([{}, {}], [export.key for export in exports[1:3]])
