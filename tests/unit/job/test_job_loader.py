"""Job files: defaults, places, hints, references and overrides."""

import hashlib
import os

import pytest

from orchestrator.cli.options import Ask
from orchestrator.cli.task import load
from orchestrator.errors import JobError
from orchestrator.job.loader import load_job
from orchestrator.job.model import JobFile
from orchestrator.job.yaml_nodes import Place

HEAD = "version: 1\nname: a\napi: {token: '${T}'}\n"
WINDOW = "matrix:\n  window: {every: month, from: 2024-01}\n"


def told(problems):
    return [(p.line, p.column, p.key) for p in problems]


def test_defaults(job):
    model = job(WINDOW).model
    assert (model.version, model.name, model.api.base_url) == (1, "test-job", "https://api.intheloop.io")
    assert (model.api.impersonate, model.api.allow_private) == (None, False)
    assert (model.request.timezone, model.request.format, model.request.end) == ("UTC", "json", "exclusive")
    assert (model.limits.unfinished, model.limits.requests_per_second, model.limits.downloads) == (16, 5.0, 4)
    assert (model.limits.longest_pause, model.polling.policy, model.polling.jitter) == (900.0, "adaptive", 0.2)
    assert (model.polling.first, model.polling.every, model.polling.max) == (10.0, 10.0, 60.0)
    assert (model.retry.attempts, model.retry.base, model.retry.max, model.retry.exports) == (6, 1.0, 60.0, 3)
    assert (model.retry.stuck_after, model.retry.outage, model.retry.ambiguous) == (7200.0, 900.0, "recreate")
    assert (model.network.proxy, model.network.timeout, model.network.ca_file) == ("env", 30.0, None)
    assert (model.output.to, model.output.path, model.output.missing, model.output.state) == (
        "./exports",
        None,
        "export",
        None,
    )


def test_the_job_knows_its_file(write):
    path = write("version: 1\nname: a\napi: {token: '${T}'}\noutput: {to: x}\n" + WINDOW)
    job = load_job(path, {})
    assert (job.file, job.folder) == (path, path.parent)
    assert job.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert job.resolve("x") == path.parent / "x"


def test_places(job):
    one = job("matrix:\n  team:\n    sales: 1\n    both: [2, 3]\n  window:\n    every: month\n    from: 2024-01\n")
    for path, line, column in [
        (("matrix", "team", "sales"), 6, 12),
        (("matrix", "team", "both", 1), 7, 15),
        (("matrix", "team"), 5, 3),
        (("matrix", "window", "from"), 10, 11),
        (("output", "path"), 11, 1),
        (("matrix", "exclude"), 4, 1),
    ]:
        assert one.place(path) == Place(str(one.file), line, column)


def test_text_is_read_as_written(job):
    model = job("matrix:\n  team: {NO: 12345, 2024: 1.10}\n  window: {every: year, from: 2024}\n").model
    assert [(v.label, v.ids) for v in model.matrix.team] == [("NO", ("12345",)), ("2024", ("1.10",))]
    assert model.matrix.order == ("team", "window")


def test_limits_may_find_themselves(job):
    all_three = job("limits: auto\n" + WINDOW).model.limits
    assert (all_three.unfinished, all_three.requests_per_second, all_three.downloads) == ("auto", "auto", "auto")
    one = job("limits: {unfinished: auto}\n" + WINDOW).model.limits
    assert (one.unfinished, one.requests_per_second, one.downloads) == ("auto", 5.0, 4)


