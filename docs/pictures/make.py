"""Makes `live.svg`, the moving picture of a run that the README shows: `.venv/bin/python docs/pictures/make.py`.

The program runs as it is, in a terminal of 80 columns, against the simulated service of `scenario` below. The frames that it draws
are kept with their times, a few of them become the picture. So the picture is made anew by making it again; the figures in
it differ by what the machine does meanwhile. Takes a minute.

The picture is one SVG without scripts: frames are shown in turn by CSS keyframes. It follows the reader's light or dark
theme, and stands still where motion is not wanted.
"""

from __future__ import annotations

import asyncio
import fcntl
import html
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.server import Simulator

WIDTH, HEIGHT = 80, 24
FRAMES = 26
"""Of the run, besides its end."""
SECONDS, LAST = 0.7, 6.0
"""For which a frame is shown, and the last one."""
STILL = 0.55
"""The share of the run at which the picture stands still for readers who want no motion."""

SCENARIO = Scenario(
    seed=21,
    duration={"median": 2.6, "sigma": 0.6},
    rows={"min": 800, "max": 6000},
    latency=0.03,
    max_unfinished=14,
    download_rate=2_500_000,
    faults=[
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-partners", "nth": 8}, "times": 1},
        {"on": "create", "do": "status", "code": 429, "retry_after": 4, "match": {"nth": 62}, "times": 1},
        {"on": "download", "do": "truncate", "after": 0.6, "match": {"nth": 30}, "times": 1},
        {"on": "create", "do": "failed", "match": {"nth": 41}, "times": 1},
    ],
)
JOB = """
version: 1
name: support-backfill
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
request: {{timezone: Europe/Ljubljana}}
matrix:
  team: {{support: id-support, sales: id-sales, billing: id-billing, partners: id-partners, feedback: id-feedback}}
  window: {{every: month, from: 2023-01, to: 2024-12}}
limits: {{unfinished: 20, requests_per_second: 20, downloads: 4}}
polling: {{first: 1s, every: 1s, max: 5s}}
output: {{to: ./exports, path: "{{team}}/{{window}}.{{ext}}"}}
"""
COMMAND = "orchestrator run backfill.yaml"


@dataclass
class Recording:
    """Each frame is what stands on the screen: lines with their colours, as the terminal was told."""

    frames: list[list[str]] = field(default_factory=list)
    after: str = ""


async def record(folder: Path) -> Recording:
    """Runs the program on a terminal and keeps what it draws there."""
    async with Simulator(SCENARIO) as simulator:
        (folder / "backfill.yaml").write_text(JOB.format(url=simulator.base_url), encoding="utf-8")
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        environ = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "FORCE_COLOR")}
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("orchestrator"), "run", "backfill.yaml",
            cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=theirs,
            env=environ | {"TERM": "xterm-256color", "LOOP_API_TOKEN": "a-token-of-nobody"},
        )  # fmt: skip
        os.close(theirs)
        seen = await asyncio.to_thread(read_all, ours)
        await process.wait()
    return frames_of(seen)


def read_all(terminal: int) -> str:
    data = bytearray()
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # nobody holds the other end any more
            piece = b""
        if not piece:
            return data.decode()
        data += piece


def frames_of(seen: str) -> Recording:
    """The display writes each frame as one synchronised update (`progress/screen.py`); what comes after is the summary."""
    *updates, after = seen.split("\x1b[?2026l")
    recording = Recording(after=after)
    for update in updates:
        text = re.sub(r"\x1b\[(?:\?[0-9]+[hl]|[0-9]*[AJK])|\r", "", update.partition("\x1b[?2026h")[2])
        if text:
            recording.frames.append(text.split("\n"))
    return recording


# ---------------------------------------------------------------------------------------------------------- the picture

CELL, LINE, MARGIN = 8.4, 19, 16
STYLES = {"1": "b", "2": "d", "31": "r", "32": "g"}
"""Colours and weights that the display uses, and their classes."""


def picture(recording: Recording) -> str:
    chosen = [recording.frames[n * (len(recording.frames) - 1) // (FRAMES - 1)] for n in range(FRAMES)]
    end = recording.after.replace("\r", "").strip("\n").split("\n")
    screens = [[f"$ {COMMAND}", *lines] for lines in (*chosen, end)]
    rows = max(map(len, screens))
    width, height = round(WIDTH * CELL + 2 * MARGIN), rows * LINE + 2 * MARGIN
    whole = FRAMES * SECONDS + LAST
    parts, rules = [], []
    for n, screen in enumerate(screens):
        begin, until = 100 * n * SECONDS / whole, 100 * (n + 1) * SECONDS / whole if n < FRAMES else 100
        hidden = f"0%,{begin:.2f}%{{opacity:0}}" if n else ""
        gone = f"{until:.2f}%,100%{{opacity:0}}" if n < FRAMES else ""
        rules.append(f"@keyframes f{n}{{{hidden}{begin + 0.01:.2f}%,{until - 0.01:.2f}%{{opacity:1}}{gone}}}")
        rules.append(f"#f{n}{{animation:f{n} {whole:.1f}s infinite}}")
        drawn = "".join(line_of(line, row) for row, line in enumerate(screen))
        parts.append(f'<g id="f{n}" class="f">{drawn}</g>')
    return TEMPLATE.format(
        width=width, height=height, rules="".join(rules), still=round(STILL * FRAMES), frames="\n".join(parts),
        label=html.escape(f"A run of {COMMAND}: counts, a bar, and a grid of exports that fills until all is stored"),
    )  # fmt: skip


def line_of(line: str, row: int) -> str:
    """One line of the screen; each stretch of one style is as wide as its cells, whatever the font."""
    column, style, pieces = 0, "", []
    y = MARGIN + LINE * row + 14
    for token in re.findall(r"\x1b\[[0-9;]*m|[^\x1b]+", line):
        if token.startswith("\x1b"):
            style = " ".join(STYLES[code] for code in token[2:-1].split(";") if code in STYLES)
            continue
        for word in re.finditer(r"\S+(?: \S+)*", token):
            text, x = word[0], MARGIN + CELL * (column + word.start())
            named = f' class="{style}"' if style else ""
            length = f' textLength="{CELL * len(text):.1f}" lengthAdjust="spacingAndGlyphs"'
            pieces.append(f'<text x="{x:.1f}" y="{y}"{named}{length}>{html.escape(text)}</text>')
        column += len(token)
    return "".join(pieces)


TEMPLATE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">
<style>
rect{{fill:#fafafa;stroke:#d0d0d0}}
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#24292f;white-space:pre}}
.b{{font-weight:700}}.d{{opacity:.55}}.g{{fill:#1a7f37}}.r{{fill:#cf222e}}
@media (prefers-color-scheme:dark){{rect{{fill:#0d1117;stroke:#30363d}}text{{fill:#e6edf3}}.g{{fill:#3fb950}}.r{{fill:#f85149}}}}
.f{{opacity:0}}
@media (prefers-reduced-motion:no-preference){{{rules}}}
@media (prefers-reduced-motion:reduce){{#f{still}{{opacity:1}}}}
</style>
<rect x=".5" y=".5" width="{width}" height="{height}" rx="8"/>
{frames}
</svg>
"""


def main() -> None:
    target = Path(__file__).with_name("live.svg")
    with tempfile.TemporaryDirectory() as folder:
        drawn = picture(asyncio.run(record(Path(folder))))
    target.write_text(drawn, encoding="utf-8")
    print(f"{target}: {len(drawn.encode()) // 1000} kB")


if __name__ == "__main__":
    main()
