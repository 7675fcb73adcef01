"""What a story of level L3 left behind, as the oracle's sheet, and what must hold here besides the oracle's rules.

The simulator's ledger, the journal's events, the files and the passings of points are four witnesses with one clock, the
machine's monotonic one; put in its order they are what the oracle judges.
"""

from __future__ import annotations

import bisect
import functools
import json
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence import Call, Census, Commit, Download, Evidence, Gate, Made, Process
from l3_stage import PHASES, RETRY_AFTER, Ended, Hit, Stage
from oracle import Violation, judge

from orchestrator.cli.task import Task
from orchestrator.engine.ports import Accepted, NotFound, SignedUrl, Status, Throttled
from orchestrator.engine.states import (
    Adopted,
    Created,
    Event,
    Intended,
    Lost,
    Record,
    Refused,
    Stored,
    Unanswered,
    apply,
    event_from_json,
)
from orchestrator.job.expand import export_key
from orchestrator.simulator.ledger import Download as Fetched
from orchestrator.simulator.ledger import Poll, Post
from orchestrator.simulator.question import Question, read_question
from orchestrator.simulator.rows import expected_result, make_result
from orchestrator.simulator.scenario import Scenario

IN_FLIGHT = 0.25
"""Seconds after a 429 in which a request of the same process may arrive that was on its way before."""
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 3, signal.SIGHUP: 3}
PROMPT = 5.0
"""Seconds from the first signal to the end of the process."""
AT_ONCE = 2.0
"""Seconds from the second one."""
KEPT = frozenset({"journal.db", "lock", ".gitignore"})


@dataclass
class Story:
    """One beginning, what was done to the processes, and what came of it."""

    phase: str
    hits: Sequence[Hit]
    stage: Stage
    task: Task
    stored_before: frozenset[str] = frozenset()
    """Keys that were stored, file and all, when the story began."""
    removed: frozenset[str] = frozenset()
    """Hashes of files that somebody took away before it began."""
    processes: list[tuple[Ended, Hit | None]] = field(default_factory=list)
    second: Ended | None = None
    """The run after the one that finished."""
    verified: Ended | None = None
    since: Mapping[str, int] = field(default_factory=dict)
    """Where the ledger stood when the story began."""
    violations: list[Violation] = field(default_factory=list)
    timeline: list[tuple[float, str]] = field(default_factory=list)

    @property
    def all(self) -> list[tuple[Ended, Hit | None]]:
        return [*self.processes, *([(self.second, None)] if self.second else [])]

    @property
    def missed(self) -> list[Hit]:
        """Hits whose point was not passed: what came before has changed the way."""
        return [hit for ended, hit in self.processes if hit is not None and ended.struck is None]

    def ledger(self, kind: str) -> list[Any]:
        """What the service heard in this story."""
        return getattr(self.stage.sim.stats, kind)[self.since[kind] :]

    def heard(self, kind: str) -> list[Any]:
        """The same, and before it what the journal remembers of the undisturbed runs that led here."""
        return [*self.stage.heard_before(self.phase, kind), *self.ledger(kind)]

    @property
    def command(self) -> str:
        return "python tests/simulation/l3.py " + " ".join(f"{self.phase}/{hit}" for hit in self.hits)


LEDGERS = ("posts", "polls", "downloads", "strays")


def close(story: Story) -> None:
    """Fills the sheet, has it judged, and keeps the story for whoever wants to hear it."""
    sheet = _Sheet(story)
    story.violations = [*judge(sheet.evidence), *(Violation(name, text) for name, text in _rules(story, sheet))]
    story.timeline = sheet.timeline()


@functools.cache
def _made(question: Question, scenario: Scenario, revision: int) -> bytes:
    source = make_result(question, scenario, revision)
    return b"".join(source.blocks(0, source.length))


