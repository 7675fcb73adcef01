"""What the live display costs: a run on a terminal beside the same run without a display.

    python -m benchmarks.display             # 1,008 exports of 3 s, 50 at a time; three rounds of two minutes
    python -m benchmarks.display --rounds 1

Told as shares of one processor for as long as the run takes. The display's own is measured within the program (`metered_display.py`):
what it is told, what it makes of that, what it writes. The difference of the two whole processes is no measure of it: what the exports
cost varies by more from run to run. Polls are set to come once an export, so that both sides do the same.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import struct
import sys
import termios
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ENVIRONMENT, Cost, header, measured, row, say, scratch, spread
from benchmarks.service import service

PROGRAM = Path(__file__).resolve().with_name("metered_display.py")
COLUMNS, ROWS = 140, 40
MONTHS, TEAMS = 84, 12
PICTURE = b"\x1b[?2026h"
"""What each picture begins with: the terminal shows it when it is whole."""
JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  team: [{teams}]
  window: {{every: month, from: 2018-01, to: 2024-12}}
limits: {{unfinished: 50, requests_per_second: 1000, downloads: 8}}
polling: {{policy: backoff, first: 3.1s, jitter: 0}}
output: {{to: ./out}}
"""


class Terminal:
    """A terminal that nobody looks at: what is written to it is read at once, and kept."""

    def __init__(self, ours: int) -> None:
        self.seen = bytearray()
        self._ours = ours
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Linux ends with an error when nobody holds the other end any more, other systems with nothing.
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65536):
                self.seen += data

    def over(self) -> None:
        self._reader.join()


@contextlib.contextmanager
def terminal() -> Iterator[tuple[Terminal, int]]:
    """A terminal, and the end of it that a program writes to. It has been read to its end when the block is left."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    found = Terminal(ours)
    try:
        yield found, theirs
    finally:
        os.close(theirs)
        found.over()
        os.close(ours)


def side(*, shown: bool) -> tuple[Cost, float, bytes]:
    """A run of all exports, the seconds of processor time that went into its display, and what that wrote to the terminal."""
    with scratch() as name, service(Path(name), {"duration": 3.0, "rows": 5}) as url:
        folder = Path(name)
        teams = ", ".join(f"id-{n}" for n in range(TEAMS))
        (folder / "job.yaml").write_text(JOB.format(url=url, teams=teams), encoding="utf-8")
        run: list[str | Path] = [sys.executable, PROGRAM, folder / "spent", "run", "job.yaml", "--json"]
        if shown:
            with terminal() as (there, theirs):
                # A pipeline's runner is shown lines, and no pictures.
                cost = measured(run, folder, env=ENVIRONMENT | {"CI": "", "TERM": "xterm-256color"}, stderr=theirs)
            seen = bytes(there.seen)
        else:
            cost, seen = measured([*run, "--no-progress"], folder), b""
        counts = json.loads(cost.output)["counts"]
        assert counts["stored"] == MONTHS * TEAMS, counts
        spent = float((folder / "spent").read_text(encoding="ascii"))
    return cost, spent, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for n in range(args.rounds):
        say(f"round {n + 1}: {MONTHS * TEAMS:,} exports, without a display and with one")
        plain, nothing, _ = side(shown=False)
        shown, spent, seen = side(shown=True)
        pictures = seen.count(PICTURE)
        assert pictures > 0 == nothing, "one side draws, the other does not"
        figures["the display, % of a processor"].append(100 * spent / shown.seconds)
        figures["the whole run with a display, % of a processor"].append(100 * shown.cpu / shown.seconds)
        figures["the whole run without, % of a processor"].append(100 * plain.cpu / plain.seconds)
        figures["pictures a second"].append(pictures / shown.seconds)
        figures["written to the terminal, KB a second"].append(len(seen) / shown.seconds / 1000)
        figures["the run, s"].append(shown.seconds)
    lines = header("figure", "min", "median", "max")
    print("\n".join([*lines, *(row(name, spread(values)) for name, values in figures.items())]))


if __name__ == "__main__":
    main()
