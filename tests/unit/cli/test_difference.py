"""What a frozen plan and its job file differ in, as people are told."""

import json

import pytest
from cli_program import JOB, program

from orchestrator.cli.difference import Asked

BEFORE = JOB + "limits: {unfinished: 16}\n"


@pytest.fixture
def frozen(tmp_path):
    """A plan of `BEFORE`, and a way to change its job file and hear what `run` says of it."""
    job, plan = tmp_path / "job.yaml", tmp_path / "plan.json"

    def freeze(*asked, text=BEFORE):
        job.write_text(text)
        ended = program("plan", str(job), "--out", str(plan), *asked)
        assert ended.status == 0, ended.err

        def changed(*replaced, text=text, environ=()):
            for old, new in replaced:
                assert old in text
                text = text.replace(old, new)
            job.write_text(text)
            ended = program("run", str(plan), "--json", environ=environ)
            if ended.status != 2:
                return None
            (error,) = json.loads(ended.out)["errors"]
            return error

        return changed

    return freeze


def test_each_key_is_told_with_what_it_was_and_what_it_is(frozen):
    error = frozen()(("Europe/Ljubljana", "UTC"), ("unfinished: 16", "unfinished: 8, downloads: 2"))
    assert error["code"] == "plan.stale"
    assert error["cause"] == (
        "request.timezone: Europe/Ljubljana → UTC; limits.unfinished: 16 → 8; limits.downloads is new: 2; "
        "4 exports asked for otherwise (2023-01 support, 2023-01 sales, 2023-02 support, …)"
    )


def test_exports_that_came_and_went_are_told(frozen):
    error = frozen()(("from: 2023-01, to: 2023-02", "from: 2023-02, to: 2023-03"), ("support: T1", "help: T1"))
    assert error["cause"] == (
        "matrix.window.from: 2023-01 → 2023-02; matrix.window.to: 2023-02 → 2023-03; "
        "matrix.team.support is gone (it was T1); matrix.team.help is new: T1; "
        "3 exports came (2023-02 help, 2023-03 help, 2023-03 sales); "
        "3 exports went (2023-01 support, 2023-01 sales, 2023-02 support)"
    )


def test_exports_that_are_stored_elsewhere_are_told(frozen):
    error = frozen()(("to: ./out", 'to: ./out, path: "{team}/{window}.{ext}"'))
    assert error["cause"] == (
        "output.path is new: {team}/{window}.{ext}; "
        "4 exports stored elsewhere (2023-01 support, 2023-01 sales, 2023-02 support, …)"
    )


@pytest.mark.parametrize(
    "replaced",
    [("version: 1", "# a comment\nversion:   1"), ("to: ./out", 'to: "./out"'), ("{support: T1, sales: [T2, T3]}", "{sales: [T2,  T3], support: T1}")],
)  # fmt: skip
def test_a_job_that_is_only_written_otherwise_is_refused_too_and_says_so(frozen, replaced):
    assert frozen()(replaced)["cause"] == "only comments, blanks or quotes have changed; the exports are the same"


def test_a_file_that_no_longer_can_be_planned_says_why(frozen):
    error = frozen()(("every: month", "every: moon"))
    assert error["cause"].startswith("it can't be planned any more: matrix.window.every: ")
    assert "moon" in error["cause"]


def test_the_plan_is_held_to_the_file_as_it_was_asked_for(frozen):
    changed = frozen("--select", "team=support", "--to", "2023-01", "--set", "limits.unfinished=4")
    error = changed(("sales: [T2, T3]", "sales: [T2]"), ("unfinished: 16", "unfinished: 8"))
    assert error["cause"] == "matrix.team.sales: [T2, T3] → [T2]; the exports are the same"
    assert "--select team=support --set limits.unfinished=4 --to 2023-01 --out " in error["hint"]


def test_windows_that_have_closed_since_are_no_difference(frozen, monkeypatch):
    changed = frozen(text=BEFORE.replace("from: 2023-01, to: 2023-02", "last: 2"))
    from orchestrator.engine.clock import SystemClock  # noqa: PLC0415  after the plan was made

    now = SystemClock().now()
    monkeypatch.setattr(SystemClock, "now", lambda _: now + 70 * 86_400)
    assert changed(("version: 1", "version: 1 "))["cause"].startswith("only comments")


def test_many_changes_are_counted(frozen):
    teams = ", ".join(f"t{n}: T{n + 10}" for n in range(30))
    error = frozen()(("{support: T1", "{" + teams + ", support: T1"))
    assert "; 22 more keys changed; " in error["cause"]
    assert "60 exports came (2023-01 t0, 2023-01 t1, 2023-01 t2, …)" in error["cause"]


def test_no_password_and_no_escape_is_told(frozen):
    error = frozen(text=BEFORE + "network: {proxy: 'http://old.example:1'}\n")(
        ("http://old.example:1", "http://joe:canary-password@new.example:1"),
        ("support: T1", '"x\\u202ey": T1'),
    )
    told = json.dumps(error, ensure_ascii=False)
    assert "network.proxy changed" in told
    assert "canary-password" not in told
    assert "matrix.team.xy is new" in told, "without what turns the order of what follows around"


def test_a_token_in_the_file_by_mistake_is_not_repeated(frozen):
    error = frozen()(("${NO_SUCH_TOKEN}", "canary-literal-token"))
    assert error["cause"].startswith("it can't be planned any more: api.token: ")
    assert "canary-literal-token" not in json.dumps(error)


def test_long_values_are_cut(frozen):
    error = frozen()(("support: T1", f"support: {'T' * 500}"))
    assert len(error["cause"]) < 300


def test_a_plan_of_an_older_version_is_refused_without_a_difference(frozen, tmp_path):
    changed = frozen()
    path = tmp_path / "plan.json"
    document = json.loads(path.read_text())
    del document["frozen"]["asked"]
    path.write_text(json.dumps(document))
    error = changed(("T1", "T4"))
    assert (error["code"], error["cause"]) == ("plan.stale", None)


def test_a_plan_whose_job_file_is_elsewhere_runs(frozen, tmp_path):
    frozen()
    (tmp_path / "job.yaml").unlink()
    ended = program("run", str(tmp_path / "plan.json"), environ={"NO_SUCH_TOKEN": "x"})
    assert ended.status == 70, "it would have asked the service"


def test_how_it_was_asked_for_survives_its_json_form():
    asked = Asked(1.5, ("team=a",), None, "2024-01", ("a.b=c",), {"version": "1"})
    told = Asked.from_json(json.loads(json.dumps(asked.to_json())))
    assert told.to_json() == asked.to_json()


@pytest.mark.parametrize("at", [1e300, -1, True, None, "yesterday", float("nan")])
def test_a_plan_made_at_no_time_is_refused(frozen, tmp_path, at):
    frozen()
    path = tmp_path / "plan.json"
    document = json.loads(path.read_text())
    document["frozen"]["asked"]["at"] = at
    path.write_text(json.dumps(document))
    ended = program("plan", str(path))
    assert ended.status == 2
    assert "[plan.invalid]" in ended.err
