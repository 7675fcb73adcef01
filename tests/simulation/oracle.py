"""What must hold in every run, whatever went wrong in it. Each rule has a name; its docstring is its reason.

A rule looks at `Evidence` alone: what the service truly did, what was journalled and what lay on the disk. It judges only
what the program could know: a run that was killed while it read a 429 cannot know of it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from evidence import Call, Commit, Evidence, Gate, Process
from secrets_hunt import hunt

from orchestrator.engine.asking import PATIENCE, patience
from orchestrator.engine.ports import Accepted, Denied, Invalid, NotFound, Status
from orchestrator.engine.states import (
    Adopted,
    Alive,
    Cause,
    Created,
    Failed,
    Intended,
    Lost,
    Moved,
    Ready,
    Refused,
    Revived,
    State,
    Stored,
    Superseded,
    Torn,
    Unanswered,
)

EPS = 1e-6
SOON = 1.5
"""Seconds within which a process must have kept what it heard (its journal's disk takes much less)."""
SECRETS = ("CANARYTOKEN", "CANARYSIGNATURE")


@dataclass(frozen=True)
class Violation:
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


Rule = Callable[[Evidence], Iterator[str]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    RULES[function.__name__.replace("_", " ")] = function
    return function


def judge(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong."""
    return [Violation(name, text) for name, check in RULES.items() for text in check(evidence)]


# ------------------------------------------------------------------------------------------------------------ the end


@rule
def no_bug(e: Evidence) -> Iterator[str]:
    """A process ends in its own words, or is killed. It never crashes, spins or sleeps for ever."""
    for p in e.processes:
        if p.how in ("bug", "spinning", "deadlock"):
            yield f"process {p.n}: {p.how}: {p.error!r}"


@rule
def everything_ends(e: Evidence) -> Iterator[str]:
    """Once faults have stopped, every export is stored, but those that the service itself makes impossible."""
    if not e.finished:
        last = e.processes[-1]
        if any(p.calm and p.report and p.report["outcome"] == "refused" and _unwelcome(e, p) for p in e.processes):
            return  # nobody was ever let in: that is the account's trouble, not one export's
        outcomes = [f"{p.how}/{p.report['outcome'] if p.report else p.error}" for p in e.processes if p.calm]
        left = [
            x["key"][:8] + " " + x["state"]
            for x in (last.report or {}).get("exports", ())
            if x["state"] in ("failed", "pending")
        ]
        yield f"not done after {len(outcomes)} calm runs ({', '.join(outcomes)}): {left}"


@rule
def in_time(e: Evidence) -> Iterator[str]:
    """A run without faults ends by a deadline that follows from the policy: reports take their time, and give up by `stuck_after`."""
    r, limits = e.policy.retry, e.policy.limits
    for p in e.processes:
        if not p.calm or p.how != "ended":
            continue
        exports = len(p.exports) + 2
        rounds = math.ceil(exports / limits.unfinished)
        stuck = (r.exports + 2) * (r.stuck_after + 3 * e.policy.polling.max)
        bound = (
            rounds * (stuck + 400.0) + limits.longest_pause + 600 + 60 * exports / min(1.0, limits.requests_per_second)
        )
        if p.ended_at - p.started_at > bound:
            yield f"process {p.n} took {p.ended_at - p.started_at:.0f} s, {bound:.0f} s are enough"


@rule
def poison_holds_nobody_up(e: Evidence) -> Iterator[str]:
    """An export that can never succeed costs the others nothing but its places: they are stored in the first calm run that ends."""
    if not e.poisoned:
        return
    for p in e.processes:
        if p.calm and p.how == "ended" and p.report and p.report["outcome"] == "failed":
            bad = [x["key"] for x in p.report["exports"] if x["state"] == "pending" and x["key"] not in e.poisoned]
            if bad:
                yield f"process {p.n} ended as failed and left {bad} undone"


@rule
def failures_have_a_cause(e: Evidence) -> Iterator[str]:
    """An export is given up only for what the service did to it."""
    for c in e.commits:
        if not isinstance(c.event, Failed):
            continue
        key, code = c.event.key, c.event.code
        calls = [x for x in e.calls if x.key == key and x.answered_seq is not None and x.answered_seq < c.seq]
        lost = [x.event for x in e.commits if x.seq < c.seq and isinstance(x.event, Lost) and x.event.key == key]
        downloads = [d for d in e.downloads if d.seq < c.seq and e.reports[d.report_id].key == key]
        match code.partition(".")[0], code:
            case _, "request.invalid":
                good = any(isinstance(x.answer, Invalid) for x in calls)
            case _, "request.forbidden":
                good = any(isinstance(x.answer, Denied) and x.answer.status == 403 for x in calls)
            case _, "create.ambiguous":
                good = e.policy.retry.ambiguous == "stop"
            case _, "service.failing":
                bad = sum(not isinstance(x.answer, (Accepted, Status, NotFound)) for x in calls)
                good = bad + sum(d.outcome == "broken" for d in downloads) >= e.policy.retry.attempts
            case _, "download.refused":
                good = sum(d.outcome == "refused" for d in downloads) >= e.policy.retry.attempts
            case "export", _:
                good = len(lost) > e.policy.retry.exports
            case "content", _:
                good = sum(d.outcome == "corrupt" for d in downloads) >= 3
            case _:
                good = False
        if not good:
            yield f"{key} failed with {code} for nothing that the service did"


# -------------------------------------------------------------------------------------------------------------- files


@rule
def files_are_the_services(e: Evidence) -> Iterator[str]:
    """What is stored at the end is, byte for byte, what the service made for this very question."""
    if not e.finished:
        return
    last = e.census[-1]
    for export in e.processes[-1].exports:
        if export.key in e.poisoned or not last.trusted:
            continue
        hashes = {h for made in e.reports.values() if made.key == export.key for h in made.hashes}
        if last.files.get(export.path) not in hashes:
            yield f"{export.path} is not what the service made for {export.key}"


@rule
def no_final_name_shows_less(e: Evidence) -> Iterator[str]:
    """At no moment, and after no death, does a final name show a partial, foreign or corrupt file."""
    valid: dict[str, set[str]] = defaultdict(set)
    for made in e.reports.values():
        if not made.corrupt:
            valid[made.key] |= made.hashes
    for seq, path, seen in e.shown:
        keys = e.paths.get(path)
        if keys is None:
            yield f"a file appeared at {path}, which no job ever named"
        elif not any(seen in valid[key] for key in (keys if seq < e.blind_since else valid)):
            yield f"{path} showed bytes that are no whole file of any export that belongs there"


@rule
def stored_stays(e: Evidence) -> Iterator[str]:
    """What the journal calls stored lies on the disk, after every death: durable first, then told."""
    for census in e.census:
        if not census.trusted:
            continue
        there = set(census.files.values())
        parts = [part for record in census.records.values() for part in record.parts]
        coming = {part.file.sha256 for part in parts if part.state is State.VERIFIED and part.file}
        coming |= {part.stored.sha256 for part in parts if part.moving and part.stored}
        for record in census.records.values():
            if e.forgotten and (
                record.key not in e.processes[census.process].named or record.state is not State.STORED
            ):
                continue  # an older memory may not know that its file was moved on or replaced, or has just found out
            for part in record.parts:
                file = part.stored
                if file is None or file.sha256 in there | e.removed:
                    continue
                if e.emptied.get(file.path, -1) > (-1 if e.forgotten else _placed(e, record.key, census.seq)):
                    continue  # what was taken away may have been another's that had just taken its place
                if census.files.get(file.path) not in coming:  # else a newer one has just taken its place, as announced
                    yield f"after process {census.process} {file.path} of {record.key} was stored and is gone"


def _placed(e: Evidence, key: str, until: int) -> int:
    """When (seq) a file of this export was last said to be at its place, by then."""
    return max(
        (
            c.seq
            for c in e.commits
            if c.seq < until and c.event.key == key and isinstance(c.event, (Stored, Adopted, Moved))
        ),
        default=0,
    )


@rule
def the_manifest_is_memory_enough(e: Evidence) -> Iterator[str]:
    """Deleting the state folder loses history, never data: what the manifest tells and the disk holds is not created again."""
    manifests = dict(e.manifest_at_ends)
    for seq, what in e.forgotten:
        before = [census for census in e.census if census.seq < seq]
        if what != "state deleted" or not before:
            continue
        told, files = manifests[before[-1].process], before[-1].files
        after = next(p for p in e.processes if p.first_seq >= seq)
        if (
            told is None
            or after.only != "missing"
            or any(before[-1].seq < at <= after.first_seq for at in e.older_manifests)
        ):
            continue
        for export in after.exports:
            entry = next((x for x in told["exports"] if x["key"] == export.key), None)
            if entry is None or entry["path"] != export.path or entry["sha256"] in e.removed:
                continue
            posted = any(x.process == after.n and x.kind == "POST" and x.key == export.key for x in e.calls)
            if files.get(export.path) == entry["sha256"] and posted:
                yield f"{export.path} lay there and in the manifest, and process {after.n} created it anew"


@rule
def verified_files_are_kept(e: Evidence) -> Iterator[str]:
    """What was verified is not fetched again: whatever a death left, it lies at one of two names."""
    if e.removed or e.forgotten or any(p.disk_trouble for p in e.processes):
        return
    homes = Counter(key for keys in e.paths.values() for key in keys)
    for c in e.commits:
        if isinstance(c.event, Torn) and homes[c.event.key] == 1:
            yield f"{c.event.key} was verified and thrown away at {c.at:.1f}"


@rule
def one_owner_a_path(e: Evidence) -> Iterator[str]:
    """No two stored exports claim the same file."""
    for census in e.census:
        if not census.trusted or e.processes[census.process].how != "ended":
            continue
        owners: dict[str, str] = {}
        for record in census.records.values():
            for file in record.stored or ():
                if file.path in owners:
                    yield f"after process {census.process} {file.path} belongs to {owners[file.path]} and {record.key}"
                owners[file.path] = record.key


@rule
def manifest_is_current(e: Evidence) -> Iterator[str]:
    """When a run has ended in its own words the manifest tells exactly what is stored, and what it tells lies there."""
    manifests = dict(e.manifest_at_ends)
    for census in e.census:
        p = e.processes[census.process]
        if p.how != "ended" or p.report is None or p.disk_trouble or p.report["outcome"] == "bug":
            continue
        told = {(x["key"], x["path"], x["sha256"]) for x in (manifests[p.n] or {"exports": ()})["exports"]}
        known = {(r.key, f.path, f.sha256) for r in census.records.values() for f in r.stored or ()}
        for key, path, _ in told ^ known:
            yield f"after process {p.n} manifest and journal differ about {key} at {path}"


@rule
def nothing_is_left_behind(e: Evidence) -> Iterator[str]:
    """A run that ends in its own words leaves no temporary file but those that are verified and still to be placed."""
    for census in e.census:
        p = e.processes[census.process]
        if p.how != "ended" or p.disk_trouble:
            continue
        parts = [part for record in census.records.values() for part in record.parts]
        for temp in sorted(census.temps - {part.file.temp for part in parts if part.file and part.file.temp}):
            yield f"process {p.n} has left {temp}"


@rule
def reports_tell_the_truth(e: Evidence) -> Iterator[str]:
    """What a run reports as stored, or as needing nothing, lies there with that hash when it ends."""
    for census in e.census:
        p = e.processes[census.process]
        if p.how != "ended" or p.report is None or not census.trusted:
            continue
        for x in p.report["exports"]:
            if x["state"] not in ("stored", "skipped"):
                continue
            if census.files.get(x["path"]) != x["sha256"]:
                yield f"process {p.n} reports {x['path']} as {x['state']}, and another file or none lies there"
        counted = sum(
            part.duplicates + (part.state is State.CREATING) for r in census.records.values() for part in r.parts
        )
        if p.report["api"]["possible_duplicates"] != counted:
            yield f"process {p.n} reports {p.report['api']['possible_duplicates']} possible duplicates, the journal has {counted}"
        mine = [x for x in e.calls if x.process == p.n]
        for kind, told in (("POST", p.report["api"]["posts"]), ("GET", p.report["api"]["polls"])):
            if told != (sent := sum(x.sent for x in mine if x.kind == kind)):
                yield f"process {p.n} reports {told} {kind}s, and {sent} went out"


@rule
def outcomes_have_a_cause(e: Evidence) -> Iterator[str]:
    """A run says why it ended, and it was so."""
    for p in e.processes:
        if p.how == "refused to start" and not p.disk_trouble:
            yield f"process {p.n} refused to start: {p.error!r}"
        if p.how != "ended" or p.report is None:
            continue
        outcome = p.report["outcome"]
        states = Counter(x["state"] for x in p.report["exports"])
        good = {
            "succeeded": not states["failed"] and not states["pending"],
            "failed": bool(states["failed"]) and not states["pending"],
            "parked": p.parked_by is not None or _long_pause(e, p),
            "refused": p.refusals > 0 or _strangers(e, p) or _unwelcome(e, p),
            "storage": p.disk_trouble,
            "unreachable": p.api_trouble
            or p.files_trouble
            or any(d.outcome == "broken" for d in e.downloads if d.process == p.n),
        }[outcome]
        if not good:
            yield f"process {p.n} ended as {outcome} ({dict(states)}; {p.report['reason']})"


def _long_pause(e: Evidence, p: Process) -> bool:
    """The service asked this run, or one before it, for a long silence."""
    longest = e.policy.limits.longest_pause
    return any(g.host == "api" and g.process <= p.n and g.until - g.at > longest for g in e.gates)


def _unwelcome(e: Evidence, p: Process) -> bool:
    """A 403 came before any request was accepted, as far as the run and the journal remember."""
    known = max((seq for seq, _ in e.forgotten), default=0)
    if any(isinstance(c.event, (Created, Adopted)) and c.seq > known and c.process < p.n for c in e.commits):
        return False
    mine = sorted((x for x in e.calls if x.process == p.n and x.answered_seq), key=lambda x: x.answered_seq or 0)
    first = next((x for x in mine if isinstance(x.answer, (Accepted, Status, Denied))), None)
    return first is not None and isinstance(first.answer, Denied)


def _strangers(e: Evidence, p: Process) -> bool:
    """All that earlier runs had created was unknown."""
    return sum(isinstance(x.answer, NotFound) for x in e.calls if x.process == p.n) >= 3


# --------------------------------------------------------------------------------------------------- creations, counted


@rule
def intent_before_post(e: Evidence) -> Iterator[str]:
    """No POST without an intent of its own, durable before it is sent: a crash in between must be seen later."""
    intents: Counter[str] = Counter()
    for _, thing in _in_order(e):
        if isinstance(thing, Commit) and isinstance(thing.event, Intended):
            intents[thing.event.key] += 1
        elif isinstance(thing, Call) and thing.kind == "POST":
            assert thing.key is not None
            intents[thing.key] -= 1
            if intents[thing.key] < 0:
                yield f"a POST for {thing.key} at {thing.at:.1f} without an intent"
                intents[thing.key] = 0


@rule
def creations_are_accounted_for(e: Evidence) -> Iterator[str]:
    """Exports created on the service ≤ 1 + what the journal accounts for, export by export."""
    final = e.census[-1].records
    for key in {made.key for made in e.reports.values()}:
        made = [m for m in e.reports.values() if m.key == key]
        mine = [c for c in e.commits if c.event.key == key]
        ids = {c.event.report_id for c in mine if isinstance(c.event, Created)}
        record = final.get(key)
        duplicates = sum(p.duplicates + (p.state is State.CREATING) for p in record.parts) if record else 0
        if e.forgotten:  # what an older journal had counted is counted still
            duplicates = max(duplicates, sum(isinstance(c.event, Unanswered) for c in mine)) + _forgotten(e, key)
        unknown = sum(m.id not in ids for m in made)
        if unknown > duplicates:
            yield f"{key}: {unknown} exports exist that nobody knows of, {duplicates} are told as possible duplicates"
        paid = sum(isinstance(c.event, (Lost, Revived)) for c in mine)
        if len(ids) > 1 + paid + duplicates + _forgotten(e, key):
            yield f"{key}: {len(ids)} reports, of which {paid} were lost or wanted anew"


def _forgotten(e: Evidence, key: str) -> int:
    """Creations and intents of this export that were made before a memory was lost."""
    if not e.forgotten:
        return 0
    last = e.forgotten[-1][0]
    return sum(isinstance(c.event, Intended) and c.event.key == key and c.seq < last for c in e.commits)


@rule
def no_creation_beside_a_living_one(e: Evidence) -> Iterator[str]:
    """Nothing is created anew while a report of it is known that may still complete."""
    for call in e.calls:
        if call.kind == "POST" and call.live:
            yield f"a POST for {call.key} at {call.at:.1f} although {', '.join(call.live)} may still complete"


@rule
def creations_only_for_the_job(e: Evidence) -> Iterator[str]:
    """What the job does not name is never created."""
    for call in e.calls:
        if call.kind == "POST" and call.key not in e.processes[call.process].named:
            yield f"a POST for {call.key}, which the job does not name"


@rule
def duplicates_are_not_over_reported(e: Evidence) -> Iterator[str]:
    """A possible duplicate is told only where an answer was lost, or a process ended between the intent and the id."""
    intended: dict[str, Commit] = {}
    posts: dict[str, Call] = {}
    for _, thing in _in_order(e):
        if isinstance(thing, Call):
            if thing.kind == "POST" and thing.key is not None:
                posts[thing.key] = thing
            continue
        event = thing.event
        if isinstance(event, Intended):
            intended[event.key] = thing
        elif isinstance(event, Unanswered):
            intent, post = intended[event.key], posts.get(event.key)
            in_this_run = intent.process == thing.process
            if in_this_run and (post is None or post.seq < intent.seq or not post.ambiguous):
                yield f"{event.key} at {thing.at:.1f}: told as a possible duplicate, and its answer was {post and post.answer}"
        elif isinstance(event, Refused):
            post = posts.get(event.key)
            if (
                post is not None
                and post.seq > intended[event.key].seq
                and (post.ambiguous or isinstance(post.answer, Accepted))
            ):
                yield f"{event.key} at {thing.at:.1f}: told as not created, and the answer was {post.answer}"


@rule
def without_faults_one_post(e: Evidence) -> Iterator[str]:
    """Where nothing goes wrong, each export is created exactly once, and a run that finds everything stored asks nothing."""
    if e.faultless:
        posts = Counter(call.key for call in e.calls if call.kind == "POST")
        for export in e.processes[0].exports:
            if posts[export.key] != 1:
                yield f"{export.key}: {posts[export.key]} POSTs without a fault"
    for p in e.processes:
        if p.starts_clean and any(call.process == p.n for call in e.calls):
            yield f"process {p.n} had nothing to do and asked all the same"


@rule
def what_is_stored_is_not_created_again(e: Evidence) -> Iterator[str]:
    """A file that lies where it was stored, or where a run that died was bringing it, is not asked for once more."""
    posted = {(call.process, call.key) for call in e.calls if call.kind == "POST"}
    later = {p.n: p for p in e.processes}
    for before in e.census:
        p = later.get(before.process + 1)
        if p is None or p.only != "missing" or p.era != later[before.process].era or not before.trusted:
            continue
        for key in (p.named & before.records.keys()) - before.unlooked:
            part = before.records[key].parts[0]
            if part.state is not State.STORED or part.stored is None or part.stored.sha256 in e.removed:
                continue
            homes = {part.stored.path, *(path for path, keys in e.paths.items() if key in keys)}
            homes |= {path for path in before.files if path.endswith(".moving") and path.rsplit(".", 2)[0] in homes}
            if (p.n, key) in posted and part.stored.sha256 in {before.files.get(home) for home in homes}:
                yield f"{key} was stored, its file lay there, and process {p.n} created it anew"


@rule
def ids_are_kept(e: Evidence) -> Iterator[str]:
    """The id of a created export is durable right after it was heard."""
    created = {(c.event.key, c.event.report_id): c for c in e.commits if isinstance(c.event, Created)}
    for call in e.calls:
        if call.kind != "POST" or not isinstance(call.answer, Accepted) or call.answered_at is None:
            continue
        p = e.processes[call.process]
        kept = created.get((str(call.key), call.answer.report_id))
        if kept is None and (p.how == "ended" or p.ended_at - call.answered_at > SOON) and not p.disk_trouble:
            yield f"{call.answer.report_id} of {call.key} was heard of and not journalled"
        if kept is not None and kept.at - call.answered_at > SOON:
            yield f"{call.answer.report_id} was journalled {kept.at - call.answered_at:.1f} s after it was heard of"


# ----------------------------------------------------------------------------------------- what is believed of reports


@rule
def losses_are_proven(e: Evidence) -> Iterator[str]:
    """A report is given up only on answers that prove it: see "PendingOrExpired" in `engine/step.py`."""
    for c in e.commits:
        if not isinstance(c.event, Lost):
            continue
        report_id, cause = c.event.report_id, c.event.cause
        heard = [
            x for x in e.calls if x.report_id == report_id and x.answered_seq is not None and x.answered_seq < c.seq
        ]
        if not heard:
            yield f"{report_id} was lost ({cause}) unasked"
            continue
        if not any(_proves(e, c, word, heard) for word in _last_words(heard, c)):
            yield f"{report_id} was lost as {cause} at {c.at:.1f} without proof; last heard: {heard[-1].answer}"


def _proves(e: Evidence, c: Commit, word: Call, heard: list[Call]) -> bool:
    """Whether the loss `c` is proven by this answer, with those before it."""
    assert isinstance(c.event, Lost), "only losses need a proof"
    every, stuck_after = e.policy.polling.every, e.policy.retry.stuck_after
    report_id, cause = c.event.report_id, c.event.cause
    remembered = [x for x in heard if x.process == c.process or _gone(x) or _could_be_kept(e, x, c)]
    jumped = len({p.offset for p in e.processes[: c.process + 1]}) > 1
    # `made` may be much older than its process: what matters is the age by the truth, unless clocks disagreed. It is counted
    # from the intent, not from the arrival.
    begun = next(x.at for x in e.calls if x.made == report_id)
    old = jumped or (word.answered_at or 0.0) - begun > stuck_after - 5
    status = word.answer.status if isinstance(word.answer, Status) else None
    if cause is Cause.FAILED:
        return status == "Failed"
    if cause is Cause.EXPIRED:
        alive = any(
            isinstance(x.event, (Alive, Ready)) and x.event.report_id == report_id and x.seq < c.seq for x in e.commits
        )
        gone_twice = _twice(remembered, _gone, every, jumped=jumped)
        # An older journal may not know that it was alive.
        proven = gone_twice or (old and bool(e.forgotten)) if alive else old
        return status == "Expired" or (status == "PendingOrExpired" and proven)
    if cause is Cause.MISSING:
        return isinstance(word.answer, NotFound) and _twice(remembered, _gone, every, jumped=jumped)
    if cause is Cause.STUCK:
        return old and status not in (None, "PendingOrExpired", "Failed", "Expired")
    corrupt = [d for d in e.downloads if d.report_id == report_id and d.seq < c.seq and d.outcome == "corrupt"]
    return len(corrupt) >= 3


def _last_words(heard: list[Call], loss: Commit) -> list[Call]:
    """The answer to the latest question, and of those to questions that were under way together with it: what was heard before it,
    if it came only when the loss was decided and being written; all of them, if it says nothing that is known of the report.
    """
    last = heard[-1]
    beside = [call for call in heard[:-1] if (call.answered_at or 0.0) >= last.at]
    known = ("Processing", "Completed", "PendingOrExpired", "Failed", "Expired")
    if isinstance(last.answer, NotFound) or (isinstance(last.answer, Status) and last.answer.status in known):
        beside = [x for x in beside if (x.answered_seq or 0) < (last.answered_seq or 0) and _just_heard(x, loss)]
    return [last, *beside]


def _just_heard(call: Call, loss: Commit) -> bool:
    return loss.at - (call.answered_at or 0.0) <= SOON


def _could_be_kept(e: Evidence, call: Call, commit: Commit) -> bool:
    """The run that heard it had a journal to write to, lived long enough, and no older memory has taken the place of its own."""
    p = e.processes[call.process]
    if any((call.answered_seq or 0) < seq < commit.seq for seq, _ in e.forgotten):
        return False
    return not p.disk_trouble and (p.how == "ended" or p.ended_at - (call.answered_at or 0.0) > SOON)


def _gone(call: Call) -> bool:
    return isinstance(call.answer, NotFound) or (
        isinstance(call.answer, Status) and call.answer.status == "PendingOrExpired"
    )


def _twice(heard: list[Call], says_gone: Callable[[Call], bool], every: float, *, jumped: bool) -> bool:
    """The answers end with a series that says so, its last question at least `every` after its first answer; no sign of life in between."""
    series: list[Call] = []
    for call in reversed(heard):
        if says_gone(call):
            series.append(call)
        elif isinstance(call.answer, Status) and call.answer.status in ("Processing", "Completed"):
            break
    return len(series) >= 2 and (jumped or series[0].at - (series[-1].answered_at or 0.0) >= every - EPS)


@rule
def a_finished_report_is_taken(e: Evidence) -> Iterator[str]:
    """No export fails for good while a report of it lies ready, known and seen by a poll: an older one is not abandoned."""
    silence = 3 * e.policy.polling.max + 60
    for c in e.commits:
        if not isinstance(c.event, Failed) or not c.event.code.startswith("export."):
            continue
        p = e.processes[c.process]
        gates = [g for g in e.gates if g.process == p.n]
        for known in e.commits:
            if (
                not isinstance(known.event, Created)
                or known.event.key != c.event.key
                or known.seq > c.seq
                or known.era != c.era
            ):
                continue
            made = e.reports[known.event.report_id]
            lay_ready = max(made.done_at, p.started_at)
            if made.failed or made.corrupt or c.at > made.gone_at or c.at - lay_ready < silence:
                continue
            if any(g.until > lay_ready for g in gates) or p.api_trouble:
                continue
            if any(
                isinstance(x.event, Lost) and x.event.report_id == made.id and x.event.cause is not Cause.STUCK
                for x in e.commits
            ):
                continue
            if any(
                isinstance(x.event, Stored) and x.event.key == c.event.key and known.seq < x.seq < c.seq
                for x in e.commits
            ):
                continue  # wanted anew: what was fetched once has had its day
            yield f"{c.event.key} failed ({c.event.code}) while {made.id} had lain ready for {c.at - lay_ready:.0f} s"


@rule
def older_reports_are_followed(e: Evidence) -> Iterator[str]:
    """A report that is taken for stuck is still asked about now and then: whichever completes first wins."""
    silence = 2 * e.policy.polling.max + 60
    for c in e.commits:
        if not isinstance(c.event, Lost) or c.event.cause is not Cause.STUCK:
            continue
        p, report_id = e.processes[c.process], c.event.report_id
        if p.api_trouble or c.event.key not in p.named or any(g.until > c.at for g in e.gates if g.process <= p.n):
            continue
        ends = [
            x.at
            for x in e.commits
            if x.seq > c.seq and x.event.key == c.event.key and isinstance(x.event, (Ready, Failed))
        ]
        until = min([p.ended_at, *ends])
        asked = any(x.report_id == report_id and x.seq > c.seq and x.process == p.n for x in e.calls)
        if until - c.at > silence and not asked:
            yield f"{report_id} was taken for stuck at {c.at:.0f} and not asked about until {until:.0f}"


@rule
def what_is_ready_is_fetched_from_a_known_report(e: Evidence) -> Iterator[str]:
    """Ready and stored only follow from an answer that said Completed."""
    for c in e.commits:
        if isinstance(c.event, Ready):
            report_id = c.event.report_id
            if not any(
                x.report_id == report_id and x.answered_seq is not None and x.answered_seq < c.seq
                and isinstance(x.answer, Status) and x.answer.status == "Completed" and x.answer.url is not None
                for x in e.calls
            ):  # fmt: skip
                yield f"{report_id} is called ready, and no answer said so"


@rule
def downloads_are_paid_once(e: Evidence) -> Iterator[str]:
    """What came whole is not fetched again within a run, but for a file that the disk lost or the job wants anew."""
    whole: Counter[tuple[int, str]] = Counter()
    for d in e.downloads:
        p = e.processes[d.process]
        if d.outcome == "whole" and not p.disk_trouble:
            whole[p.n, d.report_id] += 1
            if whole[p.n, d.report_id] > 1:
                yield f"{d.report_id} was fetched whole twice by process {p.n}"


# ------------------------------------------------------------------------------------------------------------- manners


@rule
def silence_is_kept(e: Evidence) -> Iterator[str]:
    """No request before a `Retry-After` has passed, by this run or a later one."""
    lost = [seq for seq, _ in e.forgotten]
    for gate in e.gates:
        asked = e.calls if gate.host == "api" else e.downloads
        for call in asked:
            if call.seq < gate.seq or call.at >= gate.until - EPS:
                continue
            if call.process != gate.process and (
                not gate.durable
                or any(gate.seq < seq < call.seq for seq in lost)
                or _clock_ran_ahead(e, gate, call.process)
            ):
                continue
            yield f"a request at {call.at:.2f} (process {call.process}) inside the silence from {gate.at:.2f} to {gate.until:.2f} (process {gate.process})"


def _clock_ran_ahead(e: Evidence, gate: Gate, until: int) -> bool:
    """A clock was set forward meanwhile, so that the silence seemed over. One that was set back has a run reckon the whole silence
    by its own clock anew, and whichever is ahead of that one shortens it as well.
    """
    reckoned = [(gate.at, e.processes[gate.process].offset)]
    for p in e.processes[gate.process + 1 : until + 1]:
        if any(p.offset > offset + EPS for _, offset in reckoned):
            return True
        if any(p.started_at + p.offset < at + offset for at, offset in reckoned):
            reckoned.append((p.started_at, p.offset))
    return False


@rule
def unnamed_pauses_are_pauses(e: Evidence) -> Iterator[str]:
    """After a 429 that names no time, nobody asks again at once."""
    for call in e.calls:
        if type(call.answer).__name__ != "Throttled" or call.answered_at is None:
            continue
        for later in e.calls:
            if (
                later.process == call.process
                and later.seq > (call.answered_seq or 0)
                and later.at < call.answered_at + e.policy.retry.base - EPS
            ):
                yield f"a request at {later.at:.2f}, {later.at - call.answered_at:.2f} s after a 429"


@rule
def rate_is_kept(e: Evidence) -> Iterator[str]:
    """Never more requests a second than the limit."""
    rate = e.policy.limits.requests_per_second
    most, span = max(1, math.floor(rate)), max(1.0, 1 / rate)
    for p in e.processes:
        sent = [call.at for call in e.calls if call.process == p.n]
        for n in range(len(sent) - most):
            if sent[n + most] - sent[n] < span - EPS:
                yield f"process {p.n}: {most + 1} requests within {sent[n + most] - sent[n]:.2f} s at {sent[n]:.2f}; allowed are {most} in {span:g} s"
                break


@rule
def unfinished_is_kept(e: Evidence) -> Iterator[str]:
    """Never more unfinished exports than the limit, young ghosts counted."""
    for call in e.calls:
        if call.kind == "POST" and call.claimed > e.policy.limits.unfinished:
            yield f"a POST at {call.at:.1f} makes {call.claimed} unfinished exports; allowed are {e.policy.limits.unfinished}"


@rule
def downloads_at_once_are_kept(e: Evidence) -> Iterator[str]:
    """Never more downloads at once than the limit."""
    for p in e.processes:
        if p.downloads_at_once > e.policy.limits.downloads:
            yield f"process {p.n}: {p.downloads_at_once} downloads at once"


@rule
def nobody_is_pestered(e: Evidence) -> Iterator[str]:
    """A report that is being made is not asked about faster than the policy says: twice within `every` only for a cause.

    The adaptive policy has no such time, but its patience: after some questions each waits for a share of the age, which is
    at least the time since this process asked first, or for `every`.
    """
    every = min(e.policy.polling.first, e.policy.polling.every)
    adaptive = e.policy.polling.policy == "adaptive"
    for p in e.processes:
        if p.api_trouble or any(d.process == p.n and d.outcome != "whole" for d in e.downloads):
            continue  # probes of a host that is down, and looks for fresh URLs, are causes
        calm: dict[str, float] = {}
        asked: dict[str, list[float]] = {}
        for call in e.calls:
            if call.process != p.n or call.kind != "GET" or call.report_id is None:
                continue
            before = calm.pop(call.report_id, None)
            times = asked.setdefault(call.report_id, [])
            if adaptive and before is not None and len(times) > PATIENCE:
                apart = min(patience(times[-1] - times[0], e.policy.polling.every), e.policy.polling.max)
                if call.at - times[-1] < apart - EPS:
                    yield f"{call.report_id} was asked about {len(times) + 1} times, at last {call.at - times[-1]:.2f} s apart"
            times.append(call.at)
            if adaptive:
                before = None
            if before is not None and call.at - before < min(every, e.policy.polling.max) - EPS:
                yield f"{call.report_id} was asked about {call.at - before:.2f} s after it was Processing"
            if isinstance(call.answer, Status) and call.answer.status == "Processing" and call.answered_at is not None:
                calm[call.report_id] = call.answered_at


@rule
def nobody_is_forgotten(e: Evidence) -> Iterator[str]:
    """While a run has nothing else to wait for, each report that may complete is asked about within `max`."""
    longest = e.policy.polling.max
    for p in e.processes:
        if p.how != "ended" or not p.calm or p.offset < max(other.offset for other in e.processes[: p.n + 1]):
            continue  # a clock that went back gives a silence its whole length again
        sent = [p.started_at, *(call.at for call in e.calls if call.process == p.n), p.ended_at]
        gates = [g for g in e.gates if g.process <= p.n]
        for before, after in itertools.pairwise(sent):
            quiet = max(
                before, *(min(g.until + (g.until - g.at) * 0.1 + 1, after) for g in gates if g.until > before), 0.0
            )
            slow = any(d.process == p.n and d.at < after for d in e.downloads)
            waited_for = _generating(e, p, quiet)
            if (
                after - quiet > longest + 35
                and not slow
                and p.report
                and p.report["outcome"] == "succeeded"
                and (waited_for or after == p.ended_at)
            ):
                yield f"process {p.n} asked nothing from {before:.0f} to {after:.0f} about {waited_for}"


def _generating(e: Evidence, p: Process, at: float) -> set[str]:
    """Reports of the job that were known and not yet ready or lost at that time."""
    found: set[str] = set()
    for c in e.commits:
        if c.at > at or c.process > p.n or c.event.key not in p.named:
            continue
        if isinstance(c.event, Created):
            found.add(c.event.report_id)
        elif isinstance(c.event, (Ready, Lost)):
            found.discard(c.event.report_id)
        elif isinstance(c.event, (Failed, Stored, Adopted, Revived)):
            found -= {r for r in found if e.reports[r].key == c.event.key}
    return found


@rule
def secrets_stay_secret(e: Evidence) -> Iterator[str]:
    """Neither the token nor a signature is in the journal, the manifest, a report, an error or anything that people are shown,
    in whatever disguise.
    """
    shown = "\n".join([*e.texts, *(repr(p.error) for p in e.processes if p.error is not None)]).encode()
    for secret, _, form in hunt({"": shown}, SECRETS):
        at = shown.index(form.encode())
        yield f"{secret} as {form} in …{shown[max(0, at - 60) : at + 20].decode(errors='replace')}…"


@rule
def secrets_stay_at_their_hosts(e: Evidence) -> Iterator[str]:
    """The token reaches only the API's host, a signature only file hosts, and nobody else hears anything."""
    token, signature = (secret.encode() for secret in SECRETS)
    for host, heard in e.heard.items():
        if (signature if host == "api" else token) in heard:
            yield f"the {'signature of a file' if host == 'api' else 'token'} was sent to the {host} host"
    for address in e.strayed:
        yield f"somebody knocked at {address}"


@rule
def journal_tells_a_story(e: Evidence) -> Iterator[str]:
    """Adopted, stored and superseded fit together: nothing is superseded by what was never stored."""
    stored: set[str] = set()
    for c in e.commits:
        if isinstance(c.event, (Stored, Adopted)):
            stored.add(c.event.key)
    for c in e.commits:
        if isinstance(c.event, Superseded) and c.event.by and c.event.by not in stored and not e.forgotten:
            yield f"{c.event.key} was superseded by {c.event.by}, which was never stored"


def _in_order(e: Evidence) -> list[tuple[int, Any]]:
    return sorted([*((c.seq, c) for c in e.commits), *((c.seq, c) for c in e.calls)], key=lambda pair: pair[0])


def summary(violations: list[Violation]) -> str:
    return json.dumps(sorted({v.rule for v in violations}))
