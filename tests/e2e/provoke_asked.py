"""What is asked wrongly: the command line, the job file, the plan, the scenario."""

from __future__ import annotations

from urllib.parse import urlsplit

from provoking import playing, provokes


@provokes("usage")
async def _(it):
    return await it.run("run", "job.yaml", "--dedline", "5m")


@provokes("platform", played="the name of the system")
async def _(it):
    return await it.run("plan", "job.yaml", **playing("import sys; sys.platform = 'win32'"))


@provokes("job.unreadable")
async def _(it):
    return await it.run("plan", "nowhere.yaml")


@provokes("job.syntax")
async def _(it):
    (it.folder / "job.yaml").write_text("version: 1\nname: x\noutput:\n  path: {team}/{window}.json\n")
    return await it.run("plan", "job.yaml")


@provokes("job.invalid")
async def _(it):
    it.job(limits={"unfinished": "many"}, retry={"atempts": 3})
    return await it.run("plan", "job.yaml")


@provokes("job.empty")
async def _(it):
    it.job(matrix={"exclude": [{"window": "*"}]})
    return await it.run("plan", "job.yaml")


@provokes("job.collision")
async def _(it):
    it.job(teams=("support", "sales"), output={"path": "{window}.{ext}"})
    return await it.run("plan", "job.yaml")


@provokes("job.encoding")
async def _(it):
    it.job(teams=("podpora-čšž",))
    return await it.run("plan", "job.yaml", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})


@provokes("job.ca-file")
async def _(it):
    it.job(network={"ca_file": "job.yaml"})
    return await it.run("run", "job.yaml")


@provokes("job.proxy")
async def _(it):
    it.job()
    return await it.run("run", "job.yaml", env={"ALL_PROXY": "socks5://proxy.example:1080"})


@provokes("token.unresolved")
async def _(it):
    it.job()
    it.env.clear()
    return await it.run("run", "job.yaml")


@provokes("zones.missing", played="the package tzdata is not there")
async def _(it):
    it.job()
    return await it.run("plan", "job.yaml", **playing("import sys; sys.modules['tzdata'] = None"))


@provokes("select.invalid")
async def _(it):
    it.job()
    return await it.run("plan", "job.yaml", "--select", "support", "--set", "limits")


@provokes("select.empty")
async def _(it):
    it.job(teams=("support", "sales"))
    return await it.run("plan", "job.yaml", "--select", "team=suport")


@provokes("plan.too-many")
async def _(it):
    it.job(months=12)
    return await it.run("plan", "job.yaml", "--max-exports", "10")


@provokes("plan.invalid")
async def _(it):
    (it.folder / "plan.json").write_text('{"schema": "orchestrator.plan/1", "job": "x", "frozen": {}}')
    return await it.run("run", "plan.json")


async def frozen(it):
    it.job()
    assert (await it.run("plan", "job.yaml", "--out", "plan.json")).status == 0


@provokes("plan.stale")
async def _(it):
    await frozen(it)
    it.job(request={"timezone": "Europe/Ljubljana"})
    return await it.run("run", "plan.json")


@provokes("plan.frozen")
async def _(it):
    await frozen(it)
    return await it.run("run", "plan.json", "--only", "all")


@provokes("plan.secret")
async def _(it):
    it.job(network={"proxy": "http://me:geheim-4711@127.0.0.1:9"})
    return await it.run("plan", "job.yaml", "--out", "plan.json")


@provokes("plan.unwritable")
async def _(it):
    it.job()
    return await it.run("plan", "job.yaml", "--out", "nowhere/plan.json")


@provokes("manifest.other-job")
async def _(it):
    it.job(months=1)
    await it.report()
    (it.folder / "job.yaml").write_text(
        (it.folder / "job.yaml").read_text().replace("name: rehearsal", "name: renamed")
    )
    return await it.run("run", "job.yaml")


@provokes("init.exists")
async def _(it):
    it.job()
    return await it.run("init", "job.yaml")


@provokes("init.refused")
async def _(it):
    return await it.run("init", "nowhere/job.yaml")


@provokes("scenario.unreadable")
async def _(it):
    return await it.run("simulate", "--scenario", "nowhere.yaml")


@provokes("scenario.invalid")
async def _(it):
    (it.folder / "scenario.yaml").write_text("durations: 3\nfaults: [{on: create, do: explode}]\n")
    return await it.run("simulate", "--scenario", "scenario.yaml")


@provokes("simulator.port")
async def _(it):
    return await it.run("simulate", "--port", urlsplit(it.sim.base_url).port)


@provokes("explain.unknown")
async def _(it):
    return await it.run("explain", "storage.ful")
