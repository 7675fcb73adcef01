"""The live display's picture: a tally and a moment in, lines of text out. Pure; `live.py` puts it on a terminal.

Nothing here is understood by colour alone, and only the terminal's own red, green and bold are used, which every
light or dark theme keeps readable. Pieces are never broken within: a narrow terminal gets more lines, up to `ROWS`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from orchestrator.progress import alerts
from orchestrator.progress.tally import ProblemSeen, Tally
from orchestrator.progress.words import about, clock, count, size, span

ROWS = 12
WIDEST = 100
"""Wider lines are no easier to read, and on a terminal that is made narrower they would wrap."""


def picture(tally: Tally, now: float, width: int, *, ascii_only: bool = False) -> list[Text]:
    """At most `ROWS` lines, none wider than `width` cells."""
    width = max(1, min(width, WIDEST))
    lines = _flow(_head(tally, now), width)
    lines.append(_bar(tally, width, ascii_only=ascii_only))
    lines += _flow(_stages(tally), width)
    for pieces in _alerts(tally, now):
        lines += _flow((Text(piece, "bold") for piece in pieces), width, joint=", ")
    lines += _flow(_facts(tally, now), width)
    room = max(0, ROWS - len(lines))
    if tally.problems and room:
        lines += [_problem(seen, now) for seen in list(tally.problems)[-room:]]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    return lines[:ROWS]


def _head(tally: Tally, now: float) -> Iterable[Text]:
    if tally.job:
        yield Text(tally.job, "bold")
    yield Text(f"{tally.stored:,} of {tally.total:,} stored")
    remaining = tally.remaining(now)
    if remaining is not None:
        yield Text(f"{about(remaining)} left")


def _bar(tally: Tally, width: int, *, ascii_only: bool) -> Text:
    done, rest = ("#", "-") if ascii_only else ("━", "─")
    total = tally.total or 1
    finished = width * (tally.stored + tally.failed) // total
    # One failure in thousands still shows, as soon as anything does.
    failed = min(finished, -(-width * tally.failed // total))
    return Text.assemble(
        (done * (finished - failed), "green"), (done * failed, "red"), (rest * (width - finished), "dim")
    )


def _stages(tally: Tally) -> Iterable[Text]:
    stages = (
        ("waiting", tally.waiting, ""),
        ("at Loop", tally.at_loop, ""),
        ("ready", tally.ready, ""),
        ("downloading", tally.downloading, ""),
        ("stored", tally.stored, "green"),
        ("failed", tally.failed, "bold red"),
    )
    for name, n, style in stages:
        yield Text(f"{n:,} {name}", style if n else "dim")
    if tally.moves:
        yield Text(f"{count(tally.renamed, 'file')} renamed", "green" if tally.renamed else "dim")


def _facts(tally: Tally, now: float) -> Iterable[Text]:
    rate = tally.rate(now)
    received = f"{size(tally.bytes_received)} received"
    yield Text(f"{received}, {size(rate)}/s" if rate else received)
    sent = tally.requests
    yield Text(f"requests: {sent['create']:,} create, {sent['poll']:,} poll, {sent['fetch']:,} fetch")
    if tally.started_at is not None:
        yield Text(f"{span(now - tally.started_at)} elapsed")


def _alerts(tally: Tally, now: float) -> Iterable[list[str]]:
    if tally.parking is not None:
        yield alerts.parking(tally.parking)
    for told in tally.outages.values():
        yield alerts.outage(told, now)
    paused = alerts.pause(tally, now)
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


def _problem(seen: ProblemSeen, now: float) -> Text:
    style = "red" if seen.again_at is None else ""
    return Text.assemble((f"{clock(seen.at)} ", "dim"), (alerts.problem(seen, now), style))
