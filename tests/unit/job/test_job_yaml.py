"""YAML: nothing guessed, bombs refused, only clean errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import JobError
from orchestrator.job import yaml_nodes
from orchestrator.job.loader import load_job
from orchestrator.job.yaml_nodes import BadYaml, read


def plain(text):
    root, faults = read(text, "f")
    assert not faults

    def value(node):
        if isinstance(node, yaml_nodes.Mapping):
            return {key: value(entry) for key, (_, entry) in node.entries.items()}
        if isinstance(node, yaml_nodes.Sequence):
            return [value(entry) for entry in node.items]
        return None if node.nothing else node.text

    return value(root)


@pytest.mark.parametrize(
    "written",
    [
        "12345",
        "2024",
        "NO",
        "1.10",
        "012",
        "1_000",
        "12:30:45",
        "2024-13-01",
        "2024-01-15",
        "on",
        "0x1F",
        "1e3",
        "9" * 5000,
    ],
)
def test_plain_scalars_stay_as_written(written):
    assert plain(f"a: {written}") == {"a": written}
    key = written[:1000]  # YAML allows no longer ones
    assert plain(f"{key}: b") == {key: "b"}


def test_nothing_and_aliases():
    assert plain("a: ~\nb: null\nc:\nd: 'null'") == {"a": None, "b": None, "c": None, "d": "null"}
    assert plain("a: &x [1, 2]\nb: *x") == {"a": ["1", "2"], "b": ["1", "2"]}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{one}: &{one} [{','.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (BOMB, 6, 11, "100,000"),
        ("[" * 2000, 1, 51, "nested"),
        ("a: [1\nb: 2\n", 2, 2, "not readable"),
        ("a: 1\n\tb: 2\n", 2, 1, "not readable"),
        ("a: é\x07\n", 1, 5, "control character"),
        ("---\na: 1\n---\nb: 1\n", 3, 1, "second document"),
        ("a: &x [*x]\n", 1, 8, "no anchor"),
        ("? [a]\n: b\n", 1, 3, "key is text"),
        ("a: 'b\n", 2, 1, "not readable"),
    ],
)
def test_what_can_not_be_read_has_a_place(text, line, column, message):
    with pytest.raises(BadYaml) as caught:
        read(text, "f")
    ((place, misfit),) = caught.value.faults
    assert (place.line, place.column) == (line, column)
    assert message in misfit.message


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "there twice: first in line 1"),
        ("a: !!python/name:os.system x\n", 1, 4, "tags"),
        ("a: !!int 5\n", 1, 4, "tags"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, 3, "merge keys"),
    ],
)
def test_what_is_refused_but_readable(text, line, column, message):
    _, ((place, misfit),) = read(text, "f")
    assert (place.line, place.column) == (line, column)
    assert message in misfit.message


@pytest.mark.parametrize(
    "text",
    [
        "output:\n  path: {team}/{window}.{ext}\n",
        "output: {path: {team}/{window}.{ext}, to: x}\n",
        "api: {token: ${X}}\n",
        "api: {\n  token: ${X},\n  base_url: x\n}\n",
        "path: {team}.json\n",
    ],
)
def test_the_two_slips_have_a_hint(text):
    with pytest.raises(BadYaml) as caught:
        read(text, "f")
    assert "put quotes around it" in caught.value.faults[0][1].hint


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: [1\n", (2, 1), "the [ in line 1 is not closed"),
        ("a:\n  b: {x: 1\nc: ${X}\n", (3, 2), "the { in line 2 is not closed"),
        ("a: {b: c: d}\n", (1, 9), "the { in line 1 is not closed, or a comma is missing"),
        ("api: {token: “${T}”}\n", (1, 16), "plain quotes"),
        ("a: 'b\n", (2, 1), "the quote in line 1 is not closed"),
        ("a:\n\ttoken: ${X}\n", (2, 1), "indent with spaces, not tabs"),
        ("a: @b\n", (1, 4), "text that begins with @"),
        ("a: *\n", (1, 5), "text that begins with *"),
        ('a: "C:\\d"\n', (1, 7), "put single quotes around it"),
        ("x: 1\na:b\nc: d\n", (2, 1), "with a space after the colon"),
        ("a:b\nc: d\n", (2, 2), "a space after each key's colon"),
        ("a: b\n   c: ${X}\n", (2, 5), "indented like its neighbours"),
        ("a: x: y\n", (1, 5), "needs quotes"),
    ],
)
def test_other_syntax_errors_have_hints_of_their_own(text, place, hint):
    with pytest.raises(BadYaml) as caught:
        read(text, "f")
    ((where, misfit),) = caught.value.faults
    assert (where.line, where.column) == place
    assert hint in misfit.hint
    assert "braces" not in misfit.hint


PIECES = st.sampled_from(
    [
        "version: 1",
        "name: x",
        "api:",
        "token: ${T}",
        "matrix:",
        "window: {every: month",
        "from: 2024-01}",
        "team: [a]",
        "- ",
        "  ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "<<: ",
        "!!int ",
        '"',
        "'",
        "|",
        ">",
        "#",
        "%",
        "---",
        "\n",
        "\n  ",
        "\n    ",
        "${X}",
        "$$",
        "\t",
        "\ufeff",
        "\x00",
        "é",
        "null",
        "auto",
        "exclude: ",
        "path: {team}/x",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_only_job_errors_come_out(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text.encode())
    check(path)


@given(st.binary(max_size=200))
def test_only_job_errors_come_out_of_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz-bytes.yaml"
    path.write_bytes(data)
    check(path)


def check(path):
    try:
        load_job(path, {})
    except JobError as error:
        assert all(p.message and p.file for p in error.problems)


def test_leaves_are_told_as_they_are_written_but_for_blanks_quotes_and_comments():
    root, _ = read("a: {b: '${X}', c: []}\nd:   [1, {e: 2}]   # a word\nf: ~\ng: {}\n", "f")
    assert yaml_nodes.leaves(root) == {"a.b": "${X}", "a.c": "[]", "d": "[1, {e: 2}]", "f": "~", "g": "{}"}