def test_empty_sections_count_as_left_out(job):
    assert job("limits:\nrequest:\n  timezone:\n" + WINDOW).model.request.timezone == "UTC"


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("limit: {}\n", (4, 1, "limit"), ["unknown key 'limit'", "did you mean `limits`?"]),
        ("timezone: UTC\n", (4, 1, "timezone"), ["unknown key 'timezone'", "belongs under request"]),
        ("request: {team: [a]}\n", (4, 11, "request.team"), ["did you mean `teams`?", "`team` belongs under matrix"]),
        ("polling: {last: 1}\n", (4, 11, "polling.last"), ["belongs under matrix.window"]),
        ("limits:\n  unfinishd:\n", (5, 3, "limits.unfinishd"), ["unfinished"]),
        ("limits: {unfinished: many}\n", (4, 22, "limits.unfinished"), ["whole number", "found 'many'"]),
        ("limits: automatic\n", (4, 9, "limits"), ["mapping of keys"]),
        ("limits: {requests_per_second: Auto}\n", (4, 31, "limits.requests_per_second"), ["above 0 or auto"]),
        ("limits: {requests_per_second: 0}\n", (4, 31, "limits.requests_per_second"), ["above 0"]),
        ("limits: 5\n", (4, 9, "limits"), ["mapping of keys", "unfinished, requests_per_second"]),
        ("output: ./x\n", (4, 9, "output"), ["mapping of keys", "its keys: to, path"]),
        ("request: {teams: {a: b}}\n", (4, 11, "request.teams"), ["a list of ids is due"]),
        ("request: {teams: a}\n", (4, 18, "request.teams"), ["put [ ] around it"]),
        ("output:\n  path: /{window}\n  to: x\n", (5, 9, "output.path"), ["no slash", "below output.to"]),
        ("polling: {policy: adaptiv}\n", (4, 19, "polling.policy"), ["did you mean `adaptive`?"]),
        ("polling:\n  first: soon\n", (5, 10, "polling.first"), ["duration", "1h30m"]),
        ("polling: {jitter: 2}\n", (4, 19, "polling.jitter"), ["from 0 to 1"]),
        ("retry: {ambiguous: maybe}\n", (4, 20, "retry.ambiguous"), ["recreate or stop"]),
        ("request: {timezone: Europe/Lubljana}\n", (4, 21, "request.timezone"), ["did you mean `Europe/Ljubljana`?"]),
        ("request: {format: csv}\n", (4, 19, "request.format"), ["json or xlsx"]),
        ("request:\n  teams: [a, [b]]\n", (5, 14, "request.teams.1"), ["an id is due"]),
        ("output:\n  to: s3://bucket\n", (5, 7, "output.to"), ["s3://", "folder"]),
        ("output: {path: {team}, to: x}\n", (4, 10, "output.path"), ["put quotes around it"]),
        ("output:\n  path: ../{window}\n  to: x\n", (5, 9, "output.path"), ["no segment may be"]),
        ('output:\n  path: "{tag}/{window}"\n  to: x\n', (5, 9, "output.path"), ["no axis 'tag'"]),
        ("name: x\n", (4, 1, None), ["there twice: first in line 2"]),
        ("network: {timeout: !!int 5}\n", (4, 20, None), ["tags"]),
        ("request: {timezone: '${ZONE}'}\n", (4, 21, "request.timezone"), ["ZONE is not set"]),
    ],
)
def test_what_is_wrong_is_told_at_its_place(problems, text, expected, words):
    (problem,) = problems(text + WINDOW)
    assert told([problem]) == [expected]
    assert problem.code == "job.invalid"
    for word in words:
        assert word in f"{problem.message} {problem.hint}"


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("  team: {}\n", (6, 3, "matrix.team"), "empty"),
        ("  team:\n", (6, 3, "matrix.team"), "due here"),
        ("  team: abc\n", (6, 9, "matrix.team"), "list of ids"),
        ("  team: {a: }\n", (6, 10, "matrix.team.a"), "nothing is given"),
        ("  team: {a: []}\n", (6, 10, "matrix.team.a"), "everything"),
        ("  team: [a, a]\n", (6, 13, "matrix.team.1"), "twice"),
        ("  format: [json, pdf]\n", (6, 18, "matrix.format.1"), "json or xlsx"),
        ("  impersonate: {a: [b]}\n", (6, 17, "matrix.impersonate.a"), "e-mail"),
        ("  team: file:nope.csv#id\n", (6, 9, "matrix.team"), "can't be read"),
        ("  team: file:nope.csv\n", (6, 9, "matrix.team"), "columns"),
        ("  team: a.csv\n", (6, 9, "matrix.team"), "file:inboxes.csv#id,name"),
        ("  team: [{a: 1}]\n", (6, 10, "matrix.team.0"), "all in one mapping"),
        ("  exclude: [{tem: a}]\n", (6, 14, "matrix.exclude.0.tem"), "no axis 'tem'"),
        ("  exclude: [{tag: a}]\n", (6, 14, "matrix.exclude.0.tag"), "has no axis 'tag'"),
        ("  include: [{window: 2023-01, tag: a}]\n", (6, 31, "matrix.include.0.tag"), "has no axis 'tag'"),
        ("  exclude: [{window: x..}]\n", (6, 22, "matrix.exclude.0.window"), "range"),
        ("  exclude: [{window: [2024-01, x..]}]\n", (6, 32, "matrix.exclude.0.window.1"), "range"),
        ("  exclude: {window: 2024}\n", (6, 3, "matrix.exclude"), "list of mappings"),
        ("  include: [a]\n", (6, 13, "matrix.include.0"), "mapping"),
    ],
)
def test_a_matrix_that_is_wrong(problems, text, expected, words):
    found = problems(WINDOW + text)
    assert told(found) == [expected]
    assert words in f"{found[0].message} {found[0].hint}"


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("{every: month}", (5, 3, "matrix.window")),
        ("{every: fortnight, from: 2024}", (5, 19, "matrix.window.every")),
        ("{every: {days: 0}, from: 2024-01-01}", (5, 26, "matrix.window.every.days")),
        ("{every: {weeks: 2}, from: 2024-01-01}", (5, 12, "matrix.window.every")),
        ("{every: month, from: 2024-01-15}", (5, 32, "matrix.window.from")),
        ("{every: month, from: 2024-02, to: 2024-01}", (5, 45, "matrix.window.to")),
        ("{every: month, from: 2024-01, last: 2}", (5, 47, "matrix.window.last")),
        ("{every: month, last: 0}", (5, 32, "matrix.window.last")),
        ("{every: month, from: 2024-1-5}", (5, 32, "matrix.window.from")),
        ("monthly", (5, 11, "matrix.window")),
    ],
)
def test_a_window_axis_that_is_wrong(problems, window, expected):
    assert told(problems(f"matrix:\n  window: {window}\n")) == [expected]


