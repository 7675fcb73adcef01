"""What must hold in every story of level L3: the oracle's rules, and those that only real processes can break."""

from __future__ import annotations

import errno
import signal
from collections import Counter
from collections.abc import Iterator

from diskpoints import FULL
from l3_sheet import LEDGERS, Sheet, Story
from oracle import Violation, judge

from orchestrator.engine.states import Created, Intended, Lost, Refused, Stored, Unanswered
from orchestrator.simulator.question import read_question
from orchestrator.simulator.rows import expected_result

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 3, signal.SIGHUP: 3}
PROMPT = 30.0
"""Seconds from the first signal, or from a refusal of the disk, to the end of the process; far more than the five that are promised
(`e2e/test_e2e_signals.py` holds it to them), for here many processes share a machine that may be busy."""
FULL_NAMES = frozenset(errno.errorcode[number] for number in FULL)
SENDING = ("post.before", "poll.before")
NOT_HERE = frozenset({"unnamed pauses are pauses"})
"""Each 429 here names its time, and what was on its way meanwhile still arrives."""
KEPT = frozenset({"journal.db", "lock", ".gitignore"})


def close(story: Story) -> None:
    """Fills the sheet, has it judged, and keeps the story for whoever wants to hear it."""
    sheet = Sheet(story)
    found = [*judge(sheet.evidence), *(Violation(name, text) for name, text in _rules(story, sheet))]
    story.violations = [violation for violation in found if violation.rule not in NOT_HERE]
    story.timeline = sheet.timeline()


def _rules(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    yield from _ends(story)
    yield from _signals(story, sheet)
    yield from _refusals(story, sheet)
    yield from _silence(story, sheet)
    yield from _secrets(story)
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
        elif ended.struck and hit and hit.kills and ended.status != -signal.SIGKILL:
            yield "a kill kills", f"process {n}: exit {ended.status}"


def _signals(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The first signal parks the run within seconds and loses nothing; the second one ends it at once."""
    gentle = True
    for n, (ended, hit) in enumerate(story.processes, start=1):
        struck = [passing for passing in ended.passings if passing.struck]
        if hit is None or not struck or hit.kills or hit.fault:
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
            later = [passing.label for passing in ended.passings if passing.at > struck[1].at]
            if "wind-up.before" in later:
                yield "a second signal is obeyed at once", f"process {n} went on for {ended.ended - struck[1].at:.1f} s"
        elif ended.report is None:
            yield "a parked run reports", f"process {n}: {ended.err[-800:]}"
    unanswered = [event for _, event in sheet.events if isinstance(event, Unanswered)]
    if gentle and unanswered:
        yield "a signal doubles nothing", f"{len(unanswered)} possible duplicates"


def _refusals(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """A disk that refuses ends the run soon, with exit 6 and a hint, or was not needed any more; what is created stays known."""
    kind = None
    for n, (ended, hit) in enumerate(story.processes, start=1):
        if hit is None or not hit.fault or ended.struck is None:
            continue
        kind = hit.fault
        error = (ended.report or {}).get("error") or {}
        if ended.status not in (0, 6) or "Traceback" in ended.err:
            yield "a refusing disk is told", f"process {n}: exit {ended.status} after {hit}: {ended.err[-800:]}"
        elif ended.status == 6 and not (error.get("hint") and ended.report and ended.report["outcome"] == "storage"):
            yield "a refusing disk is told", f"process {n}: {error} after {hit}"
        elif ended.status == 0 and (ended.report is None or ended.report["counts"]["pending"]):
            yield "a refusing disk is told", f"process {n}: exit 0 with work left after {hit}"
        if ended.ended - ended.struck.at > PROMPT:
            yield "a refusing disk is told soon", f"process {n} went on for {ended.ended - ended.struck.at:.1f} s"
    unanswered = [event for _, event in sheet.events if isinstance(event, Unanswered)]
    if kind in FULL_NAMES and len(story.hits) == 1 and unanswered:
        yield "a full disk doubles nothing", f"{len(unanswered)} possible duplicates"


def _silence(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """From when a pause is durable to its end nothing is sent, by the process that heard of it."""
    asked = [*story.ledger("posts"), *story.ledger("polls")]
    told = sorted(entry.at + sheet.offset for entry in asked if entry.status == 429)
    for n, (ended, _) in enumerate(story.all, start=1):
        for kept in (p.at for p in ended.passings if p.label == "journal.pause.durable"):
            until = max((at for at in told if at < kept), default=0.0) + story.stage.retry_after
            early = [p.label for p in ended.passings if p.label in SENDING and kept < p.at < until]
            if early:
                yield "silence is kept in the run", f"process {n}: {early}"


def _secrets(story: Story) -> Iterator[tuple[str, str]]:
    """The log at its most talkative, the report, the journal and its log, manifest and temporary files hold no secret."""
    for n, ended in enumerate([*(ended for ended, _ in story.all), story.verified], start=1):
        for secret, place, form in ended.leaks if ended else ():
            yield "secrets stay secret", f"process {n}: {secret} in {place} as {form}"


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


def _duplicates(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Possible duplicates ≤ deaths between an intent and its id; a journal that can't be written is a death, too."""
    deaths = [ended.ended for ended, hit in story.all if ended.report is None or (hit and hit.fault and ended.status)]
    intended: dict[str, float] = {}
    for at, event in sheet.events:
        if isinstance(event, Intended):
            intended[event.key] = at
        elif isinstance(event, Unanswered) and not any(intended[event.key] <= death <= at for death in deaths):
            yield "a possible duplicate needs a kill", f"{event.key[:10]} at {at:.2f}"


def _creations(story: Story, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Created per question ≤ 1 + lost + possible duplicates; ≤ what was lost and doubled if it was stored all along."""
    began = story.processes[0][0].began
    mine = [event for at, event in sheet.events if at >= began]
    created = Counter(sheet._key(read_question(post.body)) for post in story.ledger("posts") if post.created)
    for key, count in created.items():
        paid = sum(isinstance(event, (Lost, Unanswered)) and event.key == key for event in mine)
        if count > paid + (key not in story.stored_before):
            yield "exports are paid once", f"{key[:10]} was created {count} times, {paid} are accounted for"
    for key in sorted({event.key for event in mine}):
        own = [event for event in mine if event.key == key]
        answered = sum(isinstance(event, (Created, Refused, Unanswered)) for event in own)
        if sum(isinstance(event, Intended) for event in own) != answered:
            yield "every intent has an end", f"{key[:10]}"
        if sum(isinstance(event, Stored) for event in own) > 1:
            yield "stored once", f"{key[:10]} was stored {sum(isinstance(event, Stored) for event in own)} times"
