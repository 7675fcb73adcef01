"""The one loop: choose, journal the intent, start the attempt, journal the fact, step.

    choose(wants, budgets, now) ──▶ a task for the attempt ──▶ its fact ──▶ step(record, fact) ──▶ events
          ▲                                                                                          │
          └── wants ◀── record ◀── durable in the journal ◀────────────────────────────────────────────┘

At most one attempt of a part is under way at a time, so a part's facts come one after the other; but for polls that
overlap (`overlap`), whose answers wait for each other. What an attempt finds out is journalled before anything is built upon
it; only a place that has become free at the service is used at once, for the intent of whoever gets it is journalled after that fact.
Nothing sleeps but the loop itself.

Parking (a signal, the deadline, a refusal, a full disk): nothing new is started; polls and downloads are let go
of at once, for the service still has what they were after; POSTs are waited for, for their answers exist only once. Before
the deadline, which is known beforehand, nothing is created any more that would not be ready in time, and downloads under
way then may end.

A run can be had in two halves: `submit` creates what is missing and waits for nothing but places to create more; `collect`
creates nothing and brings home what was created.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import anyio
import anyio.abc

from orchestrator.engine import result
from orchestrator.engine.attempts import POST_GRACE, Attempts
from orchestrator.engine.beginning import beginnings, is_begun, relabelled
from orchestrator.engine.choose import Budgets, Go, Ref, Wants, choose
from orchestrator.engine.events import (
    NOT_CREATED,
    ExportChanged,
    Paused,
    RunEnded,
    RunStarted,
    Standing,
    Troubled,
)
from orchestrator.engine.history import History
from orchestrator.engine.keeping import Keeping
from orchestrator.engine.learning import Learning
from orchestrator.engine.manifest import utc
from orchestrator.engine.moves import Mover
from orchestrator.engine.outlook import Outlook
from orchestrator.engine.overlap import LATE, Overlap
from orchestrator.engine.plan import Action, Item
from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import (
    Account,
    Clock,
    Contents,
    ExportApi,
    Files,
    Journal,
    Observer,
    Shared,
    Status,
    Storage,
)
from orchestrator.engine.spending import Host, Spending
from orchestrator.engine.states import (
    Event,
    Failed,
    Record,
    State,
    Stored,
    Superseded,
    apply,
)
from orchestrator.engine.step import (
    Asked,
    Create,
    Fact,
    Fetch,
    Live,
    Place,
    Poll,
    Posting,
    Resumed,
    Want,
    follows,
    step,
    wants,
)
from orchestrator.engine.stop import Stop
from orchestrator.engine.trouble import trouble
from orchestrator.errors import OrchestratorError, UnreachableError

BATCH = 1000
"""Events journalled in one go while a plan is entered."""

Command = Literal["run", "submit", "collect"]
"""The whole run, or one of its halves."""

_POLLED = frozenset({State.GENERATING, State.READY})

_SILENT: Mapping[Host, tuple[str, str]] = {
    "api": (
        "host.unreachable",
        (
            "Run the same command again when the service is back; what is stored is not asked for anew. Look at the network, the proxy "
            "and api.base_url."
        ),
    ),
    "files": (
        "file-host.unreachable",
        (
            "Run the same command again when the file host is back; the exports themselves are kept. Look at the network and whether a "
            "proxy alters downloads."
        ),
    ),
}
"""Code and hint for a host that is given up."""
_HOSTS: tuple[tuple[Host, str], ...] = (("api", "the service"), ("files", "the file host"))


class Runner:
    """One run of one plan. `run` is called once; `park` may be called at any time, from any task."""

    def __init__(
        self,
        *,
        api: ExportApi,
        files: Files,
        storage: Storage,
        contents: Contents,
        journal: Journal,
        account: Account,
        clock: Clock,
        observer: Observer,
        policy: Policy,
        random: random.Random,
        shared: Shared | None = None,
        command: Command = "run",
    ) -> None:
        self._api = api
        self._files = files
        self._storage = storage
        self._contents = contents
        self._journal = journal
        self._account = account
        self._clock = clock
        self._observer = self._history = History(observer)
        self._policy = policy
        self._random = random
        self._shared = shared
        self._command: Command = command
        self._records: dict[str, Record] = {}
        self._lives: dict[Ref, Live] = {}
        self._wants = Wants()
        self._open: set[Ref] = set()
        """Parts that still want something or have an attempt under way."""
        self._busy: dict[Ref, anyio.CancelScope | None] = {}
        """Attempts under way, with the scope that lets go of them; None for those that must be waited for."""
        self._fetching: set[Ref] = set()
        """Those of them that are downloads."""
        self._overlap = Overlap()
        """Polls under way that do not hold their part."""
        self._supersedes: dict[str, str] = {}
        self._stored: set[str] = set()
        self._changed = anyio.Event()
        self._stop = Stop(clock, observer, self._wake)

    # ---------------------------------------------------------------------------------------------------- the run

    async def run(
        self,
        *,
        job: str,
        run_id: str,
        items: Sequence[Item],
        records: Mapping[str, Record],
        park_at: float = math.inf,
        post_grace: float = POST_GRACE,
        manifest_stale: bool = False,
    ) -> dict[str, Any]:
        """Executes the plan's `items`, going on from `records`, and gives the run's report (`orchestrator.run/1`).

        `park_at` is when the run parks by itself, seconds since the epoch; `post_grace` for how many seconds a parking run
        waits for the answers of POSTs. `manifest_stale`: the manifest does not tell all of `records`. Raises nothing for what
        the service, the network or the storage do: the report's `outcome` and `error` tell it, and `bug` has an error of ours.
        """
        started_at = self._started_at = self._clock.now()
        self._park_at = park_at
        self._records = dict(records)
        self._keeping = Keeping(self._storage, self._clock, self._stop, job, self._records)
        self._keeping.stale = manifest_stale
        self._spending = Spending(self._policy, self._observer, found=await self._account.found(), shared=self._shared)
        self._attempts = Attempts(
            api=self._api,
            files=self._files,
            storage=self._storage,
            contents=self._contents,
            account=self._account,
            clock=self._clock,
            observer=self._observer,
            policy=self._policy,
            spending=self._spending,
            random=self._random,
            stop=self._stop,
            wake=self._wake,
        )
        self._learning = Learning(self._policy.polling, self._account, self._spending, started_at)
        self._outlook = Outlook(self._learning.asking, self._spending, self._observer)
        todo = [item for item in items if item.has_work]
        limits = self._policy.limits
        actions = [item.action for item in items if item.export is not None]
        skipped, refused = (
            sum(action in (Action.SKIP, Action.WAIT) for action in actions),
            actions.count(Action.REFUSED),
        )
        self._observer.tell(
            RunStarted(
                started_at,
                job,
                run_id,
                sum(item.action is not Action.MOVE and self._brings(records.get(item.key)) for item in todo),
                skipped,
                limits.unfinished,
                limits.downloads,
                refused,
                moves=sum(item.source is not None for item in todo),
                exports=tuple(
                    Standing(
                        item.key,
                        item.coordinates,
                        records.get(item.key),
                        item.has_work and item.action is not Action.MOVE,
                    )
                    for item in items
                    if item.export is not None or item.has_work
                ),
                to_the_end=self._command != "submit",
            )
        )
        try:
            await self._learning.recall()
            await self._relabel(items)
            await self._enter(todo)
            await self._respect_pauses()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keeping.go_on, self._learning.keep)
                with self._stop.taking_blame():
                    await self._loop(tasks)
                await self._drain(tasks, post_grace)
                tasks.cancel_scope.cancel()
        except OrchestratorError as error:
            self._stop.halt(error)
        return await self._wind_up(job, run_id, items, started_at)

    def park(self, reason: str) -> None:
        """Starts nothing new from now on; `reason` is told to people. The first one counts."""
        self._stop.park(reason)

    @property
    def bug(self) -> BaseException | None:
        """An error of this program that the run ran into; the report's outcome is `bug` then."""
        return self._stop.bug

    def _ends(self) -> bool:
        """The run parks, or its time is up: nothing new is begun."""
        if not self._stop.is_asked and self._clock.now() >= self._park_at:
            self._stop.on_time = True
            self._stop.park("the deadline is near")
        return self._stop.is_asked

    async def _respect_pauses(self) -> None:
        """Silence that earlier runs were asked for: kept, told, and if it is still long, a reason to park."""
        now = self._clock.now()
        for host, name in _HOSTS:
            until = await self._account.paused_until(host)
            if not self._open or until <= now:
                continue
            self._spending.close(host, until, now)
            self._observer.tell(Paused(now, until, f"{name} asked an earlier run for it"))
            if until - now > self._policy.limits.longest_pause:
                self._stop.park(f"{name} asked an earlier run for silence until {utc(until)}", until=until)

    # ---------------------------------------------------------------------------------------------------- entering

    async def _relabel(self, items: Sequence[Item]) -> None:
        events = relabelled(items, self._records, self._clock.now())
        if events:
            await self._write(events)
            self._keeping.stale = True

    async def _enter(self, todo: Sequence[Item]) -> None:
        """Moves what is to be moved, and takes up or begins everything else, in the order of the plan."""
        mover = Mover(
            storage=self._storage,
            clock=self._clock,
            records=self._records,
            write=self._write,
            ends=self._ends,
        )
        moved = [item for item in todo if item.source is not None]
        await mover.move(moved)
        if moved:
            self._keeping.stale = True
            await self._keeping.write()
        work = [item for item in todo if item.action is not Action.MOVE]
        work = [item for item in work if self._brings(self._records.get(item.key))]
        await self._begin(work)
        if self._ends():
            return
        keys = {item.key for item in work}
        parts = [(key, part) for key, record in self._records.items() for part in record.parts]
        for key, part in parts:
            if key in keys:
                self._spending.changed(None, part, self._started_at)
            else:
                self._spending.left(part, self._started_at)
        self._attempts.identity.expect(
            report.id for key, part in parts if key in keys and part.state in _POLLED for report in part.live
        )
        self._attempts.identity.trust(
            record.impersonate for record in self._records.values() if any(p.reports or p.stored for p in record.parts)
        )
        for item in work:
            if item.supersedes is not None:
                self._supersedes[item.key] = item.supersedes
            record = self._records[item.key]
            self._history.begins(record, self._clock.now())
            for part in record.parts:
                ref = (item.key, part.index)
                self._open.add(ref)
                named = item.export is not None
                may_create = named and self._command != "collect"
                await self._absorb(ref, Resumed(), Live(may_create=may_create, named=named))

    def _brings(self, record: Record | None) -> bool:
        """Whether the run has work with such an export: `collect` only with what was begun."""
        return self._command != "collect" or (record is not None and is_begun(record))

    async def _begin(self, work: Sequence[Item]) -> None:
        """Journals what is new: exports never seen, labels that changed, finished ones that are wanted again."""
        events: list[Event] = []
        for item in work:
            events.extend(beginnings(item, self._records.get(item.key), self._clock.now()))
            if len(events) >= BATCH:
                await self._write(events)
                events = []
                if self._ends():
                    return
        if events:
            await self._write(events)

    # ---------------------------------------------------------------------------------------------------- the loop

    async def _loop(self, tasks: anyio.abc.TaskGroup) -> None:
        while self._open and not self._ends():
            now = self._clock.now()
            if self._gives_up(now):
                break
            self._replan(now)
            budgets = self._budgets(now)
            self._spending.sign(now)
            if self._is_done(budgets):
                break
            choice = choose(self._wants, budgets, now)
            if isinstance(choice, Go):
                if isinstance(choice.want, (Create, Poll)) and not await self._has_turn(choice.want, now):
                    continue
                if self._is_probe(choice.want) and self._attempts.known is not None:
                    self._start_probe(tasks, *self._attempts.known, now)
                else:
                    self._start(tasks, choice.ref, choice.want, now)
            else:
                ends = (self._spending.gives_up_at(host) for host, _ in _HOSTS)
                sign_at = self._spending.sign_at
                await self._sleep(min(choice.until, self._park_at, *ends, self._too_late_at(now), sign_at) - now)

    async def _has_turn(self, want: Create | Poll, now: float) -> bool:
        """Whether the row of all runs of the account lets a request go now; what it says of a pause is this run's as well."""
        closed_until = self._spending.rate.closed_until
        has_turn = self._spending.has_turn(now, creates=isinstance(want, Create))
        if (until := self._spending.rate.closed_until) > max(now, closed_until):
            await self._attempts.pause_beside_others(until)
        return has_turn

    def _budgets(self, now: float) -> Budgets:
        """What may be spent, and is worth it."""
        budgets = self._spending.budgets(now)
        if now >= self._too_late_at(-math.inf):
            budgets = replace(budgets, create_at=math.inf)
        if self._command == "submit":  # a place that is free needs nobody's end
            budgets = replace(budgets, fetch_at=math.inf, poll_at=math.inf if budgets.create_at <= now else -math.inf)
        return budgets

    def _too_late_at(self, now: float) -> float:
        """From when on nothing is created any more, if that is still to come: what takes as long as exports have lately taken
        would not be ready by the deadline, and might be gone by the next run. At least half of the time is for creations.
        """
        if self._park_at == math.inf or self._command == "submit":
            return math.inf
        at = self._park_at - min(self._learning.asking.shortest_mean(), (self._park_at - self._started_at) / 2)
        return at if at > now else math.inf

    def _is_done(self, budgets: Budgets) -> bool:
        """Whether nothing is left to wait for, although some parts want something still."""
        if (self._command != "submit" and self._park_at == math.inf) or None in self._busy.values():
            return False
        if self._command == "submit" and not self._wants.creations:
            return True
        too_late = budgets.create_at == math.inf and self._park_at < math.inf and not self._busy and not self._overlap
        if too_late and self._wants.creations == len(self._open) and self._clock.now() >= self._too_late_at(-math.inf):
            self._stop.park("the deadline is near: what is left would not be ready in time")
        return self._stop.is_asked

    def _gives_up(self, now: float) -> bool:
        for host, name in _HOSTS:
            if now >= self._spending.gives_up_at(host):
                health = self._spending.health(host)
                seconds = max(1, round(now - (health.bad_since or now)))  # the turn of the loop takes it past the limit
                message = f"{name} has given nobody a usable answer for {seconds} s"
                code, hint = _SILENT[host]
                self._stop.halt(UnreachableError(message, code=code, hint=hint, cause=health.detail or None))
                return True
        return False

    def _start(self, tasks: anyio.abc.TaskGroup, ref: Ref, want: Want, now: float) -> None:
        if isinstance(want, Poll) and self._is_held_up(ref, want, now):
            self._put_again(ref, now)
            return
        self._wants.put(ref, ())
        if isinstance(want, (Create, Poll)):
            self._spending.reserve(now)
            self._spending.took_turn(polled=isinstance(want, Poll))
            self._spending.asking += 1
            self._spending.starting += isinstance(want, Create)
            if isinstance(want, Poll):
                overlaps = self._may_overlap(want)
                self._learning.asking.asks(want.report_id, now)
                if overlaps:
                    scope = self._overlap.begins(ref, now)
                    tasks.start_soon(self._ask, ref, want.report_id, self._records[ref[0]], self._lives[ref], scope)
                    self._put_again(ref, now)
                    return
        elif isinstance(want, Fetch):
            self._spending.downloading += 1
            self._fetching.add(ref)
        self._busy[ref] = None if isinstance(want, Create) else anyio.CancelScope()
        tasks.start_soon(self._attempt, ref, want)

    def _is_probe(self, want: Want) -> bool:
        """The next request would go to a host that answers nobody."""
        return isinstance(want, (Create, Poll)) and self._spending.health("api").down

    def _start_probe(self, tasks: anyio.abc.TaskGroup, report_id: str, ref: Ref, now: float) -> None:
        free = ref in self._open and ref not in self._busy and self._overlap.since(ref) is None
        if free and follows(self._records[ref[0]].parts[ref[1]], self._lives[ref], report_id):
            self._start(tasks, ref, Poll(now, report_id), now)  # what it finds out of the report counts as well
            return
        self._spending.reserve(now)
        self._spending.asking += 1
        tasks.start_soon(self._probe)

    async def _probe(self) -> None:
        try:
            with self._stop.taking_blame():
                await self._attempts.probe()
        finally:
            self._spending.asking -= 1
            self._wake()

    async def _attempt(self, ref: Ref, want: Want) -> None:
        """One attempt from the decision to the durable fact."""
        try:
            with self._stop.taking_blame(), self._busy[ref] or anyio.CancelScope():
                fact = await self._carry_out(ref, want)
                with anyio.CancelScope(shield=True):  # once known, a fact is kept, whatever is let go of meanwhile
                    await self._absorb(ref, fact)
        finally:
            del self._busy[ref]
            if isinstance(want, (Create, Poll)):
                self._spending.asking -= 1
            elif isinstance(want, Fetch):
                self._spending.downloading -= 1
                self._fetching.discard(ref)
            self._wake()

    async def _ask(self, ref: Ref, report_id: str, record: Record, live: Live, scope: anyio.CancelScope) -> None:
        """A poll that does not hold its part until its answer is there."""
        try:
            with self._stop.taking_blame(), scope:
                fact = await self._attempts.poll(report_id, record, live)
                with anyio.CancelScope(shield=True):
                    async with self._overlap.turn(ref, scope):
                        await self._hear(ref, scope, fact)
        finally:
            self._overlap.ends(ref, scope)
            self._spending.asking -= 1
            self._wake()

    async def _hear(self, ref: Ref, scope: anyio.CancelScope, fact: Asked) -> None:
        """What comes too late for its part is dropped."""
        if ref in self._open and self._overlap.is_news(ref, fact, self._records[ref[0]].parts[ref[1]]):
            self._busy[ref] = scope
            self._wants.put(ref, ())
            try:
                await self._absorb(ref, fact)
            finally:
                del self._busy[ref]
        else:
            self._put_again(ref, self._clock.now())

    async def _carry_out(self, ref: Ref, want: Want) -> Fact:
        record, live = self._records[ref[0]], self._lives[ref]
        match want:
            case Create():
                try:
                    await self._absorb(ref, Posting())
                finally:
                    self._spending.starting -= 1
                return await self._attempts.create(ref, record, live)
            case Poll(_, report_id):
                return await self._attempts.poll(report_id, record, live)
            case Fetch():
                return await self._attempts.fetch(ref, want, record, live)
            case Place():
                return await self._attempts.place(ref, record.parts[ref[1]])

    async def _absorb(self, ref: Ref, fact: Fact, live: Live | None = None) -> None:
        """Steps, journals, and only then believes."""
        key, index = ref
        live = live or self._lives[ref]
        now = self._clock.now()
        record = self._records[key]
        done = step(record, index, live, fact, now=now, policy=self._policy, chance=self._random.random)
        events = list(done.events)
        if any(isinstance(event, Stored) for event in events) and key in self._supersedes:
            path = done.record.path
            events.append(Superseded(self._supersedes.pop(key), now, by=key, path=path))
        before, after = record.parts[index], done.record.parts[index]
        finished = before.state is State.GENERATING and after.state is not State.GENERATING
        if finished:
            # The place is free at the service already. Whoever gets it has an intent to journal, which comes after this fact.
            self._spending.changed(before, after, now)
            self._spending.finished(now, waiting=bool(self._wants.creations))
            self._wake()
        if events:
            await self._write(events, (record, done.record) if len(done.events) == 1 else None)
        self._lives[ref] = done.live
        if not finished:
            self._spending.changed(before, after, now)
        self._notice(key, done.live, done.events)
        if done.wants and (told := trouble(fact, live, done.live)):
            again_at = min(want.at for want in done.wants)
            self._observer.tell(Troubled(now, key, *told, max(now, again_at)))
        if isinstance(fact, Asked) and isinstance(fact.answer, Status) and after.state is State.GENERATING:
            self._history.unfinished(key, fact.sent_at)
        self._learning.learn(ref, self._records[ref[0]], fact, now)
        self._put(ref, done.wants)
        if not done.wants and not isinstance(fact, Posting):
            self._open.discard(ref)
            self._wants.drop(ref)
            del self._lives[ref]
            self._attempts.identity.forgo(report.id for report in after.reports)
        if not isinstance(fact, Posting):  # an intent makes no room for anything
            self._wake()

    async def _write(self, events: Sequence[Event], folded: tuple[Record, Record] | None = None) -> None:
        """`folded` are a record before and after the first of the events, for whoever has folded it already."""
        await self._journal.append(events)
        for event in events:
            before = self._records.get(event.key)
            record = folded[1] if folded is not None and folded[0] is before else apply(before, event)
            self._records[event.key] = record
            self._observer.tell(ExportChanged(event.at, record, event.kind))

    def _notice(self, key: str, live: Live, events: Sequence[Event]) -> None:
        """What a step means for the run itself."""
        for event in events:
            match event:
                case Stored():
                    self._stored.add(key)
                    self._keeping.stale = True
                case Failed() if live.named and self._policy.fail_fast and not self._stop.is_asked:
                    self._stop.at_first_failure = True
                    self._stop.park("an export failed, and --fail-fast was asked for")
                case _:
                    pass

    # ------------------------------------------------------------------------------------------------------- polling

    def _may_overlap(self, poll: Poll) -> bool:
        """Whether this poll of its report need not wait for earlier answers, nor the next one for its own."""
        return (
            poll.planned and not self._spending.health("api").bad and self._learning.asking.may_overlap(poll.report_id)
        )

    def _is_held_up(self, ref: Ref, poll: Poll, now: float) -> bool:
        """Whether a poll has to wait for the answers to earlier ones of its part."""
        since = self._overlap.since(ref)
        return since is not None and (not self._may_overlap(poll) or now - since > LATE * self._spending.pace.latency)

    def _put(self, ref: Ref, wanted: tuple[Want, ...]) -> None:
        """What a part wants from now on."""
        now = self._clock.now()
        timed = self._learning.timed(wanted)
        self._wants.put(ref, tuple(w for w in timed if not (isinstance(w, Poll) and self._is_held_up(ref, w, now))))

    def _put_again(self, ref: Ref, now: float) -> None:
        if ref in self._open and ref not in self._busy:
            self._put(ref, wants(self._records[ref[0]].parts[ref[1]], self._lives[ref], now))

    def _replan(self, now: float) -> None:
        for ref in self._learning.moved(self._wants.creations):
            self._put_again(ref, now)
        self._outlook.look(now)

    # ---------------------------------------------------------------------------------------------------- the end

    async def _drain(self, tasks: anyio.abc.TaskGroup, post_grace: float) -> None:
        """Brings home what is under way."""
        self._attempts.wind_up(post_grace)
        self._overlap.let_go()
        for ref, scope in self._busy.items():
            if scope is not None and self._stop.on_time and ref in self._fetching:
                scope.deadline = anyio.current_time() + post_grace
            elif scope is not None:
                scope.cancel()
        while True:
            now = self._clock.now()
            verified = self._wants.first(Place, now) if self._stop.on_time and self._stop.error is None else None
            if verified is not None:
                self._start(tasks, *verified, now)
            elif self._busy:
                await self._sleep(math.inf)
            else:
                return

    async def _wind_up(self, job: str, run_id: str, items: Sequence[Item], started_at: float) -> dict[str, Any]:
        for last in (self._attempts.close, self._keeping.write, self._learning.keep):
            try:
                await last()
            except OrchestratorError as error:
                self._stop.halt(error)
        report = result.build(
            job=job,
            run_id=run_id,
            outcome=partial(self._stop.outcome, only_submits=self._command == "submit"),
            reason=self._stop.told(self._spending.health("api")),
            error=self._stop.error,
            resume_after=self._stop.until,
            started_at=started_at,
            finished_at=self._clock.now(),
            command=self._command,
            items=items,
            records=self._records,
            figures=result.Figures(
                posts=self._api.posts_sent,
                polls=self._api.gets_sent,
                throttled=self._attempts.throttled,
                errors=self._spending.errors,
                posts_of=self._attempts.posts,
                polls_of=self._attempts.polls,
                stored=self._stored,
                found=self._spending.found(),
                history=self._history,
            ),
        )
        if self._command == "collect" and report["outcome"] == "parked" and report["reason"] is None:
            report["reason"] = NOT_CREATED
        try:
            await self._journal.finish_run(report)
        except OrchestratorError as error:
            self._stop.halt(error)
        self._outlook.look(self._clock.now(), at_last=True)
        self._observer.tell(RunEnded(self._clock.now(), report["outcome"]))
        return report

    # ---------------------------------------------------------------------------------------------------- waiting

    def _wake(self) -> None:
        self._changed.set()

    async def _sleep(self, seconds: float) -> None:
        """Until something happens, `seconds` at the most."""
        with anyio.move_on_after(max(0.0, seconds)):
            await self._changed.wait()
        self._changed = anyio.Event()
