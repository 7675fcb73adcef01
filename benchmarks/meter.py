"""Runs a command and tells what it cost, as JSON in a file: `meter.py RESULT TREE COMMAND…` (TREE: 0 or 1).

A program of its own, and a small one: the system counts into a process's peak what the process that forked it held at
that moment, so a benchmark that has just read a large report would find every program large.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_SAMPLE_EVERY = 0.02


class Sampler:
    """Looks now and then how many bytes a process and its descendants hold together (Linux only; 0 elsewhere)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY):
            self._most = max(self._most, together(self._pid))

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._most


def together(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold now."""
    return sum(_resident(member) for member in _family(pid))


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                family += map(int, children.read_text().split())
            except OSError:  # it has just ended
                continue
    return family


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:  # it has just ended, or there is no such place on this system
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    result, tree, *command = sys.argv[1:]
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    sampler = Sampler(pid) if tree == "1" else None
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    peak = usage.ru_maxrss * _RSS_UNIT
    together = sampler.stop() if sampler is not None else 0
    figures = {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": peak,
        "tree": max(peak, together),
        "status": os.waitstatus_to_exitcode(status),
    }
    Path(result).write_text(json.dumps(figures), encoding="ascii")


if __name__ == "__main__":
    main()
