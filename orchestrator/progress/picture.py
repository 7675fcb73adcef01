"""The live display's picture: a tally and a moment in, lines of text out. Pure; `live.py` puts it on a terminal.

    support-backfill   ■ 312 of 720 stored   14:05 elapsed, about 12 min left
    ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━────────────────────────────────────────────
    · 386 waiting   ~ 16 at Loop   ▾ 2 ready, 2 downloading   ✗ 2 failed
    18 exports/min   3.2 MB/s, 1.2 GB received   4.8 requests/s (about 5 allowed)
    longest at Loop: sales 2024-05 3:12, support 2024-01 2:40
    14:01:12 FAILED support 2024-07: the service failed to make this export
                 2023         2024
                 JFMAMJJASOND JFMAMJJASOND
    support      ■■■■■■■■■■■■ ■■■■■■✗■~~··
    … and 28 more, all to run

Nothing here is understood by colour alone, and only the terminal's own red, green and bold are used, which every
light or dark theme keeps readable. Pieces are never broken within: a narrow terminal gets more lines. Where there
are not enough, the grid goes first, then the slowest exports, then what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.progress import alerts
from orchestrator.progress.cells import READY, Cells
from orchestrator.progress.grid import FAILED, IN_FLIGHT, STORED, TO_RUN, Mark
from orchestrator.progress.tally import ProblemSeen, Tally
from orchestrator.progress.words import a_minute, about, clock, count, size, span

ROWS = 14
MOST_ROWS = 20
"""On a tall terminal."""
WIDEST = 120
"""Wider lines are no easier to read."""
SLOWEST = 3
"""Exports at Loop that are named."""
LEAST_GRID = 6
"""Lines below which a grid shows nothing."""
STALE = 30.0
"""Seconds for which it is still told that something was to be tried again."""


_MEASURE = Console(width=WIDEST)
"""Text is wrapped with the help of one; nothing is ever printed on it."""


def rows_for(height: int) -> int:
    """Lines that a picture may take of a terminal with so many."""
    return min(height - 1, max(ROWS, min(MOST_ROWS, 2 * height // 3)))


def picture(
    tally: Tally, now: float, width: int, *, rows: int = ROWS, cells: Cells | None = None, ascii_only: bool = False
) -> list[Text]:
    """At most `rows` lines, none wider than `width` cells. `cells` is the grid, if one is wanted."""
    width = max(1, min(width, WIDEST))
    lines = [*_flow(_head(tally, now, ascii_only=ascii_only), width), _bar(tally, width, ascii_only=ascii_only)]
    lines += _flow(_stages(tally, ascii_only=ascii_only), width)
    for pieces in _alerts(tally, now):
        lines += _flow((Text(piece, "bold") for piece in pieces), width, joint=", ")
    lines += _flow(_facts(tally, now), width)
    lines = lines[:rows]
    has_grid = cells is not None and cells.worth_showing
    problems = _problems(tally, now, width, rows - len(lines), each=1 if has_grid else 2)
    lines += _slowest(tally, now, width)[: rows - len(lines) - len(problems)] + problems
    lines += _grid(cells, width, rows - len(lines), ascii_only=ascii_only)
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    return lines


def _head(tally: Tally, now: float, *, ascii_only: bool) -> Iterable[Text]:
    if tally.job:
        yield Text(tally.job, "bold")
    # The grid shows what is stored, whichever run did it.
    before = f", {tally.stored_before:,} before" if tally.stored_before else ""
    yield _marked(STORED, f"{tally.stored:,} of {tally.total:,} stored{before}", ascii_only=ascii_only)
    if tally.started_at is not None:
        remaining = tally.remaining(now)
        left = f", {about(remaining)} left" if remaining is not None else ""
        yield Text(f"{span(now - tally.started_at)} elapsed{left}")


def _marked(mark: Mark, words: str, *, ascii_only: bool, idle: bool = False) -> Text:
    sign = mark.ascii if ascii_only else mark.sign
    return Text(f"{sign} {words}", "dim") if idle else Text.assemble((sign, mark.style), f" {words}")


def _bar(tally: Tally, width: int, *, ascii_only: bool) -> Text:
    done, rest = ("#", "-") if ascii_only else ("━", "─")
    total = tally.total or 1
    finished = width * (tally.stored + tally.failed) // total
    # One failure in thousands still shows, as soon as anything does.
    failed = min(finished, -(-width * tally.failed // total))
    return Text.assemble(
        (done * (finished - failed), "green"), (done * failed, "red"), (rest * (width - finished), "dim")
    )


def _stages(tally: Tally, *, ascii_only: bool) -> Iterable[Text]:
    """Where the exports are, each place with its mark: they are the grid's legend as well."""
    learned = tally.learned
    allowed = f" of {learned.unfinished:,}" if learned is not None and learned.cap_found else ""
    coming = tally.ready + tally.downloading
    ready = f"{tally.ready:,} ready, " if tally.ready else ""
    here_soon = (
        f"{coming:,} ready or downloading" if tally.from_journal else f"{ready}{tally.downloading:,} downloading"
    )
    stages = (
        (TO_RUN, f"{tally.waiting:,} waiting", tally.waiting),
        (IN_FLIGHT, f"{tally.at_loop:,}{allowed} at Loop", tally.at_loop),
        (READY, here_soon, coming),
        (FAILED, f"{tally.failed:,} failed", tally.failed),
    )
    for mark, words, n in stages:
        yield _marked(mark, words, ascii_only=ascii_only, idle=not n)
    if tally.moves:
        yield Text(f"{count(tally.renamed, 'file')} renamed", "" if tally.renamed else "dim")