class _Sheet:
    def __init__(self, story: Story) -> None:
        self.story = story
        self.sim = story.stage.sim
        self.base_url = str(story.task.api.base_url)
        self.events = self._events()
        self.offset = self.sim._world._began
        self.evidence = Evidence(seed=0, policy=story.task.policy())
        self.words: list[tuple[float, str]] = []
        self._names: dict[str, str] = {}
        self._processes()
        self._reports()
        self._in_order()
        self._finish()

    # ------------------------------------------------------------------------------------------------- the witnesses

    def _events(self) -> list[tuple[float, Event]]:
        rows = self.story.stage.journalled()
        offset = self.story.processes[-1][0].offset
        return [
            (at + offset, event_from_json(kind, key, part, at, json.loads(data))) for kind, key, part, at, data in rows
        ]

    def _processes(self) -> None:
        e = self.evidence
        exports = tuple(self.story.task.exports)
        named = frozenset(export.key for export in exports)
        e.removed |= self.story.removed
        for phase in PHASES.values():
            for label, ids in phase.teams.items():
                body = dict(exports[0].request) | {"teamIds": sorted([ids] if isinstance(ids, str) else ids)}
                key = export_key(self.base_url, None, body)
                self._names[key] = str(label)
                for path in (f"{label}/2020-01.json", f"{label}/2020-01.json.moving"):
                    e.paths.setdefault(path, set()).add(key)
        past = frozenset(self._names)
        e.processes.append(
            Process(0, 0.0, 0.0, 0, calm=False, named=past, first_seq=0, how="before", starts_clean=False)
        )
        for n, (ended, hit) in enumerate(self.story.all, start=1):
            parked = hit.signals[0].name if hit and ended.struck and hit.signals[0] is not signal.SIGKILL else None
            how = "ended" if ended.status is not None and ended.report is not None and ended.status != 70 else "bug"
            if ended.struck and ended.report is None:
                how = "kill"
            if ended.status is None:
                how = "spinning"
            e.processes.append(
                Process(
                    n, ended.began, 0.0, 0, calm=hit is None, named=named, first_seq=0, exports=exports, ended_at=ended.ended,
                    how=how, report=ended.report, parked_by=parked, starts_clean=ended is self.story.second,
                    error=AssertionError(ended.err[-2000:]) if how == "bug" else None,
                )
            )  # fmt: skip
            e.texts += [ended.out, ended.err]

    def _reports(self) -> None:
        """Those of this story, and those of which the journal tells."""
        ids = {post.created for post in self.story.ledger("posts") if post.created}
        ids |= {event.report_id for _, event in self.events if isinstance(event, Created)}
        ids |= {event.file.report_id for _, event in self.events if isinstance(event, Adopted)}
        for report_id in ids:
            made = self.sim._world.exports[report_id]
            data = _made(made.question, made.scenario, made.revision)
            self.evidence.reports[report_id] = Made(
                report_id, self._key(made.question), made.starts_at + self.offset, made.starts_at + self.offset,
                made.ends_at + self.offset, made.fate == "failed", float("inf"), "", [data],
            )  # fmt: skip

    def _key(self, question: Question) -> str:
        body = {
            "timezone": question.timezone,
            "start": question.start,
            "end": question.end,
            "resultFormat": question.format,
        }
        return export_key(self.base_url, None, body | {"teamIds": list(question.teams)})

    def _process(self, at: float) -> int:
        return max((p.n for p in self.evidence.processes if p.started_at <= at), default=0)

    # --------------------------------------------------------------------------------------------------------- order

    def _in_order(self) -> None:
        """Everything that happened, by time; what the journal holds keeps its own order."""
        things: list[tuple[float, int, Any]] = []
        latest = 0.0
        for at, event in self.events:
            latest = max(latest, at)
            things.append((latest, 0, event))
        for kind in ("posts", "polls", "downloads"):
            things += [(entry.at + self.offset, 1, entry) for entry in self.story.heard(kind)]
        for n, (ended, _) in enumerate(self.story.all, start=1):
            things.append((ended.ended, 2, (n, ended)))
        things.sort(key=lambda thing: thing[:2])
        self._times = [at for at, _, _ in things]
        records: dict[str, Record] = {}
        for seq, (at, _, thing) in enumerate(things, start=1):
            self._tell(at, thing)
            match thing:
                case Event():
                    self._commit(2 * seq, at, thing, records)
                case Post():
                    self._post(2 * seq, at, thing, records)
                case Poll():
                    self._poll(2 * seq, at, thing)
                case Fetched():
                    self._download(2 * seq, at, thing)
                case n, ended:
                    self._census(2 * seq, n, ended)

    def _commit(self, seq: int, at: float, event: Event, records: dict[str, Record]) -> None:
        e, process = self.evidence, self._process(at)
        if isinstance(event, Adopted) and not any(
            isinstance(c.event, Created) and c.event.report_id == event.file.report_id for c in e.commits
        ):  # a journal that is gone knew it
            e.commits.append(Commit(seq - 1, at, 0, 0, Created(event.key, event.at, report_id=event.file.report_id)))
        e.commits.append(Commit(seq, at, process, 0, event))
        records[event.key] = apply(records.get(event.key), event)

    def _post(self, seq: int, at: float, post: Post, records: Mapping[str, Record]) -> None:
        key = self._key(read_question(post.body))
        process = self._process(at)
        answer: Any = None
        if post.status == 429:
            answer = Throttled(RETRY_AFTER, "")
            self._gate(at, process)
        elif post.status == 200 and post.created:
            answer = Accepted(post.created, "Processing")
        record = records.get(key)
        live = tuple(report.id for part in record.parts for report in part.live) if record else ()
        self.evidence.calls.append(
            Call(seq, at, process, "POST", key, None, seq + 1, at, answer, post.created, 1, live)
        )  # fmt: skip

    def _poll(self, seq: int, at: float, poll: Poll) -> None:
        process = self._process(at)
        answer: Any = NotFound()
        if poll.status == 429:
            answer = Throttled(RETRY_AFTER, "")
            self._gate(at, process)
        elif poll.state is not None:
            answer = Status(poll.state, SignedUrl("https://") if poll.state == "Completed" else None)
        key = self._key(self.sim._world.exports[poll.export].question)
        self.evidence.calls.append(Call(seq, at, process, "GET", key, poll.export, seq + 1, at, answer))

    def _download(self, seq: int, at: float, entry: Fetched) -> None:
        assert entry.export is not None, "nobody asks for anything else here"
        whole = self.sim._world.exports[entry.export]
        length = len(_made(whole.question, whole.scenario, whole.revision))
        outcome = "broken" if entry.fault else "whole" if entry.sent == length else "let go"
        self.evidence.downloads.append(Download(seq, at, self._process(at), entry.export, outcome))

    def _gate(self, at: float, n: int) -> None:
        """It counts from when what was on its way has arrived; the next process must keep it from its first request on."""
        if n == 0:
            return
        ended = self.story.all[n - 1][0]
        # Only who died before the answer was heard and kept may forget it; what is told of the POST comes after that.
        kept = any(p.label in ("journal.pause.durable", "journal.refused.before") and p.at > at for p in ended.passings)
        durable = kept or ended.report is not None or ended.ended - at > IN_FLIGHT
        since = min(at + IN_FLIGHT, ended.ended)
        seq = 2 * bisect.bisect_right(self._times, since) + 1
        self.evidence.gates.append(Gate(seq, at, at + RETRY_AFTER, n, "api", durable))

    def _census(self, seq: int, n: int, ended: Ended) -> None:
        e = self.evidence
        e.census.append(Census(seq, n, ended.files, ended.records, trusted=True))
        e.shown += [(seq, path, seen) for path, seen in ended.files.items()]
        if e.processes[n].how == "ended":
            e.manifest_at_ends.append((n, ended.manifest))

    def _finish(self) -> None:
        e, story = self.evidence, self.story
        ended = story.second or story.processes[-1][0]
        e.manifest = ended.manifest
        e.finished = story.second is not None
        e.texts += [json.dumps(ended.manifest), (story.stage.state / "journal.db").read_bytes().decode("latin-1")]

    # --------------------------------------------------------------------------------------------------- the story told

    def _tell(self, at: float, thing: Any) -> None:
        match thing:
            case Event(key=key, kind=kind):
                text = f"journal   {kind} {self._names.get(key, key[:10])}"
            case Post():
                key = self._key(read_question(thing.body))
                text = f"service   POST {self._names.get(key, key[:10])}: {thing.status} {(thing.created or '')[:8]}"
            case Poll():
                text = f"service   GET {thing.export[:8]}: {thing.status} {thing.state}"
            case Fetched():
                text = (
                    f"file host GET {(thing.export or '')[:8]}: {thing.status}, {thing.sent} bytes {thing.fault or ''}"
                )
            case n, Ended() as ended:
                files = ", ".join(f"{path} {seen[:6]}" for path, seen in ended.files.items()) or "none"
                text = f"process {n} ended: {ended.status}; files: {files}; state: {', '.join(ended.strays) or 'none'}"
            case _:
                raise AssertionError(thing)
        self.words.append((at, text))

    def timeline(self) -> list[tuple[float, str]]:
        words = list(self.words)
        for n, (ended, hit) in enumerate(self.story.all, start=1):
            words.append((ended.began, f"process {n} begins" + (f", to be hit at {hit}" if hit else "")))
            words += [(p.at, f"process {n} hit at {p.label}") for p in ended.passings if p.struck]
        began = self.story.processes[0][0].began
        return sorted((at - began, text) for at, text in words if at >= began)


