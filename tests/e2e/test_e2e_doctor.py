"""`doctor`: each thing that may be wrong is found before anything is created, and the exit status is the one a run would end with."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest
from rehearsal import TOKEN

from orchestrator.cli.exits import ENDS
from orchestrator.codes.table import CODES
from orchestrator.journal.machine import Machine, look, place

CHECKS = [
    "job file", "zone data", "output", "state", "journal", "plan", "limits", "token", "proxy", "certificates",
    "service", "account", "clock", "file host",
]  # fmt: skip


async def examined(it, *arguments, status=0, **more):
    """The findings by check, from `--json`; what people read says the same."""
    told = await it.run("doctor", "job.yaml", *arguments, "--json", **more)
    assert told.status == status, str(told)
    assert told.json["schema"] == "orchestrator.doctor/1"
    assert told.json["exit"] == status
    assert TOKEN not in told.out + told.err
    return {check["check"]: check for check in told.json["checks"]}


async def wrong(it, check, code, *arguments, **more):
    """The one thing that is wrong."""
    found = await examined(it, *arguments, status=ENDS[CODES[code].ends], **more)
    assert [name for name, each in found.items() if each["verdict"] == "wrong"] == [check], found
    assert found[check]["code"] == code
    assert found[check]["hint"]
    return found


@contextlib.asynccontextmanager
async def answering(status, *headers, body=b'{"message": "no such report"}', tls=None):
    """A service that answers everything so; gives its URL and the requests' first lines."""
    heard = []

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            heard.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
            head = [f"HTTP/1.1 {status} Some Phrase", f"Content-Length: {len(body)}", *headers, "", ""]
            writer.write("\r\n".join(head).encode() + body)
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", heard


async def test_hooks_are_looked_at_before_a_run_needs_them(stage):
    async with stage() as it:
        it.job(hooks={"on_success": ["true"]})
        assert (await examined(it))["hooks"]["verdict"] == "ok"
        it.job(hooks={"on_success": ["true"], "on_failure": ["./not-there"], "on_parked": ["no-such-program"]})
        found = (await examined(it))["hooks"]
        assert found["verdict"] == "warning"
        assert "hooks.on_failure (./not-there), hooks.on_parked (no-such-program)" in found["found"]
        it.job(hooks={"on_success": ["true", "${NOT_SET}"]})
        await wrong(it, "hooks", "job.invalid")


async def test_all_is_well_and_nothing_is_left_behind(stage):
    async with stage() as it:
        it.job()
        told = await it.run("doctor", "job.yaml")
        assert told.status == 0, str(told)
        assert "Nothing is wrong. Next: orchestrator plan job.yaml" in told.err
        found = await examined(it)
        assert list(found) == CHECKS
        assert {name for name, each in found.items() if each["verdict"] != "ok"} <= {"file host", "output"}
        assert "3 exports" in found["job file"]["found"]
        assert "3 windows ended" in found["zone data"]["found"]
        assert "${LOOP_API_TOKEN}, 16 to 64 characters" in found["token"]["found"]
        assert [path.name for path in it.folder.iterdir()] == ["job.yaml"]
        assert not it.sim.stats.posts
        assert it.requests() == 2, "one question each time"


async def test_after_a_run_it_tells_what_there_is_and_leaves_that_alone(stage):
    async with stage(rows=50) as it:
        it.job(months=3)
        await it.report("job.yaml", "--select", "window=2020-01..2020-02")
        before = {path: path.stat().st_mtime_ns for path in it.folder.rglob("*")}
        found = await examined(it)
        assert "2 stored; the last run succeeded" in found["journal"]["found"]
        assert found["plan"]["found"] == "1 export to do, of 3"
        assert "the run may bring" in found["output"]["found"]
        assert {path: path.stat().st_mtime_ns for path in it.folder.rglob("*") if path.is_file()} == {
            path: at for path, at in before.items() if path.is_file()
        }
        assert set(it.folder.rglob("*")) == set(before)


async def test_offline_contacts_nobody_and_needs_no_service(stage):
    async with stage() as it:
        it.job()
        found = await examined(it, "--offline")
        assert found["service"]["verdict"] == "skipped"
        assert "--offline" in found["service"]["found"]
        assert not it.requests()


async def test_options_mean_what_they_mean_elsewhere(stage):
    async with stage() as it:
        it.job(teams=("support", "sales"))
        found = await examined(it, "--select", "team=sales", "--state", "elsewhere", "--set", "output.to=there")
        assert "3 exports" in found["job file"]["found"]
        assert found["state"]["found"].startswith("./elsewhere (to be made in .)")
        assert found["output"]["found"].startswith("./there (to be made in .)")


