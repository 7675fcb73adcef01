"""Whose file lies where: what the journal, the manifest and the disk tell, made one, before anything is planned.

The manifest says what is stored and stands beside the data; the journal says what happened. Where one of them is older (a
cache restored beside newer data, a kill before the manifest was written), the union counts, and the disk decides.

Each file that either of them knows is a *claim*: at this path lie bytes of this size with this hash. A path that only one
hash claims is believed by its size, for to read everything at each start would cost more than most runs. A claim is
*disputed* where a name and a size prove nothing; then the file itself is read:
    - two hashes of one size claim the path: renames between the death of a process and its last word, older memories;
    - a file is on the move (`Moving` is durable before a rename) and two of its names have its size;
    - the manifest knows a file of an export that the journal knows otherwise;
    - verified bytes were on their way there: the run that brought them may have died before it could say so;
    - a file of that size is not where journal or manifest have it, or the journal has forgotten one: it may be this one, under
      another's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO

from orchestrator.engine.ports import Manifest, Storage
from orchestrator.engine.states import (
    Adopted,
    Event,
    File,
    Moved,
    Planned,
    Record,
    State,
    Stored,
    Superseded,
    Unanswered,
    apply,
)

BLOCK = 1024 * 1024


def aside(path: str, key: str) -> str:
    """Where one file of a ring (a takes b's name and b takes a's) waits meanwhile: beside the place it is going to.

    The name is its own export's alone: a file that was left there, because the job names it no longer, is in nobody's way.
    """
    return f"{path}.{key[-8:]}.moving"


@dataclass(frozen=True, slots=True)
class Claim:
    """At `path` lie the bytes of export `key`, somebody says."""

    key: str
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Settlement:
    events: tuple[Event, ...]
    """What the journal must learn so that each path has one owner."""
    changed: frozenset[str]
    """Paths that were read and hold the bytes of nobody: somebody has changed the file, if not its size."""
    sizes: Mapping[str, int | None]
    """What lies at each path that anybody knew: its size, None for no file."""


async def settle(
    records: Mapping[str, Record],
    manifest: Manifest | None,
    storage: Storage,
    now: float,
    reading: Callable[[int, int], None] = lambda _files, _size: None,
) -> Settlement:
    """Finds out whose file lies where. Reads sizes, and the contents of disputed files; may be cancelled meanwhile.

    Raises `StorageError` if the place refuses. `now` is in seconds since the epoch; `reading` hears how many files are going
    to be read, and how many bytes they have.
    """
    entries = manifest.exports if manifest is not None else ()
    claims = [*_remembered(records), *_told(entries)]
    paths = list(dict.fromkeys(claim.path for claim in claims))
    sizes = dict(zip(paths, await storage.sizes(paths), strict=True))
    doubtful = disputed(records, entries, claims, sizes)
    del claims  # two an export
    reading(len(doubtful), sum(sizes[path] or 0 for path in doubtful))
    hashes = {path: await storage.inspect(path, _sha256) for path in doubtful}
    return _Settler(records, sizes, hashes, now).settle(entries)


def disputed(
    records: Mapping[str, Record],
    entries: Sequence[Mapping[str, Any]],
    claims: Sequence[Claim],
    sizes: Mapping[str, int | None],
) -> list[str]:
    """The paths at which a name and a size prove nothing. `claims` are all that `records` and `entries` make, `sizes` has the
    size of what lies at each path that is claimed.
    """
    plausible: dict[str, dict[str, Claim]] = {}
    """Path → hash → a claim that the size does not refute."""
    homes: dict[tuple[str, str], set[str]] = {}
    """Key and hash → the paths at which that file may lie."""
    for claim in claims:
        if sizes[claim.path] == claim.bytes:
            plausible.setdefault(claim.path, {})[claim.sha256] = claim
            homes.setdefault((claim.key, claim.sha256), set()).add(claim.path)
    doubtful = {path for path, hashes in plausible.items() if len(hashes) > 1}
    for record in records.values():
        for part in record.parts:
            if part.moving is not None and part.stored is not None:
                places = homes.get((record.key, part.stored.sha256), set())
                doubtful |= places if len(places) > 1 else set()
    doubtful |= {part.file.path for record in records.values() for part in record.parts if part.file is not None}
    for claim in _told(entries):
        known = records.get(claim.key)
        stored = known.parts[0].stored if known is not None else None
        if known is not None and (stored is None or stored.sha256 != claim.sha256):
            doubtful.add(claim.path)
    suspect = {
        claim.bytes for claim in _told(entries) if claim.key not in records or not homes.get((claim.key, claim.sha256))
    }
    suspect |= {
        file.bytes
        for record in records.values()
        for file in record.stored or ()
        if not homes.get((record.key, file.sha256))
    }
    of_size: dict[int, set[str]] = {}
    for claim in claims:
        of_size.setdefault(claim.bytes, set()).add(claim.sha256)
    for path, hashes in plausible.items():
        if any(c.bytes in suspect and len(of_size[c.bytes]) > 1 for c in hashes.values()):
            doubtful.add(path)
    return [path for path in dict.fromkeys(claim.path for claim in claims) if path in doubtful & plausible.keys()]


def _remembered(records: Mapping[str, Record]) -> Iterator[Claim]:
    """What the journal claims: stored files, where they are on their way to, and verified ones that may be in place."""
    for key, record in records.items():
        for part in record.parts:
            if (file := part.stored) is not None:
                yield Claim(key, file.path, file.bytes, file.sha256)
                if part.moving is not None:
                    for path in (part.moving, aside(part.moving, key)):
                        yield Claim(key, path, file.bytes, file.sha256)
            if (file := part.file) is not None:
                yield Claim(key, file.path, file.bytes, file.sha256)


def _told(entries: Sequence[Mapping[str, Any]]) -> Iterator[Claim]:
    for entry in entries:
        yield Claim(str(entry["key"]), str(entry["path"]), entry["bytes"], str(entry["sha256"]))


class _Settler:
    """One settlement under way: events are folded in as they are decided, so each decision sees what it leads to."""

    def __init__(
        self,
        records: Mapping[str, Record],
        sizes: Mapping[str, int | None],
        hashes: Mapping[str, str | None],
        now: float,
    ) -> None:
        self._records = dict(records)
        self._sizes = sizes
        self._hashes = hashes
        self._at_home = {(file.path, file.sha256) for record in records.values() for file in record.stored or ()}
        self._strays = {
            sha: path for path, sha in hashes.items() if sha is not None and (path, sha) not in self._at_home
        }
        """Bytes that were read where the journal has others or none, by their hash."""
        self._now = now
        self._events: list[Event] = []

    def settle(self, entries: Sequence[Mapping[str, Any]]) -> Settlement:
        for record in list(self._records.values()):
            self._find(record)
            self._recognise(record)
        for entry in entries:
            self._adopt(entry)
        changed = frozenset(self._evict())
        return Settlement(tuple(self._events), changed, self._sizes)

    def _emit(self, event: Event) -> None:
        self._records[event.key] = apply(self._records.get(event.key), event)
        self._events.append(event)

    def _there(self, path: str, file: File) -> bool:
        """Whether it is this file that lies at `path`."""
        if path in self._hashes:
            return self._hashes[path] == file.sha256
        return self._sizes.get(path) == file.bytes

    def _find(self, record: Record) -> None:
        """Where a file is that was to be moved, or is not where it should be."""
        part = record.parts[0]
        file = part.stored
        if file is None:
            return
        places = [file.path]
        if part.moving is not None:
            # Equal bytes (two empty months) of another export at its own place are taken for this one's last of all.
            elsewhere = [part.moving, aside(part.moving, record.key)]
            places += sorted(elsewhere, key=lambda path: (path, file.sha256) in self._at_home)
        if file.sha256 in self._strays:
            places.append(self._strays[file.sha256])
        found = next((path for path in places if self._there(path, file)), file.path)
        if part.moving is not None or found != file.path:
            self._emit(Moved(record.key, self._now, path=found))

    def _recognise(self, record: Record) -> None:
        """Verified bytes that a run has brought to their place and could not say so, where another's were to be."""
        file = record.parts[0].file
        if file is not None and self._hashes.get(file.path) == file.sha256:
            self._emit(Stored(record.key, self._now))

    def _adopt(self, entry: Mapping[str, Any]) -> None:
        """A stored file that the manifest knows better."""
        key, path, at = str(entry["key"]), str(entry["path"]), _seconds(entry["stored_at"])
        file = _file(entry)
        known = self._records[key].parts[0] if key in self._records else None
        if known is None and not self._there(path, file):
            path = self._strays.get(file.sha256, path)
            file = replace(file, path=path)
        stored = known.stored if known is not None else None
        if stored is not None and stored.sha256 == file.sha256:
            if not self._there(stored.path, stored) and self._there(path, file):
                self._emit(Moved(key, at, path=path))
            return
        if known is not None:
            if not self._there(path, file):
                return
            if stored is not None and self._there(stored.path, stored) and (known.stored_at or 0.0) >= at:
                return  # both are there, and the journal's is the newer one
            if known.state is State.CREATING:
                detail = "the run ended before the answer was kept"
                self._emit(Unanswered(key, self._now, n=known.intents, detail=detail))
        planned = Planned(
            key,
            at,
            coordinates=entry["coordinates"],
            path=path,
            impersonate=entry["impersonate"],
            window=(entry["window"]["start"], entry["window"]["end"]),
            requests=tuple(part["request"] for part in entry["parts"]),
        )
        self._emit(planned)
        self._emit(Adopted(key, at, file=file))

    def _evict(self) -> Iterator[str]:
        """Each path has one owner: whoever's file lies there. Gives the paths that were read and hold nobody's."""
        owners: dict[str, list[tuple[Record, File]]] = {}
        for record in self._records.values():
            for file in record.stored or ():
                owners.setdefault(file.path, []).append((record, file))
        for path, rivals in owners.items():
            rightful = [record for record, file in rivals if self._there(path, file)]
            owner = max(rightful or [record for record, _ in rivals], key=lambda r: r.parts[0].stored_at or 0.0)
            for record, _ in rivals:
                if record is not owner:
                    self._emit(Superseded(record.key, self._now, by=owner.key, path=path))
            if not rightful and self._hashes.get(path) is not None:
                yield path


def _file(entry: Mapping[str, Any]) -> File:
    return File(
        report_id=entry["parts"][0]["report_id"],
        bytes=entry["bytes"],
        sha256=entry["sha256"],
        rows=entry["rows"],
        exported_at=_seconds(entry["exported_at"]),
        partial=entry["partial"],
        path=str(entry["path"]),
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