# ------------------------------------------------------------------------------------------------- what holds besides


def _rules(story: Story, sheet: _Sheet) -> Iterator[tuple[str, str]]:
    yield from _ends(story)
    yield from _signals(story, sheet)
    yield from _end_state(story)
    yield from _journal_survives(story)
    yield from _duplicates(story, sheet)
    yield from _creations(story, sheet)


def _ends(story: Story) -> Iterator[tuple[str, str]]:
    """Who was not hit ends well; nobody gets stuck."""
    for n, (ended, hit) in enumerate(story.all, start=1):
        if ended.status is None:
            yield "nobody gets stuck", f"process {n}"
        elif ended.struck is None and ended.status != 0:
            yield "a run without faults succeeds", f"process {n}: exit {ended.status}: {ended.err[-800:]}"
        elif ended.struck and hit and hit.signals == (signal.SIGKILL,) and ended.status != -signal.SIGKILL:
            yield "a kill kills", f"process {n}: exit {ended.status}"


def _signals(story: Story, sheet: _Sheet) -> Iterator[tuple[str, str]]:
    """The first signal parks the run within seconds and loses nothing; the second one ends it at once."""
    gentle = True
    for n, (ended, hit) in enumerate(story.processes, start=1):
        struck = [passing for passing in ended.passings if passing.struck]
        if hit is None or not struck or hit.signals[0] is signal.SIGKILL:
            gentle = gentle and hit is None
            continue
        parked, done = STATUSES[hit.signals[0]], ended.status == 0
        if not done and ended.status != parked:
            yield "a signal parks", f"process {n}: exit {ended.status} after {hit}: {ended.err[-800:]}"
        if done and ended.report is not None and ended.report["counts"]["pending"]:
            yield "a signal parks", f"process {n}: exit 0 with work left after {hit}"
        if ended.ended - struck[0].at > PROMPT:
            yield "a signal is prompt", f"process {n} went on for {ended.ended - struck[0].at:.1f} s after {hit}"
        if len(struck) > 1:
            gentle = False
            if ended.ended - struck[1].at > AT_ONCE:
                yield "a second signal is obeyed at once", f"process {n} went on for {ended.ended - struck[1].at:.1f} s"
        elif ended.report is None:
            yield "a parked run reports", f"process {n}: {ended.err[-800:]}"
    unanswered = [event for _, event in sheet.events if isinstance(event, Unanswered)]
    if gentle and unanswered:
        yield "a signal doubles nothing", f"{len(unanswered)} possible duplicates"