# ----------------------------------------------------------------------------------------------------- this machine


async def test_a_job_file_that_is_wrong_ends_it_with_every_problem(stage):
    async with stage() as it:
        it.job(limits={"unfinished": "many", "nonsense": 1})
        told = await it.run("doctor", "job.yaml", "--json")
        assert told.status == 2
        assert told.json["job"] is None
        assert [(each["check"], each["code"]) for each in told.json["checks"]] == [("job file", "job.invalid")] * 2
        assert all("job.yaml:" in each["found"] for each in told.json["checks"])
        assert not it.requests()


async def test_a_token_that_is_not_there_is_told_and_nobody_is_asked(stage):
    async with stage() as it:
        it.job()
        found = await wrong(it, "token", "token.unresolved", env={"LOOP_API_TOKEN": ""})
        assert found["service"]["verdict"] == "skipped"
        assert not it.requests()


async def test_a_token_file_that_others_may_read_is_told(stage):
    async with stage() as it:
        it.job(api={"token": "${file:token.txt}"})
        file = it.folder / "token.txt"
        file.write_text(TOKEN)
        file.chmod(0o644)
        assert "chmod 600" in (await examined(it))["token"]["hint"]
        file.chmod(0o600)
        assert (await examined(it))["token"]["verdict"] == "ok"


async def test_a_file_where_the_output_folder_should_be(stage):
    async with stage() as it:
        it.job()
        it.exports.write_text("mine")
        told = await it.run("doctor", "job.yaml", "--json", "--state", "elsewhere")
        assert told.status == 6
        found = {each["check"]: each for each in told.json["checks"]}
        assert found["output"]["code"] == "storage.in-the-way"
        assert [each["verdict"] for each in found.values()].count("wrong") == 1, "the same thing is told once"
        assert found["plan"]["found"] == "for the same reason as `output`"
        assert it.exports.read_text() == "mine"


async def test_a_disk_that_takes_nothing_is_full(stage):
    """A limit on the size of files stands for it: the system says so in the same place, and other files are let be."""
    async with stage() as it:
        it.job()
        small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))  # noqa: E731  it is handed over
        told = await it.run("doctor", "job.yaml", preexec_fn=small)
        assert told.status == 6, str(told)
        assert "[storage.full]" in told.out
        assert "More: orchestrator explain storage.full" in told.err
        assert [path.name for path in it.folder.iterdir()] == ["job.yaml"]


READ_ONLY = """
import os, errno, sys
def mkdir(path, *more, **others):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
os.mkdir = mkdir
from orchestrator.cli.entry import main
main()
"""


async def test_a_disk_that_may_only_be_read(stage):
    """The system call is played: not every machine that runs tests lets one mount a disk."""
    async with stage() as it:
        it.job()
        told = await it.run("doctor", "job.yaml", "--json", program=("-c", READ_ONLY))
        assert told.status == 6, str(told)
        assert {each["code"] for each in told.json["checks"] if each["verdict"] == "wrong"} == {"storage.read-only"}


async def test_another_run_is_at_work_and_the_question_takes_its_turn(stage):
    async with stage(duration=60) as it:
        it.job()
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.polls) >= 1)
        found = await wrong(it, "state", "run.locked")
        assert f"pid {running.process.pid} " in found["state"]["found"]
        assert found["account"]["verdict"] == "ok"
        assert found["journal"]["verdict"] == "ok", "the run is alive"
        assert "own words" not in found["journal"]["found"]


async def test_a_run_that_was_killed_and_its_doubts_are_told(stage):
    async with stage(faults=[{"on": "create", "do": "hang", "match": {"nth": 2}}]) as it:
        it.job(months=2, limits={"unfinished": 2})
        running = await it.start("run", "job.yaml")
        await it.until(lambda: len(it.sim.stats.posts) >= 2 and it.sim.stats.polls)  # one is polled: its id is kept
        running.send(signal.SIGKILL)
        await running.ended()
        found = await examined(it)
        assert found["journal"]["verdict"] == "warning"
        assert "did not end in its own words" in found["journal"]["found"]
        assert "1 possible duplicate" in found["duplicates"]["found"]
        assert "being created for " in (await it.run("status", "job.yaml")).out


async def test_sizes_are_asked_for_only_where_something_is_to_come(stage):
    async with stage() as it:
        it.job(months=2)
        unknown = "no earlier sizes tell what a run will bring"
        assert unknown in (await examined(it))["output"]["found"]
        await it.report("job.yaml", "--to", "2020-01")
        assert "the run may bring " in (await examined(it))["output"]["found"]
        await it.report()
        assert (await examined(it))["output"]["found"].endswith(" free)")


