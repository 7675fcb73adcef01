import asyncio
import io

import pytest

from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Troubled,
)
from orchestrator.engine.states import State
from orchestrator.progress.plain import PlainProgress, heartbeat
from orchestrator.progress.tally import Tally

T = 1_763_900_000.0


class Out(io.StringIO):
    def __init__(self):
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text):
        self.written.set()
        return super().write(text)

    @property
    def lines(self):
        return self.getvalue().splitlines()


def plain(**options):
    out = Out()
    return PlainProgress(out, lambda: T + 60, **options), out


def test_what_matters_is_told_at_once_and_the_rest_is_not(record):
    progress, out = plain()
    for told in [
        RunStarted(T, "backfill", "run", 24, 3, 16, 4),
        ExportChanged(T, record(0, State.GENERATING), "created"),
        RequestSent(T, "create", "k"),
        Troubled(T, "k", "c", "reset", T + 5),
        Paused(T + 1, T + 301, "429, Retry-After 300"),
        Paused(T + 1.2, T + 301.2, "429, Retry-After 300"),
        OutageBegan(T + 2, "api", "connection refused\n", T + 902),
        OutageBegan(T + 3, "api", "connection refused", T + 902),
        OutageEnded(T + 44, "api"),
        OutageEnded(T + 44, "files"),
        ExportChanged(T + 45, record(0, State.FAILED, "Loop says no"), "failed"),
        Parking(T + 50, "SIGTERM"),
        RunEnded(T + 51, "parked"),
    ]:
        progress.tell(told)
    assert out.lines == [
        "12:13:20 backfill: 24 exports to do (3 need nothing)",
        "12:13:21 the service asks for silence until 12:18:21 UTC, for 5:00: 429, Retry-After 300",
        "12:13:22 the API host does not answer: connection refused ; probing until 12:28:22 UTC",
        "12:14:04 the API host answers again, after 0:42",
        "12:14:05 FAILED support 2000-01: Loop says no (hint: try a shorter window)",
        "12:14:10 parking: SIGTERM, what is under way gets a few seconds",
        "12:14:11 parked: 0/24 stored, 23 waiting, 1 failed, 0 B, paused by the service until 12:18:21 UTC, 4:10 to go",
    ]


def test_a_run_that_ends_in_an_outage_says_so():
    progress, out = plain()
    progress.tell(RunStarted(T, "backfill", "run", 2, 0, 16, 4))
    progress.tell(OutageBegan(T, "files", "no route", T + 900))
    progress.tell(Troubled(T + 900, "k", "c", "no route", T + 960))
    progress.tell(RunEnded(T + 901, "unreachable"))
    assert out.lines[-1] == (
        "12:28:21 stopped, the service could not be reached or trusted: 0/2 stored, 2 waiting, 0 failed, 0 B, "
        "the file host has not answered for 15:01"
    )


async def test_the_heartbeat(record):
    progress, out = plain(every=0.001)
    progress.tell(RunStarted(T, "backfill", "run", 24, 0, 16, 4))
    for n in range(7):
        progress.tell(ExportChanged(T + 1, record(n, State.STORED), "stored"))
    for n in range(7, 12):
        progress.tell(ExportChanged(T + 1, record(n, State.GENERATING), "created"))
    progress.tell(ExportChanged(T + 1, record(12, State.READY), "ready"))
    progress.tell(RequestSent(T + 1, "fetch", record(12, State.READY).key))
    progress.tell(BytesReceived(T + 2, record(12, State.READY).key, 3_200_000, None))
    progress.tell(Troubled(T + 50, record(8, State.WAITING).key, "c", "reset", T + 66))
    out.written.clear()
    task = asyncio.create_task(progress.beat())
    await out.written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert out.lines[1] == (
        "12:14:20 7/24 stored, 11 waiting, 5 at Loop, 1 downloading, 0 failed, 3.2 MB, 7 exports/min, about 2 min left, "
        "in trouble: support 2000-09: reset, again in 0:06"
    )


