"""How fast bytes become a verified file.

    python -m benchmarks.transfer [--sizes 64 1000] [--rounds 3] [--folder /var/tmp /dev/shm]

A static file host runs in a process of its own, so that it does not slow anybody down. Each transfer runs in a new process,
which times itself from the request to the finished file: its start-up is in none of the figures. The sides run in turn, and
ratios are taken round by round.

Files lie in `--folder`, on a disk unless it is told otherwise. Who makes his file durable waits for that disk, and who does
not never meets it: his file is gone before the system has written a byte. So there is a row for what the disk alone
takes, and a folder in memory (`/dev/shm`) shows the path without it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import aiohttp
import orjson

from benchmarks.measure import MB, header, measured, row, say, scratch, spread
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.cli.wiring import Contents
from orchestrator.content import checker
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.ports import SignedUrl
from orchestrator.engine.transfer import Transfers
from orchestrator.simulator.question import read_question
from orchestrator.simulator.rows import Rows
from orchestrator.simulator.scenario import Scenario
from orchestrator.storage.local import LocalStorage

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, "-m", "benchmarks.transfer")
ROW = 600
PIECE = 64 * 1024
BLOCK = 1024 * 1024
MONTH = {"timezone": "UTC", "start": 1735689600, "end": 1738368000, "resultFormat": "Json"}

Found = tuple[float, str, int | None]
"""Seconds from the request to the finished file, its sha256, its rows."""


# ---------------------------------------------------------------------------------------------------------- the sides


async def verified(url: str, folder: Path) -> Found:
    """The program's own path, from the signed URL to the renamed file."""
    state = folder / "state"
    state.mkdir()
    async with (
        FileHost(url, network=Network(proxy="none"), clock=SystemClock()) as files,
        LocalStorage(folder / "out", state) as storage,
    ):
        transfers = Transfers(files, storage, Contents(), kept=1)
        began = time.perf_counter()
        digest, temp = await transfers.fetch(("k", 0), SignedUrl(url), "json", lambda _received, _total: None)
        await storage.place(temp, "file.json")
        return time.perf_counter() - began, digest.sha256, digest.rows


class _NoLook:
    """Stands in for `JsonRows`."""

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> None:
        return None


async def uncounted(url: str, folder: Path) -> Found:
    """The same without a look at the rows."""
    setattr(checker, "JsonRows", _NoLook)  # noqa: B010  another class on purpose
    return await verified(url, folder)


async def one_by_one(url: str, folder: Path) -> Found:
    """What a careful script does."""
    return await _chain(url, folder, durable=False)


async def durable(url: str, folder: Path) -> Found:
    """What it does if it promises as much as the program."""
    return await _chain(url, folder, durable=True)


async def _chain(url: str, folder: Path, *, durable: bool) -> Found:
    path = folder / "file.json"
    began = time.perf_counter()
    curl = await asyncio.create_subprocess_exec("curl", "--silent", "--fail", "--output", path, url)
    if await curl.wait() != 0:
        sys.exit("curl failed")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    rows, rest = 0, b""
    with path.open("rb") as file:
        file.read(1)
        while piece := file.read(PIECE):
            rest += piece
            cut = rest.rfind(b"},\n") + 1
            rows += len(orjson.loads(b"[" + rest[:cut] + b"]"))
            rest = rest[cut + 1 :]
    rows += len(orjson.loads(b"[" + rest))
    if durable:
        _sync(path)
        path.rename(folder / "finished.json")
        _sync(folder)
    return time.perf_counter() - began, sha256, rows


async def whole(url: str, folder: Path) -> Found:
    """What a quick script does."""
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        async with session.get(url) as answer:
            data = await answer.read()
        rows = len(orjson.loads(data))
        sha256 = hashlib.sha256(data).hexdigest()
        (folder / "file.json").write_bytes(data)
        return time.perf_counter() - began, sha256, rows


