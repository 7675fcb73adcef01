"""Planted bugs: the proof that the oracle sees.

Each mutant is a small change of the real code's text, compiled and put in the place of a function's code for as long as
its seeds run. A text that is not found any more is an error: the code has moved on, and the mutant must follow.
"""

from __future__ import annotations
import __future__

import functools
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from far import FarWorld
from oracle import judge
from story import play
from world import World


@dataclass(frozen=True)
class Mutant:
    name: str
    where: str
    """`module:function` or `module:Class.method`, below `orchestrator.`"""
    old: str
    new: str
    worlds: Callable[[int], World] = World
    """Where it shows."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        function = self._function()
        original = function.__code__
        function.__code__ = self.code()
        try:
            yield
        finally:
            function.__code__ = original

    def code(self) -> CodeType:
        """Raises `LookupError` if the text to be changed is not there exactly once."""
        return _changed(self)

    def make(self) -> CodeType:
        function = self._function()
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(self.old) != 1:
            raise LookupError(f"mutant “{self.name}”: its text is {source.count(self.old)} times in {self.where}")
        changed = source.replace(self.old, self.new)
        module = compile(
            changed, f"<mutant {self.name}>", "exec", __future__.annotations.compiler_flag, dont_inherit=True
        )
        return next(_functions(module, function.__name__))

    def _function(self) -> FunctionType:
        module, _, path = self.where.partition(":")
        found: Any = importlib.import_module(f"orchestrator.{module}")
        for name in path.split("."):
            found = inspect.getattr_static(found, name)
        while hasattr(found, "__wrapped__"):
            found = found.__wrapped__
        if isinstance(found, property):
            found = found.fget
        assert isinstance(found, FunctionType), self.where
        return found


@functools.cache
def _changed(mutant: Mutant) -> CodeType:
    """Made once: the text of the modules is read when it is still the text of the code that runs."""
    return mutant.make()


def _functions(code: CodeType, name: str) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                yield constant
            yield from _functions(constant, name)


MUTANTS = (
    # the journal and the POST
    Mutant("no intent before the POST", "engine.runner:Runner._carry_out",
           "await self._absorb(ref, Posting())", "pass"),
    Mutant("a POST is repeated inside the attempt", "engine.attempts:Attempts.create",
           "answer = await self._api.create(record.parts[ref[1]].request, record.impersonate)",
           "for _ in (1, 2):\n                answer = await self._api.create(record.parts[ref[1]].request, record.impersonate)\n"
           "                if not isinstance(answer, Broken): break"),
    Mutant("a lost answer is told as a refusal", "engine.step:_Stepper._posted",
           "self._unanswered(detail)", "self._refuse(detail)"),
    Mutant("a refused connection is told as a lost answer", "engine.step:_Stepper._posted",
           "if sent:", "if True:"),
    Mutant("an open intent is forgotten on resume", "engine.step:_Stepper._resumed",
           'self._unanswered("the run ended before the answer was kept")', 'self._refuse("")'),
    Mutant("duplicates are not counted", "engine.states:_unanswered",
           "duplicates=part.duplicates + 1", "duplicates=part.duplicates"),
    Mutant("ghosts hold no place", "engine.states:_unanswered",
           "ghosts=(*part.ghosts, ghost)", "ghosts=part.ghosts"),
    Mutant("the id is journalled late", "engine.runner:Runner._absorb",
           "if events:\n        await self._write(events, ",
           "if events:\n        await anyio.sleep(2.0 if events[0].kind == 'created' else 0)\n        await self._write(events, "),
    Mutant("any 5xx counts as not created", "api.wire:_refusal",
           'status == 503 and header(headers, "retry-after") is not None', "status >= 500"),
    Mutant("a living report is not waited for", "engine.states:_resting",
           "return State.GENERATING if part.live else State.WAITING", "return State.WAITING"),
    # silence, rate, limits
    Mutant("the gate is kept in memory only", "journal.account:JournalAccount.pause",
           "await self._keeper.remember(", "(lambda *_: None)("),
    Mutant("an earlier run's gate is not read", "journal.account:JournalAccount._left_by_another",
           "if pause is None:", "if True:"),
    Mutant("Retry-After is shortened by a tenth", "engine.attempts:Attempts._pause",
           "until = now + wait + self._random.random()", "until = now + wait * 0.9 + self._random.random()"),
    Mutant("Retry-After on 503 is not heard", "engine.attempts:Attempts._judge",
           "await self._pause(wait, detail, now)\n            if unavailable:", "await self._pause(None if unavailable else wait, detail, now)\n            if unavailable:"),
    Mutant("a 429 without time is no pause", "engine.attempts:Attempts._pause",
           "wait = min(self._policy.retry.max, self._policy.retry.base * 2.0 ** min(self._unnamed_pauses, 64))", "return"),
    Mutant("a POST goes out through a gate that has just closed", "engine.attempts:Attempts.create",
           "self._spending.rate.closed_until > now", "False"),
    Mutant("the file host's Retry-After is ignored", "engine.gated:GatedFiles.open",
           'self._spending.close("files", now + broken.wait, now)', "pass"),
    Mutant("a download goes out through a gate that has just closed", "engine.gated:GatedFiles.open",
           "self._spending.files_closed_until > self._clock.now()", "False"),
    Mutant("the window of the rate is one too wide", "engine.rate:Rate.next_at",
           "room = most - self._reserved", "room = most + 1 - self._reserved"),
    Mutant("the pace is not kept", "engine.rate:Rate.next_at",
           "return max(self._paced, window, self.closed_until)", "return max(0.0, self.closed_until)"),
    Mutant("one unfinished export too many", "engine.spending:Spending._create_at",
           "if free > 0 or", "if free > -1 or"),
    Mutant("creations under way hold no place", "engine.spending:_held",
           "return generating + (part.state is State.CREATING)", "return generating"),
    Mutant("one download too many", "engine.spending:Spending._fetch_at",
           "self.downloading >= self.places.most", "self.downloading > self.places.most"),
    # what is believed
    Mutant("404 counts at once", "engine.step:_Stepper._asked",
           'self._doubt(report, "404", Cause.MISSING)', "self._lose(report, Cause.MISSING)"),
    Mutant("PendingOrExpired counts at once", "engine.step:_Stepper._pending",
           "self._doubt(report, status, Cause.EXPIRED)", "self._lose(report, Cause.EXPIRED)"),
    Mutant("pending for ever", "engine.step:_Stepper._pending",
           "elif self._age(report) > self.policy.retry.stuck_after:", "elif False:"),
    Mutant("expired by age alone", "engine.step:_Stepper._pending",
           "self._age(report) > self.policy.retry.stuck_after", "self._age(report) > 30"),
    Mutant("the second read needs no distance", "engine.step:_Stepper._doubt",
           "elif self.read_at - report.doubted_at >= every:", "elif True:"),
    Mutant("the adaptive policy forgets who still runs", "engine.asking:Asking.due",
           "last = max(watched.low, watched.last + _INSTANT) if self._overlap else watched.low", "last = 0.0"),
    Mutant("the adaptive policy has no patience", "engine.asking:Asking.due",
           "watched.asked >= PATIENCE", "False"),
    Mutant("an answer that comes too late is believed", "engine.overlap:Overlap.is_news",
           "if part.state is State.GENERATING else None", "", FarWorld),
    Mutant("an answer that was overtaken is believed", "engine.overlap:Overlap.is_news",
           "< heard.get(report.id, 0.0)", "< 0.0", FarWorld),
    Mutant("a poll after a doubt waits for no answer", "engine.runner:Runner._is_held_up",
           "not self._may_overlap(poll) or ", "", FarWorld),
    Mutant("answers do not wait for each other", "engine.overlap:Overlap.turn",
           "async with asking.turn:", "if True:", FarWorld),
    Mutant("nobody is asked again who was held up", "engine.runner:Runner._hear",
           "self._put_again(ref, self._clock.now())", "pass", FarWorld),
    Mutant("a sign of life does not end a doubt", "engine.states:_alive",
           "alive=True, doubted_at=None", "alive=True"),
    Mutant("being alive is not kept", "engine.states:_alive",
           "alive=True, doubted_at=None", "doubted_at=None"),
    Mutant("stuck reports are waited for for ever", "engine.step:_Stepper._give_up_if_stuck",
           "self._age(report) > self.policy.retry.stuck_after", "False"),
    Mutant("given up as stuck too early", "engine.step:_Stepper._give_up_if_stuck",
           "> self.policy.retry.stuck_after", "> self.policy.retry.stuck_after / 3"),
    Mutant("a stuck report is abandoned", "engine.step:_polls",
           "r.cause in _FOLLOWED", "r.cause is None"),
    Mutant("Completed without a URL is a failure", "engine.step:_Stepper._asked",
           'self._give_up_if_stuck(report)\n        case Status("PendingOrExpired"', 'self._lose(report, Cause.FAILED)\n        case Status("PendingOrExpired"'),
    Mutant("an unknown status is a failure", "engine.step:_Stepper._asked",
           "self.live = replace(self.live, unknown_status=status)", "self._lose(report, Cause.FAILED); return"),
    Mutant("losses cost nothing", "engine.states:_lost",
           "spent=part.spent + 1", "spent=part.spent"),
    Mutant("one loss fails an export", "engine.step:_Stepper._lose",
           "self.part.spent > self.policy.retry.exports", "True"),
    Mutant("an outage uses up tries", "engine.health:Health.others_are_well",
           "return streak.began < self.good and self.youngest < self.good", "return True"),
    # files
    Mutant("blind resume", "engine.transfer:Transfers._receive",
           "body.offset != offset or offset == 0", "offset == 0"),
    Mutant("a resumed file keeps its old hash", "engine.transfer:Transfers._receive",
           "await partial.writer.restart()", "pass"),
    Mutant("the content is not checked", "content.checker:Checker.finish",
           "self._rows.finish() if self._rows else None", "0"),
    Mutant("no fsync of the file", "storage.local:_make_durable",
           "folders.sync_file(fd)", "pass"),
    Mutant("no fsync of the target folder", "storage.folders:place",
           "sync_folder(parent)", "pass"),
    Mutant("no fsync of a new folder", "storage.folders:_step",
           "os.mkdir(name, mode, dir_fd=fd)\n    sync_folder(fd)", "os.mkdir(name, mode, dir_fd=fd)"),
    Mutant("stored before the rename", "engine.attempts:Attempts.place",
           "await self._storage.place(file.temp, file.path)", "pass"),
    Mutant("a file found at its place is not made durable", "cli.session:Session._recall",
           "await storage.secure(stored.path)", "pass"),
    Mutant("the last bytes stay in memory", "storage.local:LocalWriter.finish",
           "self._taken()", "[]"),
    Mutant("verified files are swept", "cli.session:Session._recall",
           "await storage.sweep(_verified(snapshot.records))", "await storage.sweep(frozenset())"),
    Mutant("the manifest is not written at the end", "engine.runner:Runner._wind_up",
           "(self._attempts.close, self._keeping.write, self._learning.keep)", "(self._attempts.close, self._learning.keep)"),
    # the plan
    Mutant("superseded is lost", "engine.runner:Runner._absorb",
           "and key in self._supersedes", "and False"),
    Mutant("nothing is adopted", "engine.memory:_Settler.settle",
           "self._adopt(entry)", "pass"),
    Mutant("disputed files are believed by their size", "engine.memory:_Settler._there",
           "if path in self._hashes:", "if False:"),
    Mutant("a path keeps two owners", "engine.memory:_Settler.settle",
           "frozenset(self._evict())", "frozenset()"),
    Mutant("what a dead run has renamed is not found again", "engine.memory:_Settler._find",
           "places += sorted(elsewhere, key=lambda path: (path, file.sha256) in self._at_home)", "pass"),
    Mutant("a move is not announced", "engine.moves:Mover.move",
           "[Moving(item.key, now, path=item.path) for item in items]", "[]"),
    Mutant("a file that is gone counts as stored", "engine.plan:_Planner._stored",
           "if size is None and not self.options.keep_missing:", "if False:"),
    Mutant("a move is not journalled", "engine.moves:Mover._moved",
           "[Moved(item.key, now, path=target)]", "[]"),
    Mutant("left over reports are created anew", "engine.runner:Runner._enter",
           "Live(may_create=may_create, named=named)", "Live()"),
    Mutant("failed exports are not tried again", "engine.plan:_Planner._failed",
           'failure.code == "request.invalid"', "True"),
    # secrets and words
    Mutant("the token is not blanked out", "api.wire:_refusal",
           "words = said(body, secret)", 'words = said(body, "")'),
    Mutant("a renewed token is not used", "engine.identity:Identity.concerns_all",
           "if await self._api.renew_credentials():", "if False:"),
)  # fmt: skip


def hunt(mutant: Mutant, seeds: int) -> tuple[int, str] | None:
    """The first seed that catches the mutant, and by which rule; None if it outlives all `seeds`."""
    with mutant.planted():
        for seed in range(seeds):
            violations = judge(play(seed, mutant.worlds).evidence)
            if violations:
                return seed, str(violations[0])
    return None
