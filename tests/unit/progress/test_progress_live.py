import asyncio
import io
import re

import pytest

from orchestrator.engine.events import ExportChanged, Paused, RunStarted
from orchestrator.engine.states import State
from orchestrator.progress import live
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.live import LinesAbove, LiveProgress

T = 1_763_900_000.0


class Screen(io.StringIO):
    """The least of a terminal: what a person sees after all that was written, colours left out."""

    def __init__(self):
        super().__init__()
        self.drawn = asyncio.Event()

    def write(self, text):
        self.drawn.set()
        return super().write(text)

    def lines(self):
        rows, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", self.getvalue()):
            if token == "\n":
                row, column = row + 1, 0
                if row == len(rows):
                    rows.append("")
            elif token == "\r":
                column = 0
            elif token == "\x1b[2K":
                rows[row] = ""
            elif token.startswith("\x1b"):
                if token.endswith("A"):
                    row -= int(token[2:-1])
                    assert row >= 0
                else:
                    assert token.endswith(("m", "l", "h")), token
            else:
                rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + len(token) :]
                column += len(token)
        return [row.rstrip() for row in rows]


class Beating:
    """Runs the display until the block is left; `drawn` waits for the next drawing."""

    def __init__(self, width=60):
        self.screen = Screen()
        self.now = T
        console = PeopleConsole(self.screen, width=width, force_terminal=True)
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


async def test_it_redraws_in_place_and_log_lines_stay_above(record):
    async with Beating() as beating:
        progress, screen = beating.progress, beating.screen
        progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        await beating.drawn()
        assert screen.lines()[0] == "backfill   0 of 4 stored"
        progress.stream.write("first ")
        progress.stream.write("log line\nsecond \x1b[31mlog\x1b[0m line\nunfinished")
        progress.tell(ExportChanged(T, record(0, State.STORED), "stored"))
        progress.tell(Paused(T, T + 60, "429"))
        await beating.drawn()
        lines = screen.lines()
        assert lines[:3] == ["first log line", "second log line", "backfill   1 of 4 stored"]
        assert len([line for line in lines if "stored" in line]) == 2
        assert any("paused by the service" in line for line in lines)
        beating.now = T + 61
        await beating.drawn()
        assert not any("paused" in line for line in screen.lines())
    assert [line for line in screen.lines() if line] == ["first log line", "second log line"]
    assert screen.getvalue().endswith("\x1b[2K")
    assert screen.getvalue().count("\x1b[?25h") == 1  # the cursor is given back


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
        written = len(beating.screen.getvalue())
        for _ in range(5):
            await looks.acquire()
        assert len(beating.screen.getvalue()) == written


async def test_nothing_is_drawn_before_the_run_has_started():
    async with Beating() as beating:
        await asyncio.sleep(0)
        assert beating.screen.lines() == [""]


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


async def test_no_colour_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with Beating() as beating:
        beating.progress.tell(RunStarted(T, "backfill", "run", 4, 0, 16, 4))
        await beating.drawn()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", beating.screen.getvalue())


def test_a_long_line_is_left_whole():
    out = io.StringIO()
    stream = LinesAbove(PeopleConsole(out, width=40))
    assert stream.writable()
    assert not stream.isatty()
    stream.write('{"event": "' + "x" * 200 + ' [red]:smile:"}\n')
    assert out.getvalue() == '{"event": "' + "x" * 200 + ' [red]:smile:"}\n'
