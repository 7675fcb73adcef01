"""One attempt each: a POST, a GET, a download, a rename. Each ends in a fact for `step`.

An attempt asks a neighbour once, tells the hosts' health what came of it, and translates the answer. It decides nothing
about the export; what concerns the whole run (the account is refused, a host can't be trusted) it hands to `stop`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import BinaryIO

import anyio

from orchestrator.content.digest import Digest
from orchestrator.engine.choose import Ref
from orchestrator.engine.events import BytesReceived, Paused, RequestRefused, RequestSent
from orchestrator.engine.gated import GatedFiles, Held
from orchestrator.engine.health import Streak
from orchestrator.engine.identity import Identity
from orchestrator.engine.manifest import utc
from orchestrator.engine.policy import Policy
from orchestrator.engine.ports import (
    Accepted,
    Account,
    Broken,
    Clock,
    Contents,
    CreateAnswer,
    Denied,
    ExportApi,
    FileBroken,
    FileRefused,
    Files,
    Observer,
    Status,
    StatusAnswer,
    Storage,
    Throttled,
)
from orchestrator.engine.spending import Spending
from orchestrator.engine.states import File, Part, Record
from orchestrator.engine.step import (
    Asked,
    Fact,
    Fetch,
    FetchBroke,
    Fetched,
    FetchWrong,
    Live,
    NotFetched,
    NotPosted,
    NotThere,
    Placed,
    Posted,
    UrlDied,
)
from orchestrator.engine.stop import Stop
from orchestrator.engine.transfer import Transfers
from orchestrator.errors import ContentError, UnreachableError

POST_GRACE = 4.0
"""Seconds for which a parking run waits for the answer of a POST that is already sent."""


class Attempts:
    def __init__(
        self,
        *,
        api: ExportApi,
        files: Files,
        storage: Storage,
        contents: Contents,
        account: Account,
        clock: Clock,
        observer: Observer,
        policy: Policy,
        spending: Spending,
        random: random.Random,
        stop: Stop,
        wake: Callable[[], None],
    ) -> None:
        """`wake` has the run look anew at what may go."""
        self._api = api
        self._storage = storage
        self._contents = contents
        self._account = account
        self._clock = clock
        self._observer = observer
        self._policy = policy
        self._spending = spending
        self._random = random
        self._stop = stop
        self._wake = wake
        gated = GatedFiles(files, spending, clock)
        self.identity = Identity(api, spending, stop.halt)
        self._transfers = Transfers(gated, storage, contents, kept=policy.limits.downloads)
        self._posting: set[anyio.CancelScope] = set()
        self._unnamed_pauses = 0
        self._verified_here: set[Ref] = set()
        self._known: tuple[str, Record] | None = None
        self._knows_completed = False
        self._probing: Streak | None = None
        self.throttled = 0
        self.posts: dict[str, int] = {}
        self.polls: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------------ create

    async def create(self, ref: Ref, record: Record, live: Live) -> Fact:
        """Sends the POST whose intent is durable."""
        now = self._clock.now()
        if self._stop.is_asked or self._spending.rate.closed_until > now:
            self._stays()
            return NotPosted(
                "not sent: the run parks" if self._stop.is_asked else "not sent: the service asked for silence"
            )
        self._goes(now)
        beside = self._spending.beside
        self._observer.tell(RequestSent(now, "create", record.key))
        self.posts[record.key] = self.posts.get(record.key, 0) + 1
        generation = self.identity.token_generation
        answer: CreateAnswer | None = None
        with anyio.CancelScope() as scope:
            self._posting.add(scope)
            try:
                answer = await self._api.create(record.parts[ref[1]].request, record.impersonate)
            finally:
                self._posting.discard(scope)
        if answer is None:  # let go of by `wind_up`: nobody knows what became of it, and the host is not to blame
            return Posted(Broken("the run was parked before the answer came"), live.posting)
        if isinstance(answer, Accepted):
            self.identity.accepted(record.impersonate)
            self._spending.accepted(beside)
        elif isinstance(answer, Broken) and answer.absent and not self.identity.is_known:
            message = "what answers the first creations is hardly Loop's API"
            self._stop.halt(UnreachableError(message, code="host.not-loop", hint=_NOT_LOOP, cause=answer.detail))
        streak = await self._judge(answer, live.posting, now, beside)
        if isinstance(answer, Denied) and await self.identity.concerns_all(answer, record.impersonate, generation):
            return NotPosted(answer.detail)
        return Posted(answer, streak)

    # -------------------------------------------------------------------------------------------------------- poll

    async def poll(self, report_id: str, record: Record, live: Live) -> Asked:
        now = self._clock.now()
        if self._spending.rate.closed_until > now:
            self._stays()
            return Asked(report_id, Throttled(None, "not sent: the service asked for silence"))
        self._goes(now)
        self._observer.tell(RequestSent(now, "poll", record.key))
        self.polls[record.key] = self.polls.get(record.key, 0) + 1
        generation = self.identity.token_generation
        answer = await self._api.get(report_id, record.impersonate)
        if isinstance(answer, Status):
            self.identity.accepted(record.impersonate)
            completed = answer.status == "Completed"
            if completed or not self._knows_completed:  # one that still runs may be what the host chokes on next
                self._known, self._knows_completed = (report_id, record), completed
        streak = await self._judge(answer, live.asking, now)
        if isinstance(answer, Denied) and await self.identity.concerns_all(answer, record.impersonate, generation):
            return Asked(report_id, Throttled(None, answer.detail), sent_at=now)
        if not self.identity.believes(report_id, answer):
            return Asked(report_id, Throttled(None, "unknown, as all reports of earlier runs so far"), sent_at=now)
        return Asked(report_id, answer, streak, sent_at=now)

    # ------------------------------------------------------------------------------------------------------- probe

    @property
    def known(self) -> tuple[str, Ref] | None:
        """A report that the host has told of, the latest completed one if any, and the part it is of; None if it told of none."""
        if self._known is None:
            return None
        report_id, record = self._known
        index = next(part.index for part in record.parts if part.report(report_id) is not None)
        return report_id, (record.key, index)

    async def probe(self) -> None:
        """Asks a host that seems down for a report that it has told of before.

        It leaves nothing behind, as a POST might, and the answer says whose fault the failures are when they are all
        of one export, with no other left to compare it with.
        """
        assert self._known is not None, "only asked for if one is known"
        report_id, record = self._known
        now = self._clock.now()
        self._goes(now)
        self._observer.tell(RequestSent(now, "poll", record.key))
        self._probing = await self._judge(await self._api.get(report_id, record.impersonate), self._probing, now)

    # ------------------------------------------------------------------------------------------- requests reserved

    def _goes(self, now: float) -> None:
        """A reserved request goes out. Where it was the last one that had room, nobody knew until now when the next one may go."""
        was_full = self._spending.rate.full
        self._spending.rate.sent(now)
        if was_full:
            self._wake()

    def _stays(self) -> None:
        """A reserved request does not go out after all."""
        self._spending.rate.release()
        self._wake()

    # ------------------------------------------------------------------------------------------- what answers mean

    async def _judge(
        self, answer: CreateAnswer | StatusAnswer, streak: Streak | None, sent_at: float, beside: int | None = None
    ) -> Streak | None:
        """Tells the API host's health of an answer. The streak of failures that it continues, or None if it ends one.

        `beside`: the answer is to a creation beside so many unfinished exports.
        """
        now = self._clock.now()
        # A creation may take the service longer than a question: its answers would be taken for slow ones.
        if beside is None and not isinstance(answer, Broken):
            self._spending.pace.answered(now - sent_at, now)
        match answer:
            case Broken(detail, _, trusted, wait):
                if wait is not None:
                    await self._pause(wait, detail, now)
                streak = self._spending.badly("api", streak, now, detail)
                if not trusted:
                    message = "whether this is the service can't be verified"
                    self._stop.halt(UnreachableError(message, code="host.untrusted", hint=_UNTRUSTED, cause=detail))
                return streak
            case Throttled(wait, detail, unavailable):
                if not unavailable:
                    self.throttled += 1
                    self._observer.tell(RequestRefused(now))
                    self._spending.refused(now, sent_at, beside)
                await self._pause(wait, detail, now)
                if unavailable:
                    return self._spending.badly("api", streak, now, detail)
            case _:
                self._unnamed_pauses = 0
        self._spending.well("api", now)
        return None

    async def _pause(self, wait: float | None, detail: str, now: float) -> None:
        """Closes the gate for everybody. A `Retry-After` is never shortened; jitter only lengthens."""
        named = bool(wait)
        if not wait:  # "again after 0 s" names no time either: taken at its word, it would be a storm of requests
            # Of several that were under way together, one counts; each is a pause from its own answer on.
            self._unnamed_pauses += self._spending.rate.closed_until <= now
            wait = min(self._policy.retry.max, self._policy.retry.base * 2.0 ** min(self._unnamed_pauses, 64))
        else:
            self._unnamed_pauses = 0
        until = now + wait + self._random.random() * min(1.0, wait / 10)
        if until <= self._spending.rate.closed_until:
            return
        self._spending.close("api", until, now)
        self._observer.tell(Paused(now, until, detail))
        await self._account.pause(until)
        if named:
            self._park_if_long(wait, until, "service")

    async def pause_beside_others(self, until: float) -> None:
        """Another run of the account was asked for silence: it is this run's as well, and the next one's."""
        now = self._clock.now()
        self._observer.tell(Paused(now, until, "the service asked another run of this account for it"))
        await self._account.pause(until)
        self._park_if_long(until - now, until, "service")

    async def _pause_files(self, wait: float, now: float) -> None:
        until = self._spending.files_closed_until  # `GatedFiles` has closed the gate already
        self._observer.tell(Paused(now, until, "the file host asks for it"))
        await self._account.pause(until, "files")
        self._park_if_long(wait, until, "file host")

    def _park_if_long(self, wait: float, until: float, who: str) -> None:
        if wait > self._policy.limits.longest_pause:
            self._stop.park(
                f"the {who} asks for silence until {utc(until)}, longer than limits.longest_pause", until=until
            )

    # ------------------------------------------------------------------------------------------------------- fetch

    async def fetch(self, ref: Ref, want: Fetch, record: Record, live: Live) -> Fact:
        began = self._clock.now()
        if self._spending.files_closed_until > began:
            return NotFetched()
        self._observer.tell(RequestSent(began, "fetch", record.key))
        kind = str(record.parts[ref[1]].request["resultFormat"]).lower()

        serves = False

        def progress(received: int, total: int | None) -> None:
            nonlocal serves
            serves = True
            self._observer.tell(BytesReceived(self._clock.now(), record.key, received, total))

        before = self._transfers.received(ref)
        try:
            digest, temp = await self._transfers.fetch(ref, want.url, kind, progress)
        except FileRefused as refused:
            self._spending.well("files", self._clock.now())
            return UrlDied(refused.status)
        except Held:
            return NotFetched()
        except FileBroken as broken:
            detail = str(broken)
            if not broken.trusted:
                message = "the host of the files can't be trusted"
                self._stop.halt(
                    UnreachableError(message, code="file-host.untrusted", hint=_UNTRUSTED_FILES, cause=detail)
                )
            now = self._clock.now()
            if broken.wait:
                self._spending.places.refused(now, began, self._spending.downloading - 1)
                await self._pause_files(broken.wait, now)
            if serves or broken.reached:  # a host that sends something answers, however the body ends
                self._spending.well("files", now)
            gained = self._transfers.received(ref) > before
            streak = self._spending.badly("files", None if gained else live.fetching, now, detail)
            return FetchBroke(detail, streak, broken.wait)
        except ContentError as wrong:
            self._spending.well("files", self._clock.now())
            return FetchWrong(want.report_id, wrong.code, wrong.message)
        now = self._clock.now()
        self._spending.well("files", now)
        self._spending.places.accepted(self._spending.downloading - 1)
        self._spending.places.finished(now, pressed=self._spending.downloading >= self._spending.places.most)
        self._verified_here.add(ref)
        return Fetched(want.report_id, digest, temp)

    # ------------------------------------------------------------------------------------------------------- place

    async def place(self, ref: Ref, part: Part) -> Fact:
        """Brings verified bytes to their final name. Those of an earlier run are read again first: they may be gone.

        Bytes that were at their final name when the run began have been recognised by `engine.memory`.
        """
        file = part.file
        assert file is not None, "a verified part has a file"
        assert file.temp is not None, "a verified file has a temporary name"
        read = self._reader(part)
        if ref in self._verified_here or _same(await self._storage.inspect_temp(file.temp, read), file):
            with anyio.CancelScope(shield=True):  # reading a large file again may be let go of, a rename may not
                await self._storage.place(file.temp, file.path)
            return Placed()
        await self._storage.discard(file.temp)
        return NotThere()

    def _reader(self, part: Part) -> Callable[[BinaryIO], Digest | None]:
        read = self._contents.digest(str(part.request["resultFormat"]).lower())

        def attempt(file: BinaryIO) -> Digest | None:
            try:
                return read(file)
            except ContentError:
                return None  # whatever lies there is not the file

        return attempt

    # --------------------------------------------------------------------------------------------------------- end

    def wind_up(self, grace: float) -> None:
        """The run ends: POSTs under way get these last seconds."""
        for scope in self._posting:
            scope.deadline = anyio.current_time() + grace

    async def close(self) -> None:
        await self._transfers.close()


def _same(digest: Digest | None, file: File | None) -> bool:
    return digest is not None and file is not None and digest.sha256 == file.sha256


_NOT_LOOP = "Look at api.base_url (the default is https://api.intheloop.io) and at what proxy stands before it."
_UNTRUSTED = "Check api.base_url, the proxy and the certificates (network.ca_file); nothing is sent to a host that can't be trusted."
_UNTRUSTED_FILES = (
    "The file host must be https on a public address with a valid certificate; if yours is on a private address on "
    "purpose, set api.allow_private: true."
)
