"""Exports, records, files and the time give what to do about each export, and why. Pure.

A plan asks nobody: it reads what the journal and the manifest remember, and the sizes of the stored files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from orchestrator.engine.states import File, Record, State
from orchestrator.job.expand import Export

Only = Literal["missing", "failed", "all"]


class Action(StrEnum):
    RUN = "run"
    """To be exported, or gone on with."""
    REPLACE = "replace"
    """To be exported; the file that is stored at its path stays until the new one is verified."""
    MOVE = "move"
    """Stored; its file gets another name."""
    WAIT = "wait"
    """Its window has not ended."""
    SKIP = "skip"
    """Stored; nothing to do."""
    REFUSED = "refused"
    """The service refused this very request; it is not sent again unless failed ones are asked for."""
    LEFT_OVER = "left over"
    """Unfinished, and the job no longer names it; collected if a report is alive, never created anew."""
    NOT_IN_JOB = "not in this job"
    """Stored, and the job no longer names it; file and entry stay."""


@dataclass(frozen=True, slots=True)
class Item:
    """What to do about one export."""

    key: str
    coordinates: tuple[tuple[str, str], ...]
    path: str
    action: Action
    reason: str
    export: Export | None = None
    """None for what the job no longer names."""
    supersedes: str | None = None
    """The key of the stored export whose file this one's takes the place of."""
    source: str | None = None
    """Where the file is that is to be moved to `path`, whatever else is to be done."""
    collect: bool = False
    """Left over, with a report that may still complete."""

    @property
    def has_work(self) -> bool:
        """A run has something to do for it."""
        return self.collect or self.action in (Action.RUN, Action.REPLACE, Action.MOVE)


@dataclass(frozen=True, slots=True)
class Options:
    only: Only = "missing"
    include_current: bool = False
    keep_missing: bool = False
    """`output.missing: keep`: a stored file that is gone was moved on by the next stage."""


def paths_to_look_at(records: Mapping[str, Record]) -> list[str]:
    """The paths whose sizes `make` needs."""
    return list({file.path: None for record in records.values() for file in record.stored or ()})


def make(
    exports: Iterable[Export],
    records: Mapping[str, Record],
    sizes: Mapping[str, int | None],
    *,
    now: float,
    options: Options,
    named: Collection[str] | None = None,
    changed: Collection[str] = (),
) -> list[Item]:
    """The plan: an item for each of `exports`, then one for each record that the job no longer names.

    `named` are the keys of all of the job's exports, also of those that were not selected; None leaves out what the job
    does not name. `changed` are paths whose file is known not to be what was stored, whatever its size. `now` is in seconds
    since the epoch.
    """
    selected = list(exports)
    planner = _Planner(selected, records, sizes, now, options, changed=changed)
    items = [item for export in selected if (item := planner.item(export)) is not None]
    if named is not None:
        items.extend(planner.unnamed(named))
    return items