def _end_state(story: Story) -> Iterator[tuple[str, str]]:
    """In the end there are the job's files, right to the byte, the manifest that says so, and nothing else."""
    last = story.second
    if last is None:
        return
    entries = {entry["path"]: entry for entry in (last.manifest or {"exports": ()})["exports"]}
    scenario = story.stage.sim.scenario
    for export in story.task.exports:
        wanted = expected_result(export.request, scenario)
        entry = entries.get(export.path)
        if last.files.get(export.path) != wanted.sha256:
            yield "files are right", f"{export.path} is not what the service made for this question"
        if entry is None or (entry["key"], entry["sha256"], entry["bytes"], entry["rows"]) != (
            export.key, wanted.sha256, wanted.bytes, wanted.rows,
        ):  # fmt: skip
            yield "the manifest is right", f"{export.path}: {entry}"
    paths = {export.path for export in story.task.exports}
    if set(last.files) != paths or set(entries) != paths:
        yield (
            "nothing else lies about",
            f"files {sorted(set(last.files) ^ paths)}, manifest {sorted(set(entries) ^ paths)}",
        )
    if set(last.strays) - KEPT:
        yield "nothing else lies about", f"in the state folder: {sorted(set(last.strays) - KEPT)}"
    asked = [
        entry
        for kind in LEDGERS
        for entry in story.ledger(kind)
        if entry.at + story.stage.sim._world._began >= last.began
    ]
    if asked:
        yield "a run with nothing to do asks nothing", f"{len(asked)} requests"
    if story.verified is None or story.verified.status != 0:
        yield (
            "verify agrees",
            f"{story.verified and (story.verified.status, story.verified.out, story.verified.err[-400:])}",
        )


