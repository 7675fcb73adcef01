"""What the disk refuses, what others left in a job's folders, and bugs of ours."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import sqlite3

from provoking import playing, provokes

REFUSING = """
import errno, os
from orchestrator.storage import folders
def refuse(*_given, **_named):
    raise OSError(errno.{name}, os.strerror(errno.{name}))
folders.{call} = refuse
"""


def refused(code, call, name):
    """A call of the system for the files gives an error: real disks that do so at will are few."""

    async def situation(it):
        it.job(months=1)
        return await it.run("run", "job.yaml", **playing(REFUSING.format(call=call, name=name)))

    provokes(code, played=f"{call} fails with {name}")(situation)


@provokes("storage.full", played="a limit on the size of files; test_e2e_mounts.py fills a real disk")
async def _(it):
    it.change(rows={"min": 20_000, "max": 20_000})
    it.job(months=1)
    most = 4 * 1024 * 1024
    return await it.run("run", "job.yaml", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))


refused("storage.permission", "sync_file", "EACCES")
refused("storage.read-only", "sync_file", "EROFS")
refused("storage.io", "sync_file", "EIO")


@provokes("storage.gone")
async def _(it):
    it.change(duration={"min": 1, "max": 1})
    it.job(months=2)
    running = await it.start("run", "job.yaml", "--state", "state")
    await it.until(lambda: it.sim.stats.polls)
    shutil.rmtree(it.exports)
    return await running.ended()


@provokes("storage.in-the-way")
async def _(it):
    it.job(months=1)
    it.exports.write_text("mine")
    return await it.run("run", "job.yaml")


@provokes("storage.symlink")
async def _(it):
    it.job(months=1, teams=("support",))
    it.exports.mkdir()
    (it.exports / "support").symlink_to(it.folder)
    return await it.run("run", "job.yaml")


@provokes("storage.name")
async def _(it):
    it.job(months=1, output={"to": "x" * 300})
    return await it.run("run", "job.yaml", "--state", "state")


MOVING = """
import os
from orchestrator.storage import folders
move = folders.move
def meanwhile(root, source, target, replace):
    {deed}
    return move(root, source, target, {replace})
folders.move = meanwhile
"""


async def renamed(it, deed, replace="replace"):
    it.job(months=1, teams=("support",))
    await it.report()
    it.job(months=1, matrix={"team": {"helpdesk": "id-support"}}, output={"path": "{team}/{window}.{ext}"})
    return await it.run("run", "job.yaml", **playing(MOVING.format(deed=deed, replace=replace)))


@provokes("storage.missing", played="somebody removes the file at the moment at which it is moved")
async def _(it):
    return await renamed(it, "os.unlink(source, dir_fd=root.fd)")


@provokes("storage.exists", played="somebody puts a file where another, which is still to move, has just been")
async def _(it):
    deed = "os.mkdir(target.split('/')[0], dir_fd=root.fd); os.close(os.open(target, os.O_CREAT | os.O_WRONLY, dir_fd=root.fd))"
    return await renamed(it, deed, replace="False")


@provokes("storage.no-locks", played="flock fails with ENOLCK")
async def _(it):
    it.job()
    code = """
import errno, fcntl
def flock(*_given):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""
    return await it.run("run", "job.yaml", **playing(code))


@provokes("storage.output", played="a limit on the size of files")
async def _(it):
    it.job()
    with (it.folder / "plan.txt").open("wb") as out:
        return await it.run(
            "plan",
            "job.yaml",
            "--json",
            stdout=out,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)),
        )


async def with_manifest(it, text):
    it.job(months=1)
    await it.report()
    (it.exports / "manifest.json").write_text(text)
    return await it.run("run", "job.yaml")


@provokes("storage.manifest")
async def _(it):
    return await with_manifest(it, "<<<<<<< HEAD")


@provokes("storage.manifest-newer")
async def _(it):
    return await with_manifest(
        it, json.dumps({"schema": "orchestrator.manifest/99", "job": "rehearsal", "exports": []})
    )


# ------------------------------------------------------------------------------------------------------------- state