async def disk_alone(url: str, folder: Path) -> Found:
    """So many bytes written and fsynced. Nobody who promises that they are on the disk can be faster."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        size, block = answer.content_length or 0, await answer.content.readexactly(BLOCK)
    began = time.perf_counter()
    path = folder / "file.json"
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, BLOCK):
            file.write(block[: size - start])
        os.fsync(file.fileno())
    return time.perf_counter() - began, "", None


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


SIDES: dict[str, Callable[[str, Path], Coroutine[None, None, Found]]] = {
    "verified": verified,
    "uncounted": uncounted,
    "one by one": one_by_one,
    "durable": durable,
    "whole": whole,
    "disk": disk_alone,
}
NAMES = {
    "verified": "received, checked, counted, hashed, fsynced, renamed",
    "uncounted": "the same without a look at the rows",
    "one by one": "`curl -o`, then hashlib, then orjson on pieces of 64 KiB; nothing fsynced",
    "durable": "the same chain, its file fsynced and renamed in the end",
    "whole": "aiohttp and the body read whole, then orjson, hashlib, a plain write",
    "disk": "the disk alone: as many bytes written and fsynced",
}


def play_side(name: str, url: str, where: Path) -> None:
    with scratch(where) as folder:
        print(json.dumps(asyncio.run(SIDES[name](url, Path(folder)))))


# ------------------------------------------------------------------------------------------------------ the file host


def serve(path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
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


@contextlib.contextmanager
def file_host(path: Path) -> Iterator[str]:
    command = [*PROGRAM, "--serve", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def make_file(path: Path, size: int) -> tuple[str, int]:
    """The simulator's rows. Gives what each side must find in them."""
    rows = Rows(read_question(MONTH), Scenario(rows=size // ROW, row_bytes=ROW))
    sha256 = hashlib.sha256()
    with path.open("wb") as file:
        for block in rows.blocks(0, rows.length):
            file.write(block)
            sha256.update(block)
    return sha256.hexdigest(), rows.count


# -------------------------------------------------------------------------------------------------------- the figures


def transfers(size: int, rounds: int, where: Path) -> dict[str, list[tuple[float, float]]]:
    """Seconds and peak memory (MB) of each side, round by round."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    with scratch(where) as folder:
        path = Path(folder) / "file.json"
        sha256, rows = make_file(path, size)
        with file_host(path) as url:
            for turn in range(rounds):
                names = list(SIDES)
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    side = ["--folder", str(where), "--side", name, url]
                    cost = measured([*PROGRAM, *side], Path(folder), env={"PYTHONPATH": str(ROOT)})
                    seconds, *found = json.loads(cost.output)
                    if name != "disk" and found != [sha256, None if name == "uncounted" else rows]:
                        sys.exit(f"{name} found {found}")
                    figures[name].append((seconds, cost.peak_mb))
                say(f"transfer {size // MB} MB in {where}, round {turn + 1}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1000], metavar="MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, nargs="+", default=[Path(tempfile.gettempdir())], metavar="DIR")
    parser.add_argument("--side", nargs=2, metavar=("NAME", "URL"), help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve is not None:
        return serve(args.serve)
    if args.side is not None:
        return play_side(*args.side, *args.folder)
    table = {
        (f"{size} MB in {where}", size): transfers(size * MB, args.rounds, where)
        for where in args.folder
        for size in args.sizes
    }
    print("\n".join(header("file", "path", "MB/s: min", "median", "max", "peak memory of its process, MB")))
    for (file, size), figures in table.items():
        for name, costs in figures.items():
            rates = spread([size / seconds for seconds, _ in costs], 0)
            print(row(file, NAMES[name], rates, f"{max(peak for _, peak in costs):.0f}"))
    print()
    print("\n".join(header("file", "throughput, round by round", "min", "median", "max")))
    for (file, _), figures in table.items():
        seconds = {name: [cost[0] for cost in costs] for name, costs in figures.items()}
        for name, words in (
            ("one by one", "`curl -o`, hashlib, orjson one by one"),
            ("durable", "the same chain, fsynced"),
            ("whole", "the body whole"),
            ("uncounted", "our own without a look at the rows"),
        ):
            ratios = [other / own for other, own in zip(seconds[name], seconds["verified"], strict=True)]
            print(row(file, f"ours ÷ {words}", spread(ratios)))
    return None


if __name__ == "__main__":
    main()
