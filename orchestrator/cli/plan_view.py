"""A plan as people read it: the grid, why, how many, what is left out, and what it will take."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from orchestrator.cli import say
from orchestrator.cli.styled import Stdout
from orchestrator.engine.plan import Action, Item
from orchestrator.progress.grid import Grid, Mark, legend
from orchestrator.progress.words import about, clock_in_zone, count, printable, size

if TYPE_CHECKING:
    from orchestrator.cli.survey import Survey
    from orchestrator.cli.task import Task
    from orchestrator.engine.forecast import Forecast, Range

LISTED = 12
"""Exports up to which a list tells more than a grid."""
HEIGHT = 40
"""Lines of a grid: what a screen shows, and a log can bear."""
REASONS = 8
"""Reasons that are told without --verbose."""

_COUNTED = {
    Action.RUN: "to run",
    Action.REPLACE: "to replace",
    Action.MOVE: "to move",
    Action.WAIT: "waiting for their window to end",
    Action.SKIP: "stored",
    Action.REFUSED: "refused by the service before",
    Action.LEFT_OVER: "left over",
    Action.NOT_IN_JOB: "stored but not in this job",
}


def show(task: Task, found: Survey, *, verbose: bool) -> None:
    """The grid, the list and the reasons on stdout; what is said about them on stderr."""
    stdout = Stdout()
    few = len(found.items) <= LISTED
    if few or verbose:
        rows = [(_action(item), _label(item), printable(item.reason)) for item in found.items]
        for line in say.table(rows, width=say.terminal_width()):
            say.result(line)
    if not few:
        if verbose:
            say.result("")
        stdout.print(_grid(found, stdout))
        if not verbose:
            stdout.print(_reasons(found, stdout))
    for told in (_counts(task, found.items), _left_out(found), *_forecast(task, found)):
        if told:
            say.people(say.hanging(told, indent=0, hang=2))
    if not few and not verbose:
        say.people("--verbose lists every export with its reason, --json tells all of them.")


def _grid(found: Survey, stdout: Stdout) -> list[Text]:
    # What the job no longer names may have other axes, and is told by its count.
    cells = [(item.coordinates, mark) for item, mark in zip(found.items, found.marks, strict=True) if item.export]
    marks = [mark for _, mark in cells]
    lines = Grid(coordinates for coordinates, _ in cells).lines(
        marks, stdout.width, HEIGHT, ascii_only=stdout.ascii_only
    )
    return [*lines, *legend(Counter(marks), stdout.width, ascii_only=stdout.ascii_only)]


def _label(item: Item) -> str:
    return printable(" ".join(label for _, label in item.coordinates))


def _action(item: Item) -> str:
    return "skipped" if item.action in (Action.WAIT, Action.SKIP) else item.action.value


def _reasons(found: Survey, stdout: Stdout) -> list[Text]:
    """Why, with the number of exports it holds for: what goes without saying is left out, what is alike put together."""
    kinds: dict[tuple[Mark, str], Counter[str]] = {}
    for item, mark in zip(found.items, found.marks, strict=True):
        if item.reason not in _PLAIN and item.action not in _TOLD_BY_COUNTS:
            reason = printable(item.reason)
            kinds.setdefault((mark, _KIND.split(reason, 1)[0]), Counter())[reason] += 1
    worst_first = sorted(kinds.items(), key=lambda each: (-each[0][0].rank, -each[1].total()))
    lines = []
    for (mark, _), reasons in worst_first[:REASONS]:
        n, (first, alike) = reasons.total(), reasons.most_common(1)[0]
        told = f"{n:,} {first if alike == n else f'for reasons such as: {first}'}"
        begin, *further = textwrap.wrap(told, max(20, stdout.width - 4), break_on_hyphens=False)
        sign = mark.ascii if stdout.ascii_only else mark.sign
        lines.append(Text("  ").append(sign, mark.style).append(f" {begin}"))
        lines += [Text(f"    {each}") for each in further]
    if len(worst_first) > REASONS:
        lines.append(Text(f"  and {count(len(worst_first) - REASONS, 'more reason')}; --verbose tells all"))
    return lines


_KIND = re.compile("[:;] ")
_PLAIN = frozenset({"new", "stored"})
_TOLD_BY_COUNTS = frozenset({Action.WAIT, Action.NOT_IN_JOB})


def _counts(task: Task, items: Sequence[Item]) -> str:
    counts = Counter(item.action for item in items)
    words = ", ".join(f"{n:,} {_COUNTED[action]}" for action, n in counts.items())
    return f"{task.name}: {words}. Output: {task.root}, e.g. {items[0].path}"


def _left_out(found: Survey) -> str | None:
    n = sum(found.left_out.values())
    if not n:
        return None
    total = n + sum(item.export is not None for item in found.items)
    return f"The selection leaves out {n:,} of {total:,} exports: {_marks(found.left_out)}."


def _marks(counts: Mapping[Mark, int]) -> str:
    return ", ".join(f"{n:,} {mark.word}" for mark, n in sorted(counts.items(), key=lambda each: each[0].rank))


# --------------------------------------------------------------------------------------------------------- forecast


def _forecast(task: Task, found: Survey) -> list[str]:
    told = found.forecast
    if told is None:
        if found.has_work:
            return ["Nothing to ask of the service: files are renamed, that is all."]
        if any(item.action is Action.REFUSED for item in found.items):
            return ["Nothing to do: what was refused is asked for once the job asks otherwise, or with --only failed."]
        return ["Nothing to do."]
    parts = [count(told.posts, "creation")] if told.posts else []
    if told.collected:
        parts.append(f"{told.collected:,} under way")
    parts.append(f"{_range(told.polls)} polls" if told.polls.high > 1 else "a poll at most")
    lines = [
        f"Forecast: {', '.join(parts)}; {_time(told.seconds)}; "
        + (f"{_bytes(told.bytes)} to download." if told.bytes else "sizes are not known yet.")
    ]
    lines.append(_grounds(task, told))
    if found.paused_until:
        parks = found.parks_until(task.limits.longest_pause)
        meanwhile = "a run would park at once (exit 3): run it after that" if parks else "a run waits for that first"
        until = clock_in_zone(found.paused_until, found.at)
        lines.append(f"The service has asked for silence until {until}; {meanwhile}.")
    return lines


def _grounds(task: Task, told: Forecast) -> str:
    """What the forecast rests on, and what would make it wrong."""
    if not told.lessons:
        guess = f"`polling.first` ({task.polling.first:g} s an export, or a third, or three times that)"
        files = f" Sizes are those of {count(told.files, 'stored file')}." if told.files else ""
        return f"A guess: nothing is learned yet, so it goes by {guess} and by {_LIMITS[told.limits]}.{files}"
    of = "" if told.same_length else " of windows of another length"
    sizes = f", {count(told.files, 'stored file')} (sizes)" if told.files else ""
    return f"From {count(told.lessons, 'earlier export')}{of} (how long they took){sizes}, and {_LIMITS[told.limits]}."


_LIMITS = {
    "found": "limits that earlier runs have found",
    "given": "the limits of the job file",
    "open": "limits that have still to find themselves",
}


def _range(found: Range) -> str:
    low, high = _rounded(found.low), _rounded(found.high)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _rounded(n: float) -> int:
    """To two figures: no forecast knows more."""
    whole = max(1, round(n))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return round(whole / step) * step


def _time(found: Range) -> str:
    return _between(about(found.low), about(found.high).removeprefix("about ")) or about(found.high)


def _bytes(found: Range) -> str:
    return _between(size(found.low), size(found.high)) or size(found.high)


def _between(low: str, high: str) -> str | None:
    """`18 to 21 MB`, `about 5 min to 1 h 20 min`; None if both are the same in words."""
    if low.removeprefix("about ") == high:
        return None
    number, _, unit = high.partition(" ")
    same = unit.isalpha() and low.endswith(f" {unit}")
    return f"{low.removesuffix(f' {unit}')} to {number} {unit}" if same else f"{low} to {high}"