@provokes("run.locked")
async def _(it):
    it.job()
    it.state.mkdir(parents=True)
    signature = {"pid": os.getpid(), "host": os.uname().nodename, "started": "2020-01-01T00:00:00+00:00"}
    with (it.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps(signature))
        lock.flush()
        return await it.run("run", "job.yaml")


async def with_journal(it):
    it.job(months=1)
    await it.report()
    return it.state / "journal.db"


@provokes("journal.unusable")
async def _(it):
    journal = await with_journal(it)
    journal.unlink()
    journal.mkdir()
    return await it.run("run", "job.yaml")


@provokes("journal.newer")
async def _(it):
    with contextlib.closing(sqlite3.connect(await with_journal(it))) as journal, journal:
        journal.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
    return await it.run("run", "job.yaml")


@provokes("journal.symlink")
async def _(it):
    journal = await with_journal(it)
    journal.rename(it.folder / "elsewhere.db")
    journal.symlink_to(it.folder / "elsewhere.db")
    return await it.run("run", "job.yaml")


@provokes("journal.damaged")
async def _(it):
    (await with_journal(it)).write_bytes(b"no database" * 1000)
    return await it.run("plan", "job.yaml")


@provokes("journal.unfinished", played="SQLite can't write beside the journal, as in another user's folder")
async def _(it):
    journal = await with_journal(it)
    journal.with_name("journal.db-journal").write_bytes(b"half a write")
    code = """
from orchestrator.journal import reader
import sqlite3
def read(*_given):
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    raise error
reader._read = read
"""
    return await it.run("plan", "job.yaml", **playing(code))


@provokes("journal.migration", played="a version that can't bring journals of this one up to date")
async def _(it):
    await with_journal(it)
    code = """
from orchestrator.journal import versions
def fails(connection):
    connection.execute("ALTER TABLE nothing ADD COLUMN x")
versions.MIGRATIONS += (fails,)
from orchestrator.journal import sqlite
sqlite.SqliteJournal.__init__.__kwdefaults__["migrations"] = versions.MIGRATIONS
"""
    return await it.run("run", "job.yaml", **playing(code))


@provokes("journal.lease-lost")
async def _(it):
    it.change(duration={"min": 1, "max": 1})
    it.job(months=2)
    running = await it.start("run", "job.yaml")
    await it.until(lambda: it.sim.stats.polls)
    with contextlib.closing(sqlite3.connect(it.state / "journal.db", timeout=10)) as journal, journal:
        journal.execute("UPDATE meta SET value = 'another' WHERE name = 'lease'")
    return await running.ended()


@provokes("report.none")
async def _(it):
    it.job()
    return await it.run("report", "job.yaml")


async def reported(it, text):
    (it.folder / "run.json").write_text(text)
    return await it.run("report", "run.json")


@provokes("report.unreadable")
async def _(it):
    return await reported(it, '{"schema": "orchestrator.run/1", "job": "cut"}')


@provokes("report.newer")
async def _(it):
    return await reported(it, '{"schema": "orchestrator.run/99"}')


@provokes("report.lost", played="what the watching hears is printed with its code")
async def _(it):
    it.change(faults=[{"on": "create", "do": "failed"}])
    it.job(months=1, retry={"exports": 9, "base": 0.5, "max": 0.5})
    code = """
import sys
from orchestrator.progress.plain import PlainProgress
tell = PlainProgress.tell
def telling(self, told):
    if hasattr(told, "code"):
        sys.stderr.write(f"{told.message} [{told.code}]\\n")
    tell(self, told)
PlainProgress.tell = telling
"""
    watching = await it.start("status", "job.yaml", "--watch", **playing(code))
    await it.run("run", "job.yaml")
    return await watching.ended()


@provokes("demo.service", played="nothing may listen")
async def _(it):
    code = """
import socket
def bind(*_given):
    raise OSError(1, "Operation not permitted")
socket.socket.bind = bind
"""
    return await it.run("demo", **playing(code))


@provokes("bug", played="a fault of the program")
async def _(it):
    it.job()
    code = """
from orchestrator.engine import plan
def make(*_given, **_named):
    raise RuntimeError("a planted bug")
plan.make = make
"""
    return await it.run("plan", "job.yaml", **playing(code))
