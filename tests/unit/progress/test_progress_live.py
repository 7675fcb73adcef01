import asyncio
import io
import re

import pytest
from mini_terminal import MiniTerminal
from rich.console import Console, ConsoleDimensions

from orchestrator.engine.events import ExportChanged, Learned, Paused, RequestSent, RunStarted, Standing
from orchestrator.engine.states import State
from orchestrator.progress import live
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.live import LiveProgress

T = 1_763_900_000.0
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"


class Beating:
    """Runs the display until the block is left; `drawn` waits for the next drawing."""

    def __init__(self, width=60, height=24):
        self.screen = MiniTerminal(width)
        self.height = height
        self.now = T
        console = PeopleConsole(self.screen, force_terminal=True)
        self.progress = LiveProgress(console, lambda: self.now)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.progress.beat())
        await asyncio.sleep(0)
        return self

    async def drawn(self):
        self.screen.drawn.clear()
        await self.screen.drawn.wait()

    async def __aexit__(self, *_error):
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(live, "REFRESH", 0.005)


@pytest.fixture
def beating(monkeypatch):
    """A display whose terminal can be resized: `beating.screen.width`, `beating.height`."""
    it = Beating()
    monkeypatch.setattr(Console, "size", property(lambda _: ConsoleDimensions(it.screen.width, it.height)))
    return it


async def test_it_redraws_in_place_and_log_lines_stay_above(beating, record):
    async with beating:
        progress, screen = beating.progress, beating.screen
        progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        await beating.drawn()
        assert screen.lines()[0] == "backfill   ■ 0 of 4 stored   0:00 elapsed"
        progress.stream.write("first ")
        progress.stream.write("log line\nsecond \x1b[31mlog\x1b[0m line\nunfinished")
        progress.tell(ExportChanged(T, record(0, State.STORED), "stored"))
        progress.tell(Paused(T, T + 60, "429"))
        await beating.drawn()
        lines = screen.lines()
        assert lines[:3] == ["first log line", "second log line", "backfill   ■ 1 of 4 stored   0:00 elapsed"]
        assert len([line for line in lines if "stored" in line]) == 1
        assert any("paused by the service" in line for line in lines)
        beating.now = T + 61
        await beating.drawn()
        assert not any("paused" in line for line in screen.lines())
    assert [line for line in screen.lines() if line] == ["first log line", "second log line"]
    assert "".join(screen.writes).count("\x1b[?25h") == 1  # the cursor is given back


async def test_a_frame_is_one_write_and_seen_at_once(beating, record):
    async with beating:
        beating.progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        for n in range(3):
            beating.progress.tell(ExportChanged(T, record(n, State.STORED), "stored"))
            await beating.drawn()
        beating.progress.stream.write("a line\n")
    frames = beating.screen.writes
    assert len(frames) == 3 + 1 + 1
    assert all(frame.startswith(BEGIN) and frame.endswith(END) for frame in frames)
    assert not any("\x1b[2J" in frame for frame in frames)


@pytest.mark.parametrize(("width", "height"), [(40, 24), (30, 24), (100, 24), (60, 10), (60, 3), (140, 40)])
async def test_a_terminal_that_is_resized_shows_one_picture_that_fits(beating, record, width, height):
    exports = tuple(
        Standing(r.key, tuple(r.coordinates.items()), None, todo=True) for r in map(record, range(60), ["waiting"] * 60)
    )
    async with beating:
        screen, progress = beating.screen, beating.progress
        progress.tell(RunStarted(T, "backfill", "run", 60, 0, 16, 4, exports=exports))
        progress.stream.write("a log line that is above\n")
        await beating.drawn()
        assert any("2000" in line for line in screen.lines()), "the grid is shown"
        screen.width, beating.height = width, height
        progress.tell(ExportChanged(T, record(0, State.STORED), "stored"))
        await beating.drawn()
        lines = screen.lines()[-height:]
        assert max(map(len, lines)) < width
        assert len([line for line in lines if line.startswith("backfill")]) == 1
        assert any("1 of 60 stored" in line for line in lines)
        assert screen.lines()[0] == "a log line that is above"