@pytest.mark.parametrize(
    ("every", "words"),
    [
        ("fortnight", ["day, week, month, quarter, year or {days: N}", "{days: 14}"]),
        ("monthly", ["did you mean `month`?"]),
        ("daily", ["did you mean `day`?"]),
        ("10d", ["write {days: 10}"]),
        ("7 days", ["write {days: 7}"]),
        ("{weeks: 2}", ["{days: N}", "{days: 14}"]),
        ("[day]", ["{days: N}", "not a list"]),
    ],
)
def test_how_long_a_window_may_be(problems, every, words):
    (problem,) = problems(f"matrix:\n  window: {{every: {every}, from: 2024-01-01}}\n")
    for word in words:
        assert word in f"{problem.message} {problem.hint}"


def test_only_a_placeholder_gets_the_hint_about_quotes(problems):
    (problem,) = problems("request: {teams: [{a: b}]}\n" + WINDOW)
    assert (problem.key, problem.hint) == ("request.teams.0", None)
    (problem,) = problems("output:\n  path: {window}\n  to: x\n" + WINDOW)
    assert "put quotes around it" in problem.hint


def test_a_misspelt_axis_is_told_once(problems):
    text = WINDOW + "  teams: [a]\n  exclude: [{team: a}]\noutput: {to: x, path: '{team}'}\n"
    assert [p.key for p in problems(text)] == ["matrix.teams"]


def test_a_reference_that_can_not_be_replaced_is_told_once(problems):
    text = "request: {teams: [a, '${X}'], timezone: '${Y}'}\n" + WINDOW + "  team: {a: ['${Z}']}\n"
    assert [p.key for p in problems(text)] == ["request.teams.1", "request.timezone", "matrix.team.a.0"]


