"""What the service and the host of the files do wrong."""

from __future__ import annotations

import gzip
import io
import zipfile

from provoking import listening, provokes

HASTE = {"attempts": 2, "exports": 1, "outage": "0.5s"}


def fault(on, do, **more):
    return {"on": on, "do": do, **more}


def failing(code, *faults, duration=(0.05, 0.2), **job):
    """A job of one inbox to which this happens, beside others to which nothing does."""

    async def situation(it):
        bad = [each | {"match": {"team": "id-bad"} | each.get("match", {})} for each in faults]
        it.change(faults=bad, duration=dict(zip(("min", "max"), duration, strict=True)))
        sections = {"retry": HASTE | {"outage": "60s"}, "limits": {"requests_per_second": 60}} | job
        it.job(months=1, teams=("good", "better", "bad", "fine", "best", "also"), **sections)
        return await it.run("run", "job.yaml")

    provokes(code)(situation)


def stopping(code, *faults, **job):
    """A job of which nothing gets far."""

    async def situation(it):
        it.change(faults=list(faults))
        it.job(**{"retry": HASTE} | job)
        return await it.run("run", "job.yaml")

    provokes(code)(situation)


def troubling(code, given):
    """A fault that strikes once and is got over; told in the log."""

    async def situation(it):
        it.change(faults=[given | {"times": 1}])
        it.job(months=2)
        ended = await it.run("run", "job.yaml", "--log-format", "json")
        assert ended.status == 0, str(ended)
        return ended

    provokes(code)(situation)


# ----------------------------------------------------------------------------------------------------------- account


@provokes("account.token")
async def _(it):
    it.change(tokens=("another",))
    it.job()
    return await it.run("run", "job.yaml")


stopping("account.forbidden", fault("create", "status", code=403))
stopping("account.unverified", fault("create", "status", code=451))


@provokes("account.other")
async def _(it):
    it.change(duration={"min": 60, "max": 60})
    it.job()
    parked = await it.start("run", "job.yaml", "--deadline", "60s")
    await it.until(lambda: len(it.sim.stats.polls) >= 3)
    parked.process.terminate()
    await parked.ended()
    it.change(faults=[fault("get", "status", code=404)])
    return await it.run("run", "job.yaml")


# ------------------------------------------------------------------------------------------------------------- hosts


@provokes("host.unreachable")
async def _(it):
    it.job(api={"base_url": "http://127.0.0.1:9"}, retry=HASTE)
    return await it.run("run", "job.yaml")


stopping("host.untrusted", fault("create", "redirect", to="http://127.0.0.1:9/"))


@provokes("host.not-loop")
async def _(it):
    it.job(api={"base_url": f"{it.sim.base_url}/wrong"})
    return await it.run("run", "job.yaml")


@provokes("file-host.unreachable")
async def _(it):
    it.change(outages=[{"for": 600, "on": "files", "mode": "refuse"}])
    it.job(retry=HASTE)
    return await it.run("run", "job.yaml")


stopping("file-host.untrusted", fault("download", "redirect", to="http://169.254.169.254/latest/meta-data"))


# ----------------------------------------------------------------------------------------------- one export fails

failing("request.invalid", fault("create", "status", code=400))
failing("request.forbidden", fault("create", "status", code=403), limits={"requests_per_second": 20, "unfinished": 1})
failing("create.ambiguous", fault("create", "no_id"), retry={"ambiguous": "stop"})
failing("export.failed", fault("create", "failed"))
failing("export.expired", fault("create", "expire"), duration=(0.5, 0.5))  # seen alive before it is gone
failing("export.missing", fault("get", "status", code=404))
failing("export.stuck", fault("create", "stuck"), retry=HASTE | {"stuck_after": "0.5s", "outage": "60s"})
failing("download.refused", fault("download", "forbidden"))
failing("service.failing", fault("get", "status", code=500, body="html"))

# ------------------------------------------------------------------------------------------ got over by themselves

troubling("api.create", fault("create", "status", code=500))
troubling("api.poll", fault("get", "status", code=502, body="html"))
troubling("api.status", fault("get", "unknown_status", text="Archived"))
troubling("download.url", fault("download", "forbidden"))
troubling("download.broken", fault("download", "truncate"))


# ----------------------------------------------------------------------------------------------- what is in a file


def holding(code, body, *headers, format="json"):  # noqa: A002  the job file's word
    """The host of the files gives this in the file's place, each time."""

    async def situation(it):
        head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
        async with listening("\r\n".join(head).encode() + body) as url:
            answer = f'{{"id": "{{id}}", "status": "Completed", "url": "{url}/RF_1?Signature=x"}}'
            it.change(faults=[fault("get", "bad_json", text=answer)])
            it.job(months=1, retry={"exports": 0}, request={"format": format})
            return await it.run("run", "job.yaml")

    provokes(code)(situation)


def workbook(*parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, text in parts:
            archive.writestr(name, text)
    return data.getvalue()


BOOK = workbook(("[Content_Types].xml", "<Types/>"), ("xl/workbook.xml", "<workbook/>"), ("xl/a.xml", "a" * 1000))

holding("content.empty", b"")
holding("content.page", b"<html><title>Sign in to continue</title></html>")
holding("content.other", b"%PDF-1.7 and so on")
holding("content.json", b'[{"id": 1}, {"id": nope}]')
holding("content.rows", b'[{"id": 1}, 2, 3]')
holding("content.truncated", b'[{"id": 1}, {"id": 2}')
holding("content.trailing", b'[{"id": 1}]<html>Bad Gateway</html>')
holding("content.encoding", b"\x1b\x01\x00", "Content-Encoding: br")
holding("content.bomb", gzip.compress(b"[" + b" " * 40_000_000 + b"]", 9), "Content-Encoding: gzip")
holding("content.workbook", BOOK.replace(b"aaaa", b"aaab", 1), format="xlsx")
