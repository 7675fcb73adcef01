"""How fast bytes become a verified file, and in how much memory.

    python benchmarks/transfer.py [--sizes 64 1000] [--rounds 5] [--memory 64 1000]

A static file host runs in a process of its own; each transfer runs in a new process, which times itself from the request
to the finished file, so imports are in none of the figures. The sides run in turn, and ratios are taken round by round.

verified     the program's own path: received, sha256, every row checked and counted, fsynced, renamed
uncounted    the same without the look at the rows
one by one   `curl -o`, then hashlib, then orjson on pieces of 64 KiB cut between rows; nothing fsynced
whole        plain aiohttp: the body read whole, hashlib, orjson, written

`--memory` runs the whole program against `orchestrator simulate`, and tells its peak (child processes included).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MB = 1_000_000
ROW = 600
PIECE = 64 * 1024
BLOCK = 1024 * 1024

JOB = """
version: 1
name: benchmark
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
matrix:
  window: {{every: month, from: 2025-01, to: 2025-01}}
polling: {{first: 0.3s, every: 0.3s, jitter: 0}}
output: {{to: ./out}}
"""


# ---------------------------------------------------------------------------------------------------------- the sides


async def verified(url: str, folder: Path) -> tuple[float, Any]:
    from orchestrator.api.files import FileHost
    from orchestrator.api.network import Network
    from orchestrator.cli.wiring import Contents
    from orchestrator.engine.clock import SystemClock
    from orchestrator.engine.ports import SignedUrl
    from orchestrator.engine.transfer import Transfers
    from orchestrator.storage.local import LocalStorage

    state = folder / "state"
    state.mkdir()
    network = Network(proxy="none")
    async with (
        FileHost(url, network=network, clock=SystemClock()) as files,
        LocalStorage(folder / "out", state) as storage,
    ):
        transfers = Transfers(files, storage, Contents(), kept=1)
        began = time.perf_counter()
        digest, temp = await transfers.fetch(("k", 0), SignedUrl(url), "json", lambda _received, _total: None)
        await storage.place(temp, "file.json")
        seconds = time.perf_counter() - began
    return seconds, (digest.sha256, digest.rows)


class _NoRows:
    """Stands in for `JsonRows`: looks at nothing."""

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> None:
        return None


async def uncounted(url: str, folder: Path) -> tuple[float, Any]:
    from orchestrator.content import checker

    checker.JsonRows = _NoRows  # type: ignore[assignment,misc]
    return await verified(url, folder)


async def one_by_one(url: str, folder: Path) -> tuple[float, Any]:
    import orjson

    target = folder / "file.json"
    began = time.perf_counter()
    curl = await asyncio.create_subprocess_exec("curl", "--silent", "--fail", "--output", target, url)
    if await curl.wait() != 0:
        sys.exit("curl failed")
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    rows = 0
    with target.open("rb") as file:
        file.read(1)
        rest = b""
        while block := file.read(PIECE):
            rest += block
            cut = rest.rfind(b"},\n") + 1
            rows += len(orjson.loads(b"[" + rest[:cut] + b"]"))
            rest = rest[cut + 1 :]
        rows += len(orjson.loads(b"[" + rest))
    return time.perf_counter() - began, (sha256, rows)


async def whole(url: str, folder: Path) -> tuple[float, Any]:
    import aiohttp
    import orjson

    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        async with session.get(url) as answer:
            data = await answer.read()
        rows = len(orjson.loads(data))
        sha256 = hashlib.sha256(data).hexdigest()
        (folder / "file.json").write_bytes(data)
        return time.perf_counter() - began, (sha256, rows)


SIDES = {side.__name__: side for side in (verified, uncounted, one_by_one, whole)}


def run_side(name: str, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds, found = asyncio.run(SIDES[name](url, Path(folder)))
    print(json.dumps([seconds, found]))


# ------------------------------------------------------------------------------------------------------ the file host


def serve(path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802  the library's word
            with path.open("rb") as file:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
                self.end_headers()
                self.connection.sendfile(file)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}/file.json", flush=True)
    server.serve_forever()


def make_file(path: Path, size: int) -> None:
    """The simulator's rows, so that this file and the one of `orchestrator simulate` are alike."""
    from orchestrator.simulator.question import read_question
    from orchestrator.simulator.rows import Rows
    from orchestrator.simulator.scenario import Scenario

    month = {"timezone": "UTC", "start": 1735689600, "end": 1738368000, "resultFormat": "Json"}
    rows = Rows(read_question(month), Scenario(rows=size // ROW, row_bytes=ROW))
    with path.open("wb") as file:
        for block in rows.blocks(0, rows.length):
            file.write(block)


class Process:
    """A server of this file or of the program, which says its URL in its first line."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


# -------------------------------------------------------------------------------------------------------- the figures


def transfers(size: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, round by round. All sides must have seen the same bytes and rows."""
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.json"
        make_file(path, size)
        with Process(__file__, "--serve", str(path)) as url:
            for turn in range(rounds):
                names = list(SIDES)
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    done = subprocess.run(
                        [sys.executable, __file__, "--side", name, url], check=True, capture_output=True, text=True
                    )
                    took, found = json.loads(done.stdout)
                    print(name, round(size/took/1e6), found, file=sys.stderr)
                    seconds[name].append(took)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--side", nargs=2)
    a = parser.parse_args()
    if a.serve: return serve(a.serve)
    if a.side: return run_side(*a.side)
    for s in a.sizes:
        r = transfers(s*MB, a.rounds)
        for n in ("one_by_one","whole"): print(s, n, sorted(x/y for x,y in zip(r[n], r["verified"])))
        print(s,"unc/ver", sorted(x/y for x,y in zip(r["uncounted"], r["verified"])))
if __name__ == "__main__":
    main()
