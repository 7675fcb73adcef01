"""Broken job files and command lines: every error with its place, nobody contacted, nothing written."""

import pytest

GOOD = """\
version: 1
name: rehearsal
api:
  base_url: {base_url}
  token: ${{LOOP_API_TOKEN}}
request:
  timezone: UTC
matrix:
  window: {{every: month, from: 2024-01, to: 2024-03}}
  team:
    support: id-1
output:
  to: ./exports
"""
SECRET = "loop-secret-4711"
# A line of the good file, what stands there instead, and the places (line, column) with a word of what is said there.
BROKEN = {
    "unknown key": ("  timezone: UTC", "  timzone: UTC", [(7, 3, "timezone")]),
    "unknown zone": ("  timezone: UTC", "  timezone: Europe/Lubljana", [(7, 13, "Europe/Ljubljana")]),
    "literal token": ("  token: ${LOOP_API_TOKEN}", f"  token: {SECRET}", [(5, 10, "reference")]),
    "token missing": ("  token: ${LOOP_API_TOKEN}\n", "", [(3, None, "token")]),
    "impossible month": ("from: 2024-01", "from: 2024-13", [(9, None, "2024-13")]),
    "to before from": ("to: 2024-03", "to: 2023-03", [(9, None, "2023-03")]),
    "off the boundary": ("from: 2024-01,", "from: 2024-01-15,", [(9, None, "2024-01-15")]),
    "wrong type": ("  window: {every: month, from: 2024-01, to: 2024-03}", "  window: 12", [(9, 11, "window")]),
    "empty axis": ("  team:\n    support: id-1", "  team: []", [(10, 3, "team")]),
    "axis left blank": ("\n    support: id-1", "", [(10, None, "team")]),
    "duplicate key": ("version: 1", "version: 1\nversion: 1", [(2, 1, "twice")]),
    "alias bomb": (
        "    support: id-1",
        "    a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "\n".join(f"    {b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        [(None, None, "")],
    ),
    "not YAML": ("name: rehearsal", "name: [rehearsal", [(None, None, "")]),
    "brace slip": ("  to: ./exports", "  to: ./exports\n  path: {team}/{window}.json", [(14, None, "quotes")]),
    "token brace slip": (
        "  token: ${LOOP_API_TOKEN}",
        "  token: {token: ${LOOP_API_TOKEN}}",
        [(5, None, "quotes")],
    ),
    "plain http": ("{base_url}", "http://loop.example.com", [(4, 13, "https")]),
    "path escapes": ("  to: ./exports", '  to: ./exports\n  path: "../{team}/{window}.json"', [(14, 9, "..")]),
    "paths collide": ("  to: ./exports", '  to: ./exports\n  path: "{team}.json"', [(14, None, "support.json")]),
    "exclude matches nothing": (
        "    support: id-1",
        "    support: id-1\n  exclude: [{team: sales}]",
        [(12, None, "sales")],
    ),
    "version of the future": ("version: 1", "version: 2", [(1, 10, "1")]),
    "three at once": (
        "name: rehearsal",
        "name: Rehearsal!\nlimits: {unfinished: 0, downlods: 3}",
        [(2, 7, "Rehearsal!"), (3, 22, "0"), (3, 25, "downloads")],
    ),
    "not there": (GOOD, None, [(None, None, "init")]),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_every_error_is_placed_and_nobody_is_contacted(stage, kind):
    was, instead, places = BROKEN[kind]
    async with stage() as it:
        text = GOOD.replace("{base_url}", "http://loop.example.com" if kind == "plain http" else it.sim.base_url)
        text = text.replace("{{", "{").replace("}}", "}")
        if kind != "plain http":
            assert instead is None or was in text
            text = text.replace(was, instead or "")
        if instead is not None:
            (it.folder / "job.yaml").write_text(text)
        ended = await it.run("run", "job.yaml", "--json")
        assert ended.status == 2, str(ended)
        document = ended.json
        assert document["schema"] == "orchestrator.error/1"
        errors = document["errors"]
        assert len(errors) >= len(places)
        for line, column, word in places:
            fits = [
                error
                for error in errors
                if (line is None or error["line"] == line)
                and (column is None or error["column"] == column)
                and word in f"{error['message']} {error['hint']} {error['key']}"
            ]
            assert fits, f"nothing at {line}:{column} about {word!r}: {ended}"
        for error in errors:
            assert error["file"] == "job.yaml"
            assert error["code"]
            place = f"job.yaml:{error['line']}:{error['column'] or 1}: error: " if error["line"] else "job.yaml: error"
            assert place in ended.err
            assert " ".join(error["message"].split()) in ended.people
        assert SECRET not in ended.out + ended.err
        assert not it.requests()
        assert not it.exports.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--select", "teem=support"], "team"),
        (["--select", "team=nobody"], "nobody"),
        (["--set", "limits.unfinishd=3"], "unfinished"),
        (["--set", "nonsense"], "KEY.PATH=VALUE"),
        (["--set", "output.path={team}/{window}.json"], "quote"),
        (["--from", "2030-01"], "2030-01"),
        (["--deadline", "soon"], "soon"),
        (["--only", "some"], "missing"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
async def test_a_wrong_command_line_is_exit_2(stage, arguments, said):
    async with stage() as it:
        it.job(months=2, teams=("support",))
        ended = await it.run("run", "job.yaml", "--json", *arguments)
        assert ended.status == 2, str(ended)
        assert ended.json["schema"] == "orchestrator.error/1"
        told = " ".join(f"{error['message']} {error['hint']}" for error in ended.json["errors"])
        assert said in told
        assert "Traceback" not in ended.err
        assert not it.requests()
        assert not it.exports.exists()