def test_all_problems_at_once_in_the_order_of_the_file(problems):
    found = problems(
        """\
        nmae: x
        limits: {unfinished: -1}
        matrix:
          window: {every: month, from: 2024-01-15, to: 2024-13}
          team: {a: , b: []}
          exclude: [{customer: a}]
        output: {to: "gs://x", path: "{tag}"}
        """
    )
    assert [p.key for p in found] == [
        "nmae",
        "limits.unfinished",
        "matrix.window.from",
        "matrix.window.to",
        "matrix.team.a",
        "matrix.team.b",
        "matrix.exclude.0.customer",
        "output.to",
        "output.path",
    ]


def test_missing_keys_are_told_where_they_belong(problems):
    found = problems("matrix: {team: [a]}\napi: {}\n", head="")
    assert told(found) == [(1, 1, "version"), (1, 1, "name"), (1, 1, "matrix.window"), (2, 1, "api.token")]
    assert [p.hint for p in found][::3] == ["write version: 1", 'write token: "${LOOP_API_TOKEN}"']


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "is empty", None),
        (b"# only this\n", "is empty", None),
        (b"- a\n", "mapping is due", 1),
        (b"hunter2\n", "mapping is due", 1),
        (b"version: 1\nname: \xff\n", "not UTF-8", 2),
        ("version: 1".encode("utf-16"), "not UTF-8", 1),
        (b"#" * ((1 << 20) + 1), "1 MiB", None),
        (b"a: 1\n---\nb: 1\n", "second document", 2),
    ],
)
def test_files_that_can_not_be_read(write, content, message, line):
    with pytest.raises(JobError) as caught:
        load_job(write(content), {})
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.line == line
    assert "hunter2" not in str(problem)


def test_a_missing_file_and_a_folder(tmp_path):
    for path, message in [(tmp_path / "nope.yaml", "no such job file"), (tmp_path, "folder"), ("a\0b", "not a path")]:
        with pytest.raises(JobError, match=message):
            load_job(path, {})


def test_a_missing_file_has_the_one_of_nearly_its_name_for_a_hint(write, tmp_path):
    write("version: 1\n")
    for name, hint in [
        ("jobb.yaml", f"did you mean `{tmp_path / 'job.yaml'}`?"),
        ("else.yaml", "`orchestrator init FILE` writes one"),
        ("nope/job.yaml", "`orchestrator init FILE` writes one"),
    ]:
        with pytest.raises(JobError) as caught:
            load_job(tmp_path / name, {})
        assert caught.value.problems[0].hint == hint


def test_limits_that_are_a_wrong_word_are_told_of_auto(write):
    with pytest.raises(JobError, match="auto, or a mapping of keys is due here; found 'atuo'") as caught:
        load_job(write(HEAD + WINDOW + "output: {to: x}\nlimits: atuo\n"), {"T": "t"})
    assert "unfinished" in str(caught.value.problems[0].hint)


def test_a_byte_order_mark_is_no_part_of_the_text(write):
    path = write(b"\xef\xbb\xbfversion: 1\nname: a\napi: {token: '${T}'}\noutput: {to: x}\n" + WINDOW.encode())
    assert load_job(path, {}).model.name == "a"


CANARY = "hunter2"