def _journal_survives(story: Story) -> Iterator[tuple[str, str]]:
    """A kill never damages the journal."""
    for n, (ended, _) in enumerate(story.all, start=1):
        if ended.damage is not None:
            yield "the journal survives", f"after process {n}: {ended.damage}"
        for name in ended.strays:
            if ".corrupt-" in name or ".orphan-" in name:
                yield "the journal survives", f"after process {n} there is {name}"


def _duplicates(story: Story, sheet: _Sheet) -> Iterator[tuple[str, str]]:
    """Possible duplicates ≤ kills between an intent and its id: each one told has a death of its own in between."""
    deaths = [ended.ended for ended, _ in story.all if ended.report is None]
    intended: dict[str, float] = {}
    for at, event in sheet.events:
        if isinstance(event, Intended):
            intended[event.key] = at
        elif isinstance(event, Unanswered) and not any(intended[event.key] <= death <= at for death in deaths):
            yield "a possible duplicate needs a kill", f"{event.key[:10]} at {at:.2f}"


def _creations(story: Story, sheet: _Sheet) -> Iterator[tuple[str, str]]:
    """Created per question ≤ 1 + lost + possible duplicates; ≤ what was lost and doubled if it was stored all along."""
    began = story.processes[0][0].began
    mine = [event for at, event in sheet.events if at >= began]
    created = Counter(sheet._key(read_question(post.body)) for post in story.ledger("posts") if post.created)
    for key, count in created.items():
        paid = sum(isinstance(event, (Lost, Unanswered)) and event.key == key for event in mine)
        if count > paid + (key not in story.stored_before):
            yield "exports are paid once", f"{key[:10]} was created {count} times, {paid} are accounted for"
    for key in {event.key for event in mine}:
        own = [event for event in mine if event.key == key]
        answered = sum(isinstance(event, (Created, Refused, Unanswered)) for event in own)
        if sum(isinstance(event, Intended) for event in own) != answered:
            yield "every intent has an end", f"{key[:10]}"
        if sum(isinstance(event, Stored) for event in own) > 1:
            yield "stored once", f"{key[:10]} was stored {sum(isinstance(event, Stored) for event in own)} times"
