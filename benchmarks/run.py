"""All benchmarks in turn, and RESULTS.md with what they found.

    python -m benchmarks.run                          # the quick size, a quarter of an hour
    python -m benchmarks.run --full --rounds 3        # every case, two hours
    python -m benchmarks.run --only polling makespan  # the other sections of RESULTS.md stay as they are

Each section says by which command its figures were made. Every comparison runs its sides in turn against the simulated
service in another process, and ratios are taken round by round, so that a machine whose speed drifts favours nobody.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import say

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
PICTURES = HERE / "pictures"
MEMORY = Path("/dev/shm")  # noqa: S108  a folder in memory, not a name that somebody could guess
HEAD = """# Results

Made by `make bench` (`benchmarks/run.py`). Read the ratios, not the absolute times: the machines are small and shared, the service is
simulated and everything is on loopback. Unless a heading says otherwise, each figure is told as minimum, median and maximum of the rounds.
"""


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    program: str
    title: str
    about: str
    arguments: Callable[[bool, int], list[str]]
    """For the full size or the quick one, and so many rounds."""
    pictures: tuple[tuple[str, str], ...] = ()
    """Files in pictures/ and what they show."""


def _sized(full: bool, rounds: int) -> list[str]:
    return ["--rounds", str(rounds), *([] if full else ["--quick"])]


SECTIONS = (
    Section(
        "makespan",
        "makespan",
        "Makespan against the floor",
        "The floor is the best greedy schedule for the same durations by somebody who knows each of them and notices at once "
        "(`schedule.py`). The makespan is measured at the service, from the first request to the last byte. "
        "Polling is adaptive and begins without any knowledge. "
        "The aims: at most 1.08 for 0.37 s and 1.05 for 1.53 s at no more than 4 polls an export, 1.10 where answers take "
        "0.1 s, 1.05 for log-normal durations.",
        lambda full, rounds: ["--kind", "free", *_sized(full, rounds), "--pictures", str(PICTURES)],
        (
            ("timeline-short.svg", "400 exports of 0.37 s, 20 at a time"),
            ("timeline-wide.svg", "400 exports of log-normal durations, 20 at a time"),
        ),
    ),
    Section(
        "strict",
        "makespan",
        "A strict service",
        "5 requests a second, burst 5, at most 4 unfinished exports, durations log-normal 1 s / 0.5. The floor is the same, "
        "but it also takes a POST and one GET for each export out of the service's token bucket, the POST first where both "
        "wait. The aims for a client that was not told the limits (`limits: auto`): 1.25 for 100 exports and 1.18 for 300; less "
        "than 4 % of answers 429, and less than 1 % after the first minute; within 1.06 of the same client told the limits.",
        lambda full, rounds: ["--kind", "strict", *_sized(full, rounds), "--pictures", str(PICTURES)],
        (("timeline-strict-100.svg", "100 exports from a strict service whose limits nobody told"),),
    ),
    Section(
        "together",
        "together",
        "Two runs of one account",
        "The same exports in two runs at one time, on one machine, against one run that does all of them. Limits are not told "
        "(`limits: auto`); the runs tell each other what they find.",
        lambda _, rounds: ["--rounds", str(rounds)],
    ),
    Section(
        "polling",
        "polling",
        "Polls against delay",
        "In virtual time, for log-normal durations of median 30 s and sigma 0.8. The curve is the best that is possible for who "
        "knows this distribution, by dynamic programming over the ages at which to ask (`frontier.py`). The aims for "
        "`adaptive`: within 1.2 of that curve in a run that begins without knowledge, within 1.1 in the next one; and at no "
        "more polls than the vendor's rule, less delay.",
        lambda full, _: ["--runs", "25" if full else "9", "--pictures", str(PICTURES)],
        (("polling.svg", "The frontier and where each policy lies"),),
    ),
    Section(
        "transfer",
        "transfer",
        "From bytes to a verified file",
        "The aims: at least 1.3 times the throughput of `curl -o`, hashing and counting one after another, and at least 0.45 of "
        "our own path without the row count. That chain promises less: nothing of it is on the disk when it ends, so where the "
        "disk alone takes less than 1.3 times what the chain does, nobody who fsyncs reaches the aim. The next row is the "
        "same chain with our promise, and `/dev/shm` is memory, for the path without the disk.",
        lambda full, rounds: [
            *("--rounds", str(rounds), "--sizes", *(["64", "1000"] if full else ["64"])),
            *("--folder", tempfile.gettempdir(), *(str(path) for path in [MEMORY] if path.is_dir())),
        ],
    ),
    Section(
        "scale",
        "scale",
        "Many exports, big files, nothing to do",
        "The aims: 10,000 exports of 20 KB in less than 120 MB and with at most 4 ms of CPU and 2.5 polls each, the same at "
        "400; `plan` of 100,000 exports in 5 s, `--help` in 0.2 s, a run with nothing to do on 10,000 stored exports in 3 s; "
        "less than 80 MB for a file of any size, 120 MB with child processes.",
        _sized,
    ),
    Section(
        "display",
        "display",
        "The live display",
        "1,008 exports of 3 s, 50 at a time, on a terminal of 140 × 40, and the same run without a display. The display is measured "
        "within the program, the others are whole processes. The aim: at most 2 % of a processor.",
        lambda _, rounds: ["--rounds", str(rounds)],
    ),
    Section(
        "peers",
        "peers",
        "The same job done by others",
        "",
        lambda full, rounds: ["--rounds", str(rounds), "--exports", "16" if full else "12"],
    ),
)


def play(section: Section, *, full: bool, rounds: int) -> str:
    """Runs one benchmark and gives its section of RESULTS.md."""
    arguments = section.arguments(full, rounds)
    command = [sys.executable, "-m", f"benchmarks.{section.program}", *arguments]
    say(f"benchmarks.{section.program} …")
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"benchmarks.{section.program} ended with {done.returncode}")
    shown = " ".join(word for word in arguments if word not in ("--pictures", str(PICTURES)))
    made = f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} processors"
    lines = [section.about, "", f"`python -m benchmarks.{section.program} {shown}` ({made})", "", done.stdout.strip()]
    for file, about in section.pictures:
        if (PICTURES / file).exists():
            lines += ["", f"![{about}](pictures/{file})"]
    return "\n".join(lines).strip()


def compose(sections: dict[str, str]) -> str:
    """RESULTS.md from its sections by title."""
    return "\n".join([HEAD, *(f"## {title}\n\n{text}\n" for title, text in sections.items())])


def read(text: str) -> dict[str, str]:
    """The sections of a RESULTS.md by title."""
    parts = text.split("\n## ")[1:]
    return {title: body.strip() for title, _, body in (part.partition("\n") for part in parts)}


def in_order(found: dict[str, str]) -> dict[str, str]:
    """The sections in the order of `SECTIONS`, after those that somebody has written by hand."""
    made = {section.title: found[section.title] for section in SECTIONS if section.title in found}
    return {title: text for title, text in found.items() if title not in made} | made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every case, and large figures")
    parser.add_argument("--rounds", type=int, default=1)
    names = [section.name for section in SECTIONS]
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=names, default=names)
    args = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    old = read(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for section in SECTIONS:
        if section.name in args.only:
            old[section.title] = play(section, full=args.full, rounds=args.rounds)
            RESULTS.write_text(compose(in_order(old)), encoding="utf-8")


if __name__ == "__main__":
    main()