@pytest.mark.parametrize(
    "head",
    [
        f"api: {{token: {CANARY}}}\n",
        f"api: {CANARY}\n",
        f"api: {{token: [{CANARY}]}}\n",
        f"api: {{token: {{a: {CANARY}}}}}\n",
        f"api: {{token: '${{X}}{CANARY}'}}\n",
        f"api: {{token: '${{T}}', base_url: 'http://a:{CANARY}@x'}}\n",
        f"network: {{proxy: 'socks5://a:{CANARY}@x'}}\n",
        f"network: {CANARY}\n",
        "request: {timezone: '${SECRET}', format: '${SECRET}', end: '${SECRET}', teams: '${SECRET}'}\n",
        "limits: {unfinished: '${SECRET}', requests_per_second: '${SECRET}', longest_pause: '${SECRET}'}\n",
        "output: {path: '{${SECRET}}', to: 's3://${SECRET}'}\n",
        "name: '${SECRET}!'\nversion: '${SECRET}'\n",
        "matrix: {window: {every: '${SECRET}', from: '${SECRET}'}, team: ['${SECRET}', '${SECRET}'], format: ['${SECRET}']}\n",
        "network: {ca_file: '${file:secret}'}\nrequest: {timezone: '${file:secret}'}\n",
    ],
)
def test_no_secret_is_ever_repeated(write, tmp_path, head):
    (tmp_path / "secret").write_text(CANARY)
    with pytest.raises(JobError) as caught:
        load_job(write(head), {"SECRET": CANARY})
    assert CANARY not in repr([p.as_json() for p in caught.value.problems])
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_model_shows_no_secret(job):
    model = job(
        "network: {proxy: 'http://a:${PW}@proxy:3128'}\n" + WINDOW, {"PW": CANARY, "LOOP_API_TOKEN": CANARY}
    ).model
    assert model.network.proxy.url == f"http://a:{CANARY}@proxy:3128"
    assert CANARY not in f"{model!r} {model} {model.model_dump_json()}"
    assert "${LOOP_API_TOKEN}" in model.model_dump_json()


def test_references_work_in_any_scalar_and_the_token_stays_one(job):
    model = job(
        "request: {timezone: '${ZONE}', teams: ['a-${ID}', $$5]}\nlimits: {unfinished: '${N}'}\n" + WINDOW,
        {"ZONE": "Europe/Paris", "ID": "7", "N": "3"},
    ).model
    assert (model.request.timezone, model.request.teams, model.limits.unfinished) == ("Europe/Paris", ("$5", "a-7"), 3)
    assert str(model.api.token) == "${LOOP_API_TOKEN}"


def test_ids_from_a_csv_beside_the_job(job, tmp_path):
    (tmp_path / "in#boxes.csv").write_bytes("\ufeffname,id\nSupport,7\nSales,8\n".encode())
    values = job(WINDOW + "  team: file:in#boxes.csv#id,name\n  tag: 'file:in#boxes.csv#id'\n").model.matrix
    assert [(v.label, v.ids) for v in values.team] == [("Support", ("7",)), ("Sales", ("8",))]
    assert [v.label for v in values.tag] == ["7", "8"]


def test_what_is_wrong_in_a_csv_is_told_in_its_line(problems, tmp_path):
    (tmp_path / "i.csv").write_text("id,name\n1,a\n2,a\n")
    (problem,) = problems(WINDOW + "  team: file:i.csv#id,name\n")
    assert (problem.file, problem.line, problem.key) == (str(tmp_path / "i.csv"), 3, "matrix.team")


def test_overrides(job):
    text = WINDOW + "  team: &t {a: 1}\n  tag: *t\n"
    model = job(
        text,
        overrides=[
            ("limits.unfinished", "3"),
            ("matrix.window", "{every: year, last: 2}"),
            ("matrix.team.a", "9"),
            ("matrix.customer", "[x@example.com]"),
            ("request.timezone", "${ZONE}"),
            ("output.path", ""),
        ],
        environ={"ZONE": "Europe/Paris"},
    ).model
    assert (model.limits.unfinished, model.matrix.window.last, model.request.timezone) == (3, 2, "Europe/Paris")
    assert (model.matrix.team[0].ids, model.matrix.tag[0].ids) == (("9",), ("1",))
    assert model.matrix.order == ("window", "team", "tag", "customer")