async def test_on_terminals_that_cut_lines_off_nothing_above_is_eaten(beating, monkeypatch, record):
    monkeypatch.setenv("XTERM_VERSION", "XTerm(390)")
    it = Beating()
    monkeypatch.setattr(Console, "size", property(lambda _: ConsoleDimensions(it.width, 24)))
    it.width = 60
    async with it:
        it.progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        await it.drawn()
        it.width = 30
        it.progress.tell(ExportChanged(T, record(0, State.STORED), "stored"))
        await it.drawn()
    ups = re.findall(r"\x1b\[(\d+)A", it.screen.writes[1])
    assert ups == [str(it.screen.writes[0].count("\n"))]


async def test_what_has_not_changed_is_not_drawn_again(monkeypatch):
    looks = asyncio.Semaphore(0)
    real = live.picture

    def counted(*args, **options):
        looks.release()
        return real(*args, **options)

    monkeypatch.setattr(live, "picture", counted)
    async with Beating() as beating:
        beating.progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        await beating.drawn()
        written = len(beating.screen.writes)
        for _ in range(5):
            await looks.acquire()
        assert len(beating.screen.writes) == written


async def test_a_look_that_takes_long_is_taken_less_often(monkeypatch):
    pauses = []
    spent = iter([0.0, 0.02, 5.0, 5.0])

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    progress = LiveProgress(PeopleConsole(MiniTerminal(), force_terminal=True), lambda: T)
    monkeypatch.setattr(live.time, "thread_time", lambda: next(spent))
    monkeypatch.setattr(live.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await progress.beat()
    assert pauses == [pytest.approx(0.02 * live.SHARE), live.REFRESH]


async def test_nothing_is_drawn_before_the_run_has_started():
    async with Beating() as beating:
        await asyncio.sleep(0)
        beating.progress.stream.write("said before\n")
        assert beating.screen.writes == ["said before\n"]


async def test_a_terminal_that_has_gone_ends_the_display_alone():
    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(5, "Input/output error")

    progress = LiveProgress(PeopleConsole(Gone(), width=60, force_terminal=True), lambda: T)
    progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
    await progress.beat()


async def test_a_reader_that_has_gone_does_not_exit_the_process():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    console = PeopleConsole(Gone(), width=60)
    console.print("hello")
    assert console.quiet


@pytest.mark.parametrize("name", ["NO_COLOR", "no such variable"])
async def test_no_colour_is_honoured_and_only_the_terminal_s_own_are_used(monkeypatch, record, name):
    monkeypatch.setenv(name, "1")
    async with Beating() as beating:
        beating.progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        beating.progress.tell(ExportChanged(T, record(0, State.STORED), "stored"))
        beating.progress.tell(ExportChanged(T, record(1, State.FAILED, "no"), "failed"))
        beating.progress.tell(RequestSent(T, "poll", "k"))
        beating.progress.tell(Learned(T, 12.0, 20.0, 4.8, 12, 4, rate_found=True, cap_found=True))
        await beating.drawn()
    codes = {
        code for seen in re.findall(r"\x1b\[([0-9;]*)m", "".join(beating.screen.writes)) for code in seen.split(";")
    }
    allowed = {"0", "1", "2"} if name == "NO_COLOR" else {"0", "1", "2", "31", "32"}
    assert codes == allowed


def test_a_long_line_is_left_whole():
    out = io.StringIO()
    stream = LiveProgress(PeopleConsole(out, width=40), lambda: T).stream
    assert stream.writable()
    assert not stream.isatty()
    stream.write('{"event": "' + "x" * 200 + ' [red]:smile:"}\n')
    assert out.getvalue() == '{"event": "' + "x" * 200 + ' [red]:smile:"}\n'
