"""What a person reads when a run has ended: `orchestrator.run/1` in words.

Failures come first after the outcome, each with its hint; then figures; then what to do next. It fits 80 columns
and needs no colour to be understood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from orchestrator.progress.ending import limits_found, next_step, verdict, why
from orchestrator.progress.failures import failures, paragraph
from orchestrator.progress.words import count, printable, size, took

TABLE_ROWS = 12
LABEL_CELLS = 28

_STYLES = {"succeeded": "bold green", "failed": "bold red"}


def print_summary(report: Mapping[str, Any], console: Console, *, manifest: str | None = None) -> None:
    """Prints the summary of a run report. `manifest` is where the manifest lies, as the user would type it."""
    exports = [_brief(export) for export in report["exports"]]
    counts = Counter(export["state"] for export in exports)
    outcome = report["outcome"]
    _say(console, printable(f"{report['job']}: {verdict(outcome, counts)}"), style=_STYLES.get(outcome, "bold"))
    reason = why(report)
    if reason:
        _say(console, printable(reason), indent=2)
    told = _counts(counts)
    if told:
        _say(console, told, indent=2)
    _failures(console, [export for export in exports if export["state"] == "failed"])
    table = _table(exports)
    if table:
        console.print()
        for n, line in enumerate(table):
            console.print(Text(f"  {line}", "" if n else "bold"), no_wrap=True)
    _figures(console, report, [export for export in exports if export["state"] == "stored"])
    if manifest and any(export["state"] in ("stored", "renamed", "skipped") for export in exports):
        # Only the terminal may wrap this line: it is there to be copied.
        console.print(Text(f"  Every file, with its sha256: {printable(manifest)}"), soft_wrap=True)
    failed = [export["error"] for export in exports if export["state"] == "failed"]
    step = next_step(report, {error["code"] for error in failed if error})
    if step:
        console.print()
        _say(console, f"Next: {printable(step)}", style="bold")


def _brief(export: Mapping[str, Any]) -> Mapping[str, Any]:
    """As much of an export as a summary looks at.

    The report counts a renamed file among those that need nothing from the service; a person sees that it has moved.
    """
    if export["state"] == "failed":
        return export
    renamed = export["action"] == "move" and export["state"] == "skipped"
    state = "renamed" if renamed else export["state"]
    return {"state": state, **{name: export[name] for name in ("coordinates", "bytes", "rows")}}


def _counts(counts: Counter[str]) -> str | None:
    """None where the verdict has said it all."""
    words = {
        "stored": "stored",
        "renamed": "renamed",
        "failed": "failed",
        "pending": "pending",
        "skipped": "needed nothing",
    }
    pieces = [f"{counts[state]:,} {word}" for state, word in words.items() if counts[state]]
    if len(pieces) == 1 and (counts["stored"] or counts["renamed"] or counts["skipped"]):
        return None
    return f"{', '.join(pieces) or 'none'}, of {count(counts.total(), 'export')} planned"


def _failures(console: Console, failed: Sequence[Mapping[str, Any]]) -> None:
    if failed:
        console.print()
        _print(console, failures(failed, console.width, more="see `orchestrator status`"))


def _table(exports: Sequence[Mapping[str, Any]]) -> list[str]:
    """States and sizes by the first axis that groups the exports into a few; empty if none does."""
    axis = _axis(exports)
    if axis is None:
        return []
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for export in exports:
        groups.setdefault(export["coordinates"].get(axis, "-"), []).append(export)
    seen = {export["state"] for export in exports}
    if not seen & {"stored", "failed"}:
        return []  # a table of what did not happen would push what did out of sight
    columns = [state for state in ("stored", "renamed", "failed", "pending", "skipped") if state in seen]
    rows = [[axis, *("no need" if state == "skipped" else state for state in columns)]]
    if "stored" in seen:
        rows[0] += ["size", "rows"]
    for name, members in groups.items():
        states = Counter(export["state"] for export in members)
        row = [printable(name), *(f"{states[state]:,}" for state in columns)]
        if "stored" in seen:
            stored = [export for export in members if export["state"] == "stored"]
            row += [size(sum(export["bytes"] or 0 for export in stored)), _rows(stored)]
        rows.append(row)
    return _columns(rows)


def _axis(exports: Sequence[Mapping[str, Any]]) -> str | None:
    labels: dict[str, set[str]] = {}
    for export in exports:
        for axis, value in export["coordinates"].items():
            labels.setdefault(axis, set()).add(value)
    most = min(TABLE_ROWS, len(exports) - 1)
    return next((axis for axis, values in labels.items() if 1 < len(values) <= most), None)


def _rows(stored: Sequence[Mapping[str, Any]]) -> str:
    # Workbooks that were not counted have no rows: a figure would claim that they are empty.
    return "-" if any(export["rows"] is None for export in stored) else f"{sum(e['rows'] for e in stored):,}"


def _columns(rows: list[list[str]]) -> list[str]:
    """Aligned by terminal cells, names to the left and figures to the right, without trailing blanks."""
    widths = [max(cell_len(row[n]) for row in rows) for n in range(len(rows[0]))]
    widths[0] = min(widths[0], LABEL_CELLS)
    lines = []
    for first, *rest in rows:
        name = first if cell_len(first) <= widths[0] else set_cell_size(first, widths[0] - 1) + "…"
        figures = "".join(f"  {figure:>{width}}" for figure, width in zip(rest, widths[1:], strict=True))
        lines.append(set_cell_size(name, widths[0]) + figures)
    return lines


def _figures(console: Console, report: Mapping[str, Any], stored: Sequence[Mapping[str, Any]]) -> None:
    for n, line in enumerate(_figure_lines(report, stored)):
        if not n:
            console.print()
        _say(console, line, indent=2)


def _figure_lines(report: Mapping[str, Any], stored: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    api, counts = report["api"], report["counts"]
    elapsed = datetime.fromisoformat(report["finished_at"]) - datetime.fromisoformat(report["started_at"])
    seconds = took(elapsed.total_seconds())
    if counts["stored"]:
        rows = _rows(stored)
        amount = size(report["bytes"]) if rows == "-" else f"{size(report['bytes'])} and {count(report['rows'], 'row')}"
        yield f"{amount} stored in {seconds}"
    elif api["posts"] or api["polls"] or counts["pending"] or counts["failed"]:
        yield f"Nothing was stored; it took {seconds}"
    if api["posts"] or api["polls"]:
        asked = f"Requests to Loop: {count(api['posts'], 'creation')}, {count(api['polls'], 'poll')}"
        yield f"{asked}, {api['throttled']:,} throttled (429), {count(api['errors'], 'error')}"
    if found := limits_found(report):
        yield f"Limits found: {found}"
    duplicates = api["possible_duplicates"]
    if duplicates:
        yield (
            f"{count(duplicates, 'possible duplicate')}: creations that got no readable answer, in this run or an earlier "
            "one. Loop may have made exports that nobody collects; the stored files are not affected."
        )


def _say(console: Console, text: str, *, indent: int = 0, style: str = "") -> None:
    _print(console, paragraph(text, console.width, indent=indent, style=style))


def _print(console: Console, lines: Iterable[Text]) -> None:
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