def test_one_limit_may_be_set_where_all_are_automatic(job):
    text = WINDOW + "limits: auto\n"
    limits = job(text, overrides=[("limits.unfinished", "3"), ("limits.longest_pause", "2h")]).model.limits
    assert (limits.unfinished, limits.requests_per_second, limits.downloads) == (3, "auto", "auto")
    assert limits.longest_pause == 7200
    assert job(text, overrides=[("limits", "{unfinished: 3}")]).model.limits.requests_per_second == 5.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("limits.unfinished", "many", "whole number"),
        ("limits.unfinished.x", "1", "has text in its place"),
        ("limit.x", "1", "unknown key"),
        ("limits..x", "1", "path of keys"),
        ("matrix.exclude.3", "{}", "names no entry"),
        ("output.path", "{team}/x", "not readable"),
        ("request.teams", "[a", "not readable"),
        ("name", "\udcff", "not UTF-8"),
        ("\udcff", "1", "not UTF-8"),
    ],
)
def test_overrides_that_are_wrong(problems, key, value, message):
    text = "limits: {unfinished: 2}\n" + WINDOW + "  exclude: [{window: 2024-01}]\n"
    (problem,) = problems(text, overrides=[(key, value)])
    assert (problem.place, problem.line) == (f"--set {key}", None)
    assert message in problem.message


def test_a_pipe_is_no_job_file_whether_it_is_drained_or_nobody_writes_to_it(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    read, write = os.pipe()
    os.close(write)
    try:
        for pipe in (tmp_path / "fifo", f"/dev/fd/{read}"):
            with pytest.raises(JobError, match="a pipe or a device can't be a job file") as caught:
                load_job(pipe, {})
            assert caught.value.code == "job.unreadable"
            assert "start at its folder" in caught.value.cause
    finally:
        os.close(read)


def test_an_override_never_repeats_a_secret(problems):
    found = problems(WINDOW, overrides=[("api.token", CANARY), ("network.proxy", f"ftp://{CANARY}")])
    assert [p.key for p in found] == ["api.token", "network.proxy"]
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("more", "in_file"), [("nmae: x\n", ["nmae"]), ("", ["matrix.exclude.0.window"])], ids=["loading", "expanding"]
)
def test_options_that_are_wrong_do_not_hide_what_is_wrong_in_the_file(write, more, in_file):
    path = write(HEAD + more + "output: {to: x}\n" + WINDOW + "  exclude: [{window: '2020'}]\n")
    with pytest.raises(JobError) as caught:
        load(str(path), Ask(selects=["tem=a"], first="soon", sets=["limits"]), {}, 1_710_000_000)
    options = ["--set limits", "--select tem=a", "--from soon"]
    assert [p.key or p.place for p in caught.value.problems] == [*in_file, *options]


def test_options_that_are_wrong_are_told_together(write):
    path = write(HEAD + "output: {to: x}\n" + WINDOW)
    with pytest.raises(JobError) as caught:
        load(str(path), Ask(last="2024-1", sets=["limits", "x"]), {}, 1_710_000_000)
    assert [p.place for p in caught.value.problems] == ["--set limits", "--set x", "--to 2024-1"]


def test_models_are_frozen_and_can_be_made_from_python():
    values = {"version": 1, "name": "a", "api": {"token": "${T}"}, "matrix": {"window": {"every": "month", "last": 1}}}
    values["output"] = {"to": "x"}
    model = JobFile.model_validate(values | {"limits": {"unfinished": 2, "longest_pause": 1.5}})
    assert model.limits.longest_pause == 1.5
    with pytest.raises(ValueError, match="frozen"):
        model.name = "b"


def test_a_misspelt_key_is_one_problem_and_one_that_is_nowhere_near_is_two(job):
    def problems(text):
        with pytest.raises(JobError) as caught:
            job(text)
        return [(problem.key, problem.hint) for problem in caught.value.problems]

    ((key, hint),) = problems(WINDOW.replace("matrix", "matirx"))
    assert key == "matirx"
    assert hint.startswith("did you mean `matrix`?")
    assert [key for key, _ in problems(WINDOW.replace("matrix", "cells"))] == ["matrix", "cells"]
    ((key, _),) = problems("matrix:\n  windwo: {every: month, from: 2024-01}\n")
    assert key == "matrix.windwo"
