"""The manifest's file, and the storage in memory after a power cut."""

import json

import pytest

from orchestrator.engine.ports import Manifest
from orchestrator.errors import StorageError
from orchestrator.storage.manifest import decode, encode
from orchestrator.storage.memory import MemoryStorage

ENTRY = {
    "key": "k",
    "path": "p",
    "bytes": 1,
    "sha256": "0",
    "rows": 0,
    "partial": False,
    "impersonate": None,
    "coordinates": {},
    "request": {},
    "window": {"start": 0, "end": 1},
    "exported_at": "2024-01-01T00:00:00.000Z",
    "stored_at": "2024-01-01T00:00:00.000Z",
    "parts": [{"request": {}, "report_id": "r"}],
}


def test_one_export_a_line():
    text = b"".join(
        encode(Manifest("job", ({"key": "k1-a", "coordinates": {"team": "šport"}}, {"key": "k1-b"})))
    ).decode()
    assert text.splitlines() == [
        '{"schema": "orchestrator.manifest/1",',
        '"job": "job",',
        '"exports": [',
        '{"key":"k1-a","coordinates":{"team":"šport"}},',
        '{"key":"k1-b"}',
        "]}",
    ]
    assert json.loads(text)["schema"] == "orchestrator.manifest/1"


def test_an_empty_one():
    assert json.loads(b"".join(encode(Manifest("job")))) == {
        "schema": "orchestrator.manifest/1",
        "job": "job",
        "exports": [],
    }


def test_fields_of_later_days_are_left_alone():
    entry = {**ENTRY, "new": 1}
    data = {"schema": "orchestrator.manifest/1", "job": "j", "exports": [entry], "more": 2}
    assert decode(json.dumps(data).encode()).exports == (entry,)


@pytest.mark.parametrize("name", ENTRY)
def test_an_entry_that_lacks_what_readers_rely_on_is_refused(name):
    refused({key: value for key, value in ENTRY.items() if key != name}, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 0.0),
        ("bytes", True),
        ("partial", None),
        ("impersonate", 5),
        ("coordinates", {"window": 2024}),
        ("window", {"start": 0.5, "end": 1}),
        ("window", []),
        ("stored_at", "yesterday"),
        ("stored_at", "1960-01-01T00:00:00Z"),
        ("exported_at", 7),
        ("parts", []),
        ("parts", [{"request": {}}]),
    ],
)
def test_an_entry_that_no_journal_would_keep_is_refused(name, value):
    refused({**ENTRY, name: value}, name)


def refused(entry, name):
    data = {"schema": "orchestrator.manifest/1", "job": "j", "exports": [entry]}
    with pytest.raises(StorageError) as raised:
        decode(json.dumps(data).encode(), "/out/manifest.json")
    assert raised.value.message == "/out/manifest.json can't be understood"
    assert f"exports[0].{name}" in raised.value.cause


def test_a_newer_version_is_refused_with_both_versions():
    with pytest.raises(StorageError) as raised:
        decode(b'{"schema": "orchestrator.manifest/12", "anything": []}')
    assert raised.value.code == "storage.manifest-newer"
    assert "orchestrator.manifest/12" in raised.value.message
    assert "orchestrator.manifest/1" in raised.value.message.replace("orchestrator.manifest/12", "")
    assert raised.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"schema": 1}',
        b'{"schema": "orchestrator.plan/1"}',
        b'{"schema": "orchestrator.manifest/x"}',
        b'{"schema": "orchestrator.manifest/1"}',
        b'{"schema": "orchestrator.manifest/1", "job": 1, "exports": []}',
        b'{"schema": "orchestrator.manifest/1", "job": "j", "exports": {}}',
        b'{"schema": "orchestrator.manifest/1", "job": "j", "exports": [1]}',
    ],
)
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(StorageError) as raised:
        decode(data)
    assert raised.value.code == "storage.manifest"
    assert raised.value.hint


async def test_a_power_cut_leaves_what_was_durable():
    storage = MemoryStorage()
    finished, kept, torn, never = [await storage.create() for _ in range(4)]
    for writer in (finished, kept, torn, never):
        await writer.write(b"one")
    await finished.finish()
    await kept.finish()
    await storage.place(finished.temp, "f")
    await storage.place(never.temp, "hasty")
    assert storage.files == {"f": b"one", "hasty": b"one"}
    storage.crash()
    assert storage.files == {"f": b"one"}
    assert storage.temps == {kept.temp: b"one"}
    assert (await storage.create()).temp not in (finished.temp, kept.temp, torn.temp, never.temp)


async def test_files_that_others_put_and_remove():
    storage = MemoryStorage()
    storage.put("a/f", b"theirs")
    assert await storage.size("a/f") == 6
    storage.remove("a/f")
    assert await storage.size("a/f") is None


def test_the_file_is_never_in_memory_as_a_whole():
    asked = []

    class Entries(list):
        def __iter__(self):
            for n in range(3):
                asked.append(n)
                yield {"key": f"k1-{n}"}

    pieces = encode(Manifest("job", Entries()))
    next(pieces)
    assert (next(pieces), asked) == (b'{"key":"k1-0"}', [0])