class _Planner:
    def __init__(
        self,
        selected: list[Export],
        records: Mapping[str, Record],
        sizes: Mapping[str, int | None],
        now: float,
        options: Options,
        *,
        changed: Collection[str],
    ) -> None:
        self.changed = changed
        self.records = records
        self.sizes = sizes
        self.now = now
        self.options = options
        self.claims = {export.path: export.key for export in selected}
        self.holders: dict[str, str] = {}
        """Path → key of the export whose file is stored there."""
        for key, record in records.items():
            for file in record.stored or ():
                self.holders[file.path] = key
        self.leaving: frozenset[str] = frozenset()
        elsewhere = (export for export in selected if self._lies_elsewhere(export))
        # Whose file moves away does not depend on who takes its place, so one look at each item tells.
        self.leaving = frozenset(export.key for export in elsewhere if (it := self.item(export)) and it.source)

    def _lies_elsewhere(self, export: Export) -> bool:
        record = self.records.get(export.key)
        return record is not None and record.stored is not None and record.stored[0].path != export.path

    def item(self, export: Export) -> Item | None:
        """None if `--only` leaves this export out."""
        record = self.records.get(export.key)
        if self.options.only == "failed" and (record is None or record.state is not State.FAILED):
            return None
        build = self._builder(export)
        if self.now < export.window.start:
            return build(Action.WAIT, f"not begun: opens {_day(export.window.start, export)}")
        is_open = self.now < export.window.end
        if is_open and not self.options.include_current:
            return build(Action.WAIT, f"open until {_day(export.window.end, export)}")
        if record is not None and record.state is State.FAILED:
            return self._failed(export, record)
        if record is not None and (files := record.stored) is not None:
            return self._stored(export, record, files[0], is_open=is_open)
        action, reason, supersedes = self._place(export)
        if record is None or record.state is State.SUPERSEDED:
            return build(action, reason, supersedes)
        return build(action, _going_on(record), supersedes)

    def _failed(self, export: Export, record: Record) -> Item:
        failure = next(part.failure for part in record.parts if part.failure is not None)
        build = self._builder(export)
        if failure.code == "request.invalid" and self.options.only != "failed":
            return build(Action.REFUSED, f"{failure.message} (asked again with --only failed)")
        reason = f"failed before: {failure.message}"
        if record.stored is not None:
            return build(Action.REPLACE, reason, self._holder(export), self._source(export, record.stored[0]))
        action, _, supersedes = self._place(export)
        return build(action, reason, supersedes)

    def _builder(self, export: Export) -> Callable[..., Item]:
        def build(action: Action, reason: str, supersedes: str | None = None, source: str | None = None) -> Item:
            return Item(export.key, export.coordinates, export.path, action, reason, export, supersedes, source)

        return build

    def _stored(self, export: Export, record: Record, file: File, *, is_open: bool) -> Item:
        build = self._builder(export)
        size = self.sizes.get(file.path)
        holder, source = self._holder(export), self._source(export, file)
        if record.state is not State.STORED:  # a newer export of the same question is under way
            return build(Action.REPLACE, _going_on(record), holder, source)
        if self.options.only == "all":
            return build(Action.REPLACE, "stored; asked for again by --only all", holder, source)
        if file.partial and not is_open:
            return build(Action.REPLACE, "partial: exported before its window closed", holder, source)
        if size is None and not self.options.keep_missing:
            return build(Action.RUN, f"its file is gone: {file.path}", holder)
        if size is not None and size != file.bytes:
            reason = f"its file was changed: {size} bytes, stored were {file.bytes}"
            return build(Action.REPLACE, reason, holder, source)
        if file.path in self.changed:
            return build(Action.REPLACE, "its file was changed: other bytes of the same size", holder)
        if source is not None:
            return build(Action.MOVE, f"renamed; was {file.path}", holder, source)
        if size is None:
            return build(Action.SKIP, "stored; its file was moved on (output.missing: keep)")
        return build(Action.SKIP, "stored, partial: its window is still open" if file.partial else "stored")

    def _place(self, export: Export) -> tuple[Action, str, str | None]:
        """Whether an export that is not stored takes the place of another one's file."""
        holder = self._holder(export)
        if holder is None:
            return Action.RUN, "new", None
        return Action.REPLACE, _difference(self.records[holder], export), holder

    def _holder(self, export: Export) -> str | None:
        """The other export whose file is at this one's path, and stays there."""
        holder = self.holders.get(export.path)
        return None if holder in self.leaving or holder == export.key else holder

    def _source(self, export: Export, file: File) -> str | None:
        """Where the stored file is, if that is not where it belongs by today's labels. What was changed stays behind."""
        unchanged = self.sizes.get(file.path) == file.bytes and file.path not in self.changed
        return file.path if file.path != export.path and unchanged else None

    def unnamed(self, named: Collection[str]) -> Iterator[Item]:
        for key, record in self.records.items():
            if key in named or record.state is State.SUPERSEDED:
                continue
            coordinates = tuple(record.coordinates.items())
            claimed = {self.claims.get(record.path), self.holders.get(record.path)} - {None, key}
            if record.stored is not None:
                if not claimed:
                    yield Item(key, coordinates, record.path, Action.NOT_IN_JOB, "stored; file and entry stay")
            elif record.state is State.FAILED:
                continue
            elif claimed:
                yield Item(
                    key, coordinates, record.path, Action.LEFT_OVER, "unfinished; its place is another export's now"
                )
            elif any(part.live for part in record.parts) or record.state is State.VERIFIED:
                self.claims[record.path] = key
                reason = "unfinished; what the service has is collected"
                yield Item(key, coordinates, record.path, Action.LEFT_OVER, reason, collect=True)
            else:
                yield Item(key, coordinates, record.path, Action.LEFT_OVER, "unfinished; nothing to collect")


def _going_on(record: Record) -> str:
    live = [report.id for part in record.parts for report in part.live]
    match record.state:
        case State.VERIFIED:
            return "goes on: downloaded and verified, not yet at its place"
        case State.CREATING:
            return "goes on: whether its last POST created an export is not known"
        case State.READY:
            return f"goes on: report {live[-1]} is ready to be downloaded"
        case State.GENERATING:
            return f"goes on: report {live[-1]} is being made"
        case _ if any(part.reports for part in record.parts):
            return "goes on: an earlier report was lost"
        case _:
            return "goes on: not created yet"


_FIELDS = {
    "timezone": "timezone",
    "resultFormat": "format",
    "start": "window edges",
    "end": "window edges",
    "teamIds": "teams",
    "tagIds": "tags",
    "teammateIds": "teammates",
    "customerIds": "customers",
}


def _difference(old: Record, new: Export) -> str:
    """Why two exports at one path are not the same question, in the job file's words."""
    before, after = old.parts[0].request, new.request
    changed = {word: None for name, word in _FIELDS.items() if before.get(name) != after.get(name)}
    if "timezone" in changed:  # its midnights are others: that the windows' edges are too goes without saying
        changed.pop("window edges", None)
    if old.impersonate != new.impersonate:
        changed["impersonate"] = None
    return f"{', '.join(changed) or 'base_url'} changed"


def _day(at: int, export: Export) -> str:
    """The local date, with the time where a window's edge is not at midnight."""
    local = datetime.fromtimestamp(at, ZoneInfo(export.timezone))
    return local.strftime("%Y-%m-%d" if (local.hour, local.minute) == (0, 0) else "%Y-%m-%d %H:%M")