async def test_short_pauses_that_come_again_and_again_are_counted_in_the_heartbeat():
    progress, out = plain(every=30)
    progress.tell(RunStarted(T, "backfill", "run", 24, 0, 16, 4))
    for n, length in enumerate([5, 5, 5, 60]):
        progress.tell(Paused(T + 100 * n, T + 100 * n + length, "429"))
    asked = [line for line in out.lines if "asks for silence" in line]
    assert [line[:8] for line in asked] == ["12:13:20", "12:18:20"], "the first, and the long one"
    progress._every = 0.001
    for last in ("0 B, 2 short pauses asked for by the service", "0 B"):
        out.written.clear()
        task = asyncio.create_task(progress.beat())
        await out.written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (
            out.lines[-1].partition(", paused")[0] + out.lines[-1].partition("to go")[2]
            == f"12:14:20 0/24 stored, 24 waiting, 0 failed, {last}"
        )


def test_an_export_that_takes_longer_than_can_be_explained_is_named(record):
    tally = Tally()
    tally.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
    tally.tell(ExportChanged(T, record(1, State.GENERATING, created_at=T), "created"))
    assert "at Loop for" not in heartbeat(tally, T + 500), "nobody knows what is long"
    tally.tell(Learned(T, 20.0, 60.0, 5.0, 4, 4, rate_found=False, cap_found=False))
    assert "at Loop for" not in heartbeat(tally, T + 119)
    assert "support 2000-02 at Loop for 2:01" in heartbeat(tally, T + 121)


async def test_silence_before_the_start_and_after_the_end(monkeypatch):
    progress, out = plain(every=0)
    beats = asyncio.Semaphore(0)
    real = asyncio.sleep

    async def counted(seconds):
        beats.release()
        await real(seconds)

    monkeypatch.setattr(asyncio, "sleep", counted)
    task = asyncio.create_task(progress.beat())
    for _ in range(3):
        await beats.acquire()
    assert out.lines == []
    progress.tell(RunStarted(T, "backfill", "run", 0, 0, 16, 4))
    progress.tell(RunEnded(T, "succeeded"))
    before = out.lines
    for _ in range(3):
        await beats.acquire()
    task.cancel()
    assert out.lines == before
    assert before[-1] == "12:13:20 done: 0/0 stored, 0 failed, 0 B"


def test_what_was_refused_before_is_in_the_last_line_too():
    progress, out = plain()
    progress.tell(RunStarted(T, "backfill", "run", 0, 7, 16, 4, refused=1))
    progress.tell(RunEnded(T + 1, "failed"))
    assert out.lines[-1] == "12:13:21 ended with failures: 0/0 stored, 0 failed, 1 refused before, 0 B"


def test_a_run_that_only_renames_says_so(record):
    progress, out = plain()
    progress.tell(RunStarted(T, "backfill", "run", 0, 12, 16, 4, moves=2))
    for n in range(2):
        progress.tell(ExportChanged(T, record(n, State.STORED), "moved"))
    progress.tell(RunEnded(T + 1, "succeeded"))
    assert out.lines == [
        "12:13:20 backfill: 2 files to rename, 0 exports to do (12 need nothing)",
        "12:13:21 done: 2 files renamed, 0/0 stored, 0 failed, 0 B",
    ]


def test_a_reader_that_has_gone_is_no_trouble():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    PlainProgress(Gone(), lambda: T).tell(RunStarted(T, "backfill", "run", 1, 0, 16, 4))


def test_a_host_that_fails_while_the_run_parks_is_not_said_to_be_probed():
    progress, out = plain()
    progress.tell(RunStarted(T, "backfill", "run", 1, 0, 16, 4))
    progress.tell(Parking(T, "the token is refused"))
    progress.tell(OutageBegan(T, "api", "refused", T + 900))
    assert out.lines[-1] == "12:13:20 the API host does not answer: refused"