async def test_a_journal_of_a_newer_version(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        with contextlib.closing(sqlite3.connect(it.state / "journal.db")) as journal, journal:
            journal.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
        told = await it.run("doctor", "job.yaml", "--json")
        assert told.status == 2, str(told)
        assert {each["code"] for each in told.json["checks"] if each["verdict"] == "wrong"} == {"journal.newer"}


async def test_a_damaged_journal_is_no_reason_not_to_run(stage):
    async with stage() as it:
        it.job(months=1)
        await it.report()
        (it.state / "journal.db").write_bytes(b"no database" * 1000)
        assert (await examined(it))["journal"]["verdict"] == "warning"
        await it.report()


# --------------------------------------------------------------------------------------------------------- elsewhere


async def test_a_token_that_the_service_does_not_take(stage):
    async with stage(tokens=("another-one",)) as it:
        it.job()
        found = await wrong(it, "account", "account.token")
        assert "wrong token" in found["account"]["cause"], "the service's own words"
        assert found["service"]["verdict"] == "ok"


@pytest.mark.parametrize(("status", "code"), [(403, "account.forbidden"), (451, "account.unverified")])
async def test_an_account_that_may_not(stage, status, code):
    async with stage() as it, answering(status, body=b'{"message": "not for you"}') as (url, _):
        it.job(api={"base_url": url, "impersonate": "ops@example.com"})
        found = await wrong(it, "account", code)
        assert "not for you" in found["account"]["cause"]
        assert "ops@example.com" in found["account"]["found"]


async def test_a_service_that_is_down(stage):
    async with stage() as it:
        it.job(api={"base_url": "http://127.0.0.1:9"})
        found = await wrong(it, "service", "host.unreachable")
        assert "refused" in found["service"]["cause"]


async def test_a_service_that_fails(stage):
    async with stage() as it, answering(500, body=b'{"message": "at lunch"}') as (url, heard):
        it.job(api={"base_url": url})
        found = await wrong(it, "service", "host.unreachable")
        assert "at lunch" in found["service"]["cause"]
        assert len(heard) == 1
        assert heard[0].startswith("GET /api/v1/report/exports/00000000-")


async def test_a_service_that_never_answers_is_waited_for_no_longer_than_the_job_says(stage):
    async with stage() as it:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken by the system, and nobody reads
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            it.job(api={"base_url": url}, network={"timeout": "0.5s"})
            found = await wrong(it, "service", "host.unreachable")
            assert "in time" in found["service"]["cause"]


async def test_what_answers_is_hardly_loop(stage):
    async with stage() as it, answering(404, body=b"<html>not found</html>") as (url, _):
        it.job(api={"base_url": url})
        found = await examined(it)
        assert found["service"]["verdict"] == "warning"
        assert "api.base_url" in found["service"]["hint"]


@pytest.mark.parametrize(("ahead", "told"), [(-3600, "ahead of"), (3600, "behind")])
async def test_a_clock_that_is_off(stage, ahead, told):
    """Whose clock is off can't be seen from here: the service's is what its answers and its URLs go by."""
    async with stage() as it, answering(404, f"Date: {formatdate(time.time() + ahead, usegmt=True)}") as (url, _):  # noqa: TID251  the machine's
        it.job(api={"base_url": url})
        found = await examined(it)
        assert found["clock"]["verdict"] == "warning"
        assert told in found["clock"]["found"]
        assert "59 min" in found["clock"]["found"] or "1 h" in found["clock"]["found"]


async def test_a_service_without_a_clock(stage):
    async with stage() as it, answering(404) as (url, _):
        it.job(api={"base_url": url})
        assert (await examined(it))["clock"]["verdict"] == "skipped"


def self_signed(folder):
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program makes the certificate, and it is not here")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
         "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for_and_one_that_ends_soon(stage, tmp_path):
    async with stage() as it, answering(404, tls=self_signed(tmp_path)) as (url, heard):
        it.job(api={"base_url": url})
        found = await wrong(it, "service", "host.untrusted")
        assert "certificate" in found["service"]["cause"]
        assert not heard, "the token went to nobody"
        it.job(api={"base_url": url}, network={"ca_file": "ca.pem"})
        found = await examined(it)
        assert "ca.pem" in found["certificates"]["found"]
        assert found["certificate"]["verdict"] == "warning"
        assert "in 2 days" in found["certificate"]["found"]


async def test_a_ca_file_that_holds_no_certificates(stage):
    async with stage() as it:
        it.job(network={"ca_file": "job.yaml"})
        await wrong(it, "certificates", "job.ca-file")
        assert not it.requests()


async def test_the_proxy_is_told_without_its_password(stage):
    async with stage() as it:
        it.job(api={"base_url": "https://api.example"})
        proxy = {"HTTPS_PROXY": "http://somebody:geheim-4711@proxy.example:3128"}
        found = await examined(it, "--offline", env=proxy)
        assert found["proxy"]["found"] == "http://proxy.example:3128, from the environment, with credentials"
        assert "geheim" not in str(found)
        await wrong(it, "proxy", "job.proxy", env={"HTTPS_PROXY": "socks5://proxy.example:1080"})


async def test_a_pause_that_the_service_asked_for_is_kept_by_the_doctor_too(stage):
    async with stage(faults=[{"on": "create", "do": "status", "code": 429, "retry_after": 600, "times": 1}]) as it:
        it.job(months=1, limits={"longest_pause": "1s"})
        await it.report(status=3)
        asked = it.requests()
        found = await examined(it)
        assert found["limits"]["verdict"] == "warning"
        assert "exit 3" in found["limits"]["hint"]
        assert found["service"]["verdict"] == "skipped"
        assert it.requests() == asked


async def test_what_the_doctor_is_told_to_wait_the_next_run_waits(stage):
    async with stage() as it, answering(429, "Retry-After: 600", body=b"{}") as (url, heard):
        it.job(months=1)
        await it.report()
        again = ("--set", f"api.base_url={url}", "--set", "limits.longest_pause=1s")
        found = await examined(it, *again)
        assert found["service"]["verdict"] == "warning"
        assert len(heard) == 1
        report = await it.report("job.yaml", *again, "--only", "all", status=3)
        assert "silence" in report["reason"]
        assert len(heard) == 1


async def test_a_pause_is_no_reason_for_the_doctor_to_move_a_damaged_journal(stage):
    async with stage() as it, answering(429, "Retry-After: 600", body=b"{}") as (url, heard):
        it.job(months=1)
        await it.report()
        journal = it.state / "journal.db"
        journal.write_bytes(b"no database" * 1000)
        before = sorted(it.state.iterdir())
        found = await examined(it, "--set", f"api.base_url={url}")
        assert (found["service"]["verdict"], len(heard)) == ("warning", 1)
        assert journal.read_bytes() == b"no database" * 1000
        assert sorted(it.state.iterdir()) == before


async def test_a_pause_is_no_reason_for_the_doctor_to_migrate_a_journal(stage):
    async with stage() as it, answering(429, "Retry-After: 600", body=b"{}") as (url, heard):
        it.job(months=1)
        await it.report()
        journal = it.state / "journal.db"
        with contextlib.closing(sqlite3.connect(journal)) as connection, connection:
            connection.execute("UPDATE runs SET report = NULL")
            connection.execute("UPDATE meta SET value = '1' WHERE name = 'version'")
        before, names = journal.read_bytes(), sorted(it.state.iterdir())
        found = await examined(it, "--set", f"api.base_url={url}")
        assert (found["journal"]["verdict"], found["service"]["verdict"], len(heard)) == ("ok", "warning", 1)
        assert journal.read_bytes() == before
        assert sorted(it.state.iterdir()) == names
        await it.report("job.yaml", "--only", "all")
        assert len(list(it.state.glob("journal.db.v1-*"))) == 1, "a run does migrate it"


async def test_the_id_that_init_wrote_is_nobodys(stage):
    async with stage() as it:
        assert (await it.run("init")).status == 0
        address = ("--set", f"api.base_url={it.sim.base_url}")
        job = (await examined(it, *address))["job file"]
        assert (job["verdict"], "EDIT" in job["hint"]) == ("warning", True)
        inbox = ("--set", "matrix.team={support: id-support}")
        assert (await examined(it, *address, *inbox))["job file"]["verdict"] == "ok"


async def test_runs_of_the_account_that_are_at_work_hear_of_a_pause(stage):
    async with stage() as it, answering(429, "Retry-After: 600", body=b"{}") as (url, heard):
        it.job(months=1, api={"base_url": url})
        it.env["XDG_RUNTIME_DIR"] = str(it.folder)
        shared = place(url, TOKEN, it.env)
        now = time.time()  # noqa: TID251  the machine's
        with contextlib.closing(Machine(shared)) as another:
            another.take(now, 0.01, 1)
            await examined(it)
            active, closed_until = look(shared, now)
        assert active == 1
        assert closed_until >= now + 600
        assert len(heard) == 1
