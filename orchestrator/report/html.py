"""A run record as one HTML file that needs nothing else: no network, no other file, and no script to be read.

The page allows itself exactly one style and one script, by their hashes; whatever a label or a message held, it would not
be run. Everything that is put into the template is escaped there (jinja2's autoescape), and cleared of control and
bidi characters on its way.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.progress.words import count, label, printable, size, took
from orchestrator.report import pictures
from orchestrator.report.record import STANDINGS, Export, failures, seconds_taken, standing, story

LISTED = 3000
"""Exports in the table; of more, those that failed or are not done come first."""
NAMED = 40
"""Exports that are named of those that failed for one reason."""


def render(record: Mapping[str, Any]) -> str:
    """The report of a run. Its size grows with the exports up to `LISTED` of them, and little beyond."""
    exports: Sequence[Export] = list(record["exports"])
    seconds = seconds_taken(record)
    page = _environment().get_template("report.html.j2")
    return page.render(
        record=record,
        story=story(record),
        seconds=seconds,
        failures=failures(exports),
        named=NAMED,
        axes=_axes(exports),
        grid=pictures.draw_grid(exports),
        stages=pictures.draw_stages(exports, seconds),
        load=pictures.draw_load(exports, seconds),
        requests=pictures.draw_requests(record.get("history") or (), seconds),
        ticks=pictures.ticks(seconds),
        chart=pictures.CHART,
        rows=_rows(exports, seconds),
        total=len(exports),
        standings=STANDINGS,
        stage_words=pictures.STAGES,
        width=pictures.WIDTH,
        gutter=pictures.GUTTER,
        label=label,
    )


def _axes(exports: Sequence[Export]) -> list[str]:
    return list(dict.fromkeys(axis for export in exports for axis in export["coordinates"]))


def _rows(exports: Sequence[Export], seconds: float) -> list[tuple[int, Export, str, Mapping[str, float]]]:
    """What the table lists: number, export, standing, seconds by stage. All of them in the plan's order, if they have room."""
    order = {name: n for n, name in enumerate(STANDINGS)}
    told = [(n, export, standing(export).name) for n, export in enumerate(exports)]
    if len(told) > LISTED:
        told = sorted(sorted(told, key=lambda row: order[row[2]])[:LISTED], key=lambda row: row[0])
    return [(n, export, name, _waited(export, seconds)) for n, export, name in told]


def _waited(export: Export, seconds: float) -> Mapping[str, float]:
    groups = {"queued": "queued", "service": "loop", "notice": "loop", "ready": "transfer", "transfer": "transfer"}
    waited: dict[str, float] = {}
    for name, begin, end in pictures.spans(export, seconds):
        waited[groups[name]] = waited.get(groups[name], 0.0) + end - begin
    return waited


def _with_code(text: str) -> Markup:
    """`text` escaped, with what stands between backticks as code."""
    pieces = printable(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(printable(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if n % 2 else piece for n, piece in enumerate(pieces)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, filesize=size, took=took, code=_with_code, px=lambda value: f"{value:.1f}".removesuffix(".0")
    )
    for name in ("style", "script"):
        text = _text(f"report.{'css' if name == 'style' else 'js'}").strip()
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        environment.globals[name] = Markup(text)  # noqa: S704  our own file
        environment.globals[f"{name}_hash"] = f"'sha256-{digest}'"
    return environment


def _text(name: str) -> str:
    return files("orchestrator.report").joinpath(name).read_text(encoding="utf-8")