def _facts(tally: Tally, now: float) -> Iterable[Text]:
    pace = tally.pace(now)
    if pace:
        yield Text(a_minute(pace))
    rate = tally.rate(now)
    received = f"{size(tally.bytes_received)} received"
    yield Text(f"{size(rate)}/s, {received}" if rate else received)
    if tally.requests["poll"]:
        learned = tally.learned
        found = f" (about {learned.per_second:.1f} allowed)" if learned is not None and learned.rate_found else ""
        yield Text(f"{tally.requests_a_second(now):.1f} requests/s{found}")


def _problems(tally: Tally, now: float, width: int, room: int, *, each: int) -> list[Text]:
    """The latest ones, each in so many lines at most."""
    lines: list[Text] = []
    for seen in reversed(tally.problems):
        if seen.again_at is not None and now > seen.again_at + STALE:
            continue
        told = _problem(seen, now, width, each)
        if len(lines) + len(told) <= room:
            lines = [*told, *lines]
    return lines


def _problem(seen: ProblemSeen, now: float, width: int, most: int) -> list[Text]:
    at = f"{clock(seen.at)} "
    told, style = alerts.problem(seen, now), "red" if seen.again_at is None else ""
    lines: list[Text] = []
    while told and len(lines) < most:
        fits = Text(told).wrap(_MEASURE, max(1, width - len(at)))[0].plain
        piece = told if len(lines) + 1 == most else fits.rstrip()
        told = told[len(fits) :].lstrip()
        lines.append(Text.assemble((" " * len(at) if lines else at, "dim"), (piece, style)))
    return lines


def _slowest(tally: Tally, now: float, width: int) -> list[Text]:
    """As many as fit a line."""
    line = Text("longest at Loop:")
    slowest = tally.slowest(SLOWEST, now)
    for n, (label, age) in enumerate(slowest):
        piece = Text.assemble(", " if n else " ", label, (f" {span(age)}", "bold"))
        if not n or line.cell_len + piece.cell_len <= width:
            line.append_text(piece)
    return [line] if slowest else []


def _grid(cells: Cells | None, width: int, room: int, *, ascii_only: bool) -> Sequence[Text]:
    return cells.lines(width, room, ascii_only=ascii_only) if cells is not None and room >= LEAST_GRID else []


def _alerts(tally: Tally, now: float) -> Iterable[list[str]]:
    if tally.parking is not None:
        yield alerts.parking(tally.parking)
    for told in tally.outages.values():
        yield alerts.outage(told, now, clock)
    paused = alerts.pause(tally, now, clock)
    if paused:
        yield paused


def _flow(pieces: Iterable[Text], width: int, joint: str = "   ") -> list[Text]:
    """Packs pieces into lines of at most `width` cells, broken between pieces only."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(joint) + piece.cell_len <= width:
            lines[-1].append(joint).append_text(piece)
        else:
            lines.append(Text().append_text(piece))  # a line of its own: its pieces must not share a style
    return lines
