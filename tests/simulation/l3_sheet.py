"""What a story of level L3 left behind, as the oracle's sheet.

The simulator's ledger, the journal's events, the files and the passings of points are four witnesses with one clock, the
machine's monotonic one; put in its order they are what the oracle judges.
"""

from __future__ import annotations

import bisect
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from evidence import Call, Census, Commit, Download, Evidence, Gate, Made, Process
from l3_phases import PHASES
from l3_stage import Ended, Hit, Stage
from oracle import Violation

from orchestrator.cli.task import Task
from orchestrator.engine.ports import Accepted, NotFound, SignedUrl, Status, Throttled
from orchestrator.engine.states import Adopted, Created, Event, Record, State, apply, event_from_json
from orchestrator.job.expand import export_key
from orchestrator.simulator.ledger import Download as Fetched
from orchestrator.simulator.ledger import Poll, Post
from orchestrator.simulator.question import Question, read_question
from orchestrator.simulator.rows import make_result
from orchestrator.simulator.scenario import Scenario


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


@functools.cache
def _made(question: Question, scenario: Scenario, revision: int) -> bytes:
    source = make_result(question, scenario, revision)
    return b"".join(source.blocks(0, source.length))


def _at_once(ended: Ended) -> int:
    """The most downloads that were under way together."""
    now = most = 0
    for passing in ended.passings:
        now += {"fetch.before": 1, "fetch.after": -1, "fetch.failed": -1}.get(passing.label, 0)
        most = max(most, now)
    return most


class Sheet:
    """The story's evidence, with times in the machine's monotonic clock."""

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
        stage = self.story.stage
        return [
            (stage.monotonic(at), event_from_json(kind, key, part, at, json.loads(data)))
            for kind, key, part, at, data in stage.journalled()
        ]

    def _processes(self) -> None:
        e = self.evidence
        exports = tuple(self.story.task.exports)
        named = frozenset(export.key for export in exports)
        e.removed |= self.story.removed
        upto = list(PHASES).index(self.story.phase) + 1
        for phase in list(PHASES.values())[:upto]:
            for label, ids in phase.teams.items():
                body = dict(exports[0].request) | {"teamIds": sorted([ids] if isinstance(ids, str) else ids)}
                key = export_key(self.base_url, None, body)
                self._names[key] = str(label)
                e.paths.setdefault(f"{label}/2020-01.json", set()).add(key)
        past = frozenset(self._names)
        e.processes.append(
            Process(0, 0.0, 0.0, 0, calm=False, named=past, first_seq=0, how="before", starts_clean=False)
        )
        for n, (ended, hit) in enumerate(self.story.all, start=1):
            struck = hit if ended.struck else None
            parked = struck.signals[0].name if struck and not struck.kills and not struck.fault else None
            report = ended.report
            how = "ended" if report is not None and ended.status != 70 else "bug"
            if struck and not struck.fault and report is None:
                how = "kill"
            if struck and struck.fault and report is not None and report["run_id"] is None:
                how, report = "refused to start", None
            if ended.status is None:
                how = "spinning"
            e.processes.append(
                Process(
                    n, ended.began, 0.0, 0, calm=hit is None, named=named, first_seq=0, exports=exports, ended_at=ended.ended,
                    how=how, report=report, parked_by=parked, starts_clean=ended is self.story.second,
                    disk_trouble=bool(struck and struck.fault), downloads_at_once=_at_once(ended),
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
                made.ends_at + self.offset, made.fate == "failed", inf, "", [data],
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
            answer = Throttled(self.story.stage.retry_after, "")
            self._gate(at, process)
        elif post.status == 200 and post.created:
            answer = Accepted(post.created, "Processing")
        record = records.get(key)
        live = tuple(report.id for part in record.parts for report in part.live) if record else ()
        claimed = self._claimed(at, process, records)
        self.evidence.calls.append(
            Call(seq, at, process, "POST", key, None, seq + 1, at, answer, post.created, claimed, live)
        )  # fmt: skip

    def _claimed(self, at: float, process: int, records: Mapping[str, Record]) -> int:
        """Intents without an answer, and reports that the journal knows and that truly still run."""
        named = self.evidence.processes[process].named
        parts = [part for key, record in records.items() if key in named for part in record.parts]
        running = sum(self.evidence.reports[report.id].unfinished(at) for part in parts for report in part.live)
        return running + sum(part.state is State.CREATING for part in parts)

    def _poll(self, seq: int, at: float, poll: Poll) -> None:
        process = self._process(at)
        answer: Any = NotFound()
        if poll.status == 429:
            answer = Throttled(self.story.stage.retry_after, "")
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
        """It counts for the processes that come next; `l3_rules.py` holds the one that heard of it to it, by its own points."""
        if n == 0:
            return
        ended = self.story.all[n - 1][0]
        # Only who died before the answer was heard and kept may forget it, or had let go of a poll to park, or whose disk
        # refused to keep it; what is told of the POST comes after that.
        after = {p.label for p in ended.passings if p.at > at}
        durable = "journal.pause.durable" in after or ended.struck is None
        if not self.evidence.processes[n].disk_trouble:
            durable = durable or "journal.refused.before" in after
        later = [process.started_at for process in self.evidence.processes if process.n > n]
        seq = 2 * bisect.bisect_left(self._times, min(later, default=inf)) + 1
        self.evidence.gates.append(Gate(seq, at, at + self.story.stage.retry_after, n, "api", durable))

    def _census(self, seq: int, n: int, ended: Ended) -> None:
        e = self.evidence
        e.census.append(Census(seq, n, ended.files, ended.records, trusted=True))
        # What waits beside its new place, in a ring of files that change places, belongs to that place already.
        homes = {path: path.rsplit(".", 2)[0] if path.endswith(".moving") else path for path in ended.files}
        e.shown += [(seq, homes[path], seen) for path, seen in ended.files.items()]
        if e.processes[n].how == "ended":
            e.manifest_at_ends.append((n, ended.manifest))

    def _finish(self) -> None:
        e, story = self.evidence, self.story
        ended = story.second or story.processes[-1][0]
        e.manifest = ended.manifest
        e.finished = story.second is not None

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
