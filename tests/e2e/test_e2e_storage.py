"""A storage that refuses: exit 6, what was stored stays, and the next run goes on when it is mended. See test_e2e_mounts.py, too."""

import os
import resource

import pytest


async def refused(it, *arguments, **more):
    ended = await it.run("run", "job.yaml", "--json", *arguments, **more)
    assert ended.status == 6, str(ended)
    assert "Traceback" not in ended.err
    document = ended.json
    hint = document["error"]["hint"] if "error" in document else document["errors"][0]["hint"]
    assert hint
    assert " ".join(hint.split()) in ended.people
    return ended


@pytest.mark.parametrize("where", ["output", "folder", "state"])
async def test_a_file_in_the_way_of_a_folder(stage, where):
    async with stage() as it:
        it.job(months=2, teams=("support",))
        way = {"output": it.exports, "folder": it.exports / "support", "state": it.state}[where]
        way.parent.mkdir(exist_ok=True)
        way.write_text("mine")
        ended = await refused(it)
        assert way.name in ended.err
        assert way.read_text() == "mine"
        way.unlink()
        await it.report()
        it.check_stored(2)
        assert len(it.sim.stats.posts) == 2


@pytest.mark.parametrize("where", ["folder", "file"])
async def test_a_symlink_in_the_way_is_not_followed(stage, where):
    async with stage() as it:
        it.job(months=1, teams=("support",))
        elsewhere = it.folder / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious").write_text("mine")
        way = it.exports / "support" / ("2020-01.json" if where == "file" else "")
        way.parent.mkdir(parents=True)
        way.symlink_to(elsewhere / "precious" if where == "file" else elsewhere)
        ended = await refused(it)
        assert "symbolic link" in ended.err
        assert [path.name for path in elsewhere.iterdir()] == ["precious"]
        assert (elsewhere / "precious").read_text() == "mine"
        way.unlink()
        await it.report()
        it.check_stored(1)
        assert len(it.sim.stats.posts) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
async def test_a_read_only_folder(stage):
    async with stage() as it:
        it.job(months=1)
        it.exports.mkdir(mode=0o500)
        await refused(it)
        assert not it.requests()
        it.exports.chmod(0o700)
        await it.report()
        it.check_stored(1)


async def test_a_report_that_finds_no_room_is_had_from_the_job_and_not_by_another_run(stage):
    async with stage() as it:
        it.job(months=1)
        full = os.open("/dev/full", os.O_WRONLY)
        ended = await it.run("run", "job.yaml", "--json", stdout=full)
        os.close(full)
        assert ended.status == 6
        assert "[storage.output]" in ended.err
        assert "`orchestrator report JOB`" in ended.err
        assert "ask again" not in ended.people
        assert "1 export stored" in (await it.run("report", "job.yaml")).out


async def test_a_file_size_limit_is_a_full_disk(stage):
    async with stage(rows=20_000) as it:
        it.job(months=1)
        most = 4 * 1024 * 1024
        ended = await refused(it, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        assert ended.json["outcome"] == "storage"
        assert ended.json["counts"]["pending"] == 1
        assert not it.data_files()
        await it.report()
        it.check_stored(1)
        assert len(it.sim.stats.posts) == 1, "the report is still there"
