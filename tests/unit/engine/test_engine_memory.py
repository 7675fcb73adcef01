"""Whose file lies where: the union of journal and manifest counts, and the disk decides."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from fakes import START, make_export

from orchestrator.engine.manifest import build
from orchestrator.engine.memory import aside, settle
from orchestrator.engine.states import (
    Adopted,
    File,
    Moved,
    Moving,
    Part,
    Planned,
    Record,
    Report,
    State,
    Stored,
    Superseded,
    Unanswered,
    apply,
)
from orchestrator.storage.memory import MemoryStorage

A, B, LONG = b"[1]", b"[2]", b"[1, 2, 3]"
EXPORT = make_export(0)
OTHER = make_export(1)


def stored(export, data=A, *, at=START, path=None, state=State.STORED, moving=None):
    file = file_of(data, path or export.path)
    part = Part(0, export.request, state=state, reports=(Report("r1", START - 50),), stored=file, stored_at=at)
    window = (export.window.start, export.window.end)
    part = replace(part, moving=moving)
    return Record(export.key, dict(export.coordinates), file.path, export.impersonate, window, (part,))


def file_of(data, path, temp=None):
    return File("r1", len(data), hashlib.sha256(data).hexdigest(), 1, START - 50, partial=False, path=path, temp=temp)


class Disk(MemoryStorage):
    def __init__(self, files):
        super().__init__()
        self.read = []
        for path, data in files.items():
            self.put(path, data)

    async def inspect(self, path, look):
        self.read.append(path)
        return await super().inspect(path, look)


async def settled(journal, manifest, files):
    """What the journal learns, whose file is where afterwards, and what had to be read for that."""
    disk = Disk(files)
    records = {record.key: record for record in journal}
    told = build("job", manifest) if manifest is not None else None
    events = (await settle(records, told, disk, START + 100)).events
    for event in events:
        records[event.key] = apply(records.get(event.key), event)
    owners = {file.path: record.key for record in records.values() for file in record.stored or ()}
    assert len(owners) == sum(record.stored is not None for record in records.values()), "a file has one owner"
    return [type(event) for event in events], owners, disk.read


async def test_where_all_is_well_nothing_is_learned_and_nothing_read():
    records = [stored(EXPORT), stored(OTHER, B)]
    files = {EXPORT.path: A, OTHER.path: B}
    assert (await settled(records, records, files))[0] == []
    assert (await settled(records, None, files))[2] == []


async def test_a_forgotten_export_is_known_again():
    events, owners, read = await settled([], [stored(EXPORT)], {EXPORT.path: A})
    assert (events, owners, read) == ([Planned, Adopted], {EXPORT.path: EXPORT.key}, [])


@pytest.mark.parametrize(
    ("journal", "files", "events"),
    [
        (stored(EXPORT), {}, []),
        (stored(EXPORT, B), {EXPORT.path: A}, [Planned, Adopted]),
        (stored(EXPORT, B), {EXPORT.path: B}, []),
        (stored(EXPORT, B), {EXPORT.path: b"[3]"}, []),
        (stored(EXPORT, LONG), {EXPORT.path: LONG}, []),
        (stored(EXPORT, B, path="old.json"), {EXPORT.path: A, "old.json": B}, []),
        (stored(EXPORT, B, path="old.json", at=START - 9), {EXPORT.path: A, "old.json": B}, [Planned, Adopted]),
        (replace(stored(EXPORT), parts=(Part(0, {}),)), {EXPORT.path: A}, [Planned, Adopted]),
        (replace(stored(EXPORT), parts=(Part(0, {}),)), {EXPORT.path: B}, []),
        (replace(stored(EXPORT), parts=(Part(0, {}),)), {}, []),
        (replace(stored(EXPORT), parts=(Part(0, {}, state=State.SUPERSEDED),)), {EXPORT.path: B}, []),
        (stored(EXPORT, path="old.json"), {EXPORT.path: A}, [Moved]),
        (stored(EXPORT, path="old.json"), {EXPORT.path: A, "old.json": A}, []),
    ],
)
async def test_where_journal_and_manifest_differ_the_file_decides(journal, files, events):
    assert (await settled([journal], [stored(EXPORT)], files))[0] == events


async def test_an_intent_that_an_older_journal_left_open_is_counted():
    creating = Part(0, {}, state=State.CREATING, intents=1, intended_at=START)
    journal = replace(stored(EXPORT), parts=(creating,))
    assert (await settled([journal], [stored(EXPORT)], {EXPORT.path: A}))[0] == [Unanswered, Planned, Adopted]


@pytest.mark.parametrize("at", [START - 9, START + 9])
async def test_whose_file_lies_at_a_path_is_read_from_it_whatever_the_clocks_said(at):
    old = make_export(0, timezone="Europe/Ljubljana")
    events, owners, _ = await settled([stored(old, B, at=at)], [stored(EXPORT)], {EXPORT.path: A})
    assert (events, owners) == ([Planned, Adopted, Superseded], {EXPORT.path: EXPORT.key})
    events, owners, _ = await settled([stored(old, B, at=at)], [stored(EXPORT)], {EXPORT.path: B})
    assert owners == {EXPORT.path: old.key}


async def test_an_older_journal_learns_of_moves_and_of_who_took_the_place():
    journal = [stored(EXPORT, path="a.json")]
    newer = [stored(OTHER, LONG, path="a.json", at=START + 60), stored(EXPORT, path="b.json")]
    _, owners, _ = await settled(journal, newer, {"a.json": LONG, "b.json": A})
    assert owners == {"a.json": OTHER.key, "b.json": EXPORT.key}


@pytest.mark.parametrize(
    ("files", "path", "reads"),
    [
        ({EXPORT.path: A}, EXPORT.path, 0),
        ({"new.json": A}, "new.json", 0),
        ({aside("new.json", EXPORT.key): A}, aside("new.json", EXPORT.key), 0),
        ({"new.json": A, EXPORT.path: B}, "new.json", 2),
        ({"new.json": B, EXPORT.path: A}, EXPORT.path, 2),
        ({"new.json": B, EXPORT.path: b"[3]", aside("new.json", EXPORT.key): A}, aside("new.json", EXPORT.key), 3),
    ],
)
async def test_a_file_on_the_move_is_found_under_whichever_name_it_has(files, path, reads):
    events, owners, read = await settled([stored(EXPORT, moving="new.json")], None, files)
    assert (events, owners, len(read)) == ([Moved], {path: EXPORT.key}, reads)


async def test_a_move_onto_another_ones_file_that_nobody_could_journal_is_recognised():
    journal = [stored(EXPORT, moving=OTHER.path), stored(OTHER, B)]
    events, owners, _ = await settled(journal, None, {OTHER.path: A})
    assert (events, owners) == ([Moved, Superseded], {OTHER.path: EXPORT.key})


async def test_a_file_that_was_verified_and_renamed_over_another_ones_is_recognised():
    waiting = Part(0, {}, State.VERIFIED, (Report("r1", START),), file=file_of(A, OTHER.path, "t.part"))
    journal = [replace(stored(EXPORT), parts=(waiting,)), stored(OTHER, B)]
    assert (await settled(journal, None, {OTHER.path: A}))[:2] == ([Stored, Superseded], {OTHER.path: EXPORT.key})
    assert (await settled(journal, None, {OTHER.path: B}))[0] == []


async def test_a_file_that_is_missing_may_lie_under_the_name_of_another_of_its_size():
    journal = [stored(EXPORT, path="a.json"), stored(OTHER, B, path="b.json")]
    events, owners, _ = await settled(journal, None, {"a.json": B})
    assert (events, owners) == ([Moved, Superseded], {"a.json": OTHER.key})


async def test_a_file_that_only_the_manifest_has_as_stored_may_lie_under_the_name_of_another_of_its_size():
    """An older journal, and the run before it died between the two renames by which two files change names."""
    waiting = replace(stored(OTHER, B), parts=(Part(0, OTHER.request),))
    journal, manifest = (
        [stored(EXPORT, path="a.json"), waiting],
        [stored(EXPORT, path="a.json"), stored(OTHER, B, path="b.json")],
    )
    disk = Disk({"a.json": B})
    settled = await settle({record.key: record for record in journal}, build("job", manifest), disk, START)
    assert (settled.changed, disk.read) == ({"a.json"}, ["a.json"])


async def test_an_equal_file_of_another_export_is_left_to_it():
    journal = [stored(EXPORT, path="a.json"), stored(OTHER, A, path="b.json")]
    events, owners, _ = await settled(journal, None, {"b.json": A})
    assert (events, owners["b.json"]) == ([], OTHER.key)


async def test_the_intent_to_move_is_kept_until_the_file_has_arrived():
    record = apply(stored(EXPORT), Moving(EXPORT.key, START, path="new.json"))
    assert record.parts[0].moving == "new.json"
    assert apply(record, Moved(EXPORT.key, START, path="new.json")).parts[0].moving is None


async def test_a_manifest_alone_is_held_against_the_files_where_sizes_prove_nothing():
    """The journal is gone, and the run before it died in the middle of its renames."""
    manifest = [
        stored(EXPORT, path="a.json"),
        stored(OTHER, B, path="b.json"),
        stored(make_export(2), LONG, path="c.json"),
    ]
    _, owners, read = await settled([], manifest, {"a.json": B, "c.json": LONG})
    assert owners == {"a.json": OTHER.key, "c.json": make_export(2).key}
    assert read == ["a.json"]


async def test_a_file_that_was_read_and_is_nobodys_is_told_as_changed_and_keeps_its_entry():
    journal = [stored(EXPORT, path="a.json"), stored(OTHER, B, path="b.json")]
    disk = Disk({"a.json": b"[3]"})
    settled = await settle({record.key: record for record in journal}, None, disk, START)
    assert (settled.events, settled.changed) == ((), {"a.json"})


async def test_of_equal_files_in_a_ring_each_keeps_its_own():
    """Two empty months change places; the run died after it had put the first one aside."""
    journal = [stored(EXPORT, path="a.json", moving="b.json"), stored(OTHER, A, path="b.json", moving="a.json")]
    _, owners, _ = await settled(journal, None, {aside("b.json", EXPORT.key): A, "b.json": A})
    assert owners == {aside("b.json", EXPORT.key): EXPORT.key, "b.json": OTHER.key}


async def test_verified_bytes_at_the_name_that_they_were_for_are_stored_whatever_the_labels_say_now():
    waiting = Part(0, {}, State.VERIFIED, (Report("r1", START),), file=file_of(A, "a.json", "t.part"))
    assert (await settled([replace(stored(EXPORT), parts=(waiting,))], None, {"a.json": A}))[0] == [Stored]
