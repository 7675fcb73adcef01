"""Job files that would eat the machine: refused with a place, before anything has been made of them."""

from __future__ import annotations

import tracemalloc

import pytest

from orchestrator.errors import JobError
from orchestrator.job.expand import expand
from orchestrator.job.loader import MAX_BYTES, load_job

NOW = 2_000_000_000.0
HEAD = "version: 1\nname: caps\napi: {token: '${T}'}\noutput: {to: out}\n"
WINDOWS = "matrix:\n  window: {every: day, from: 2000-01-01, to: 2002-09-26}\n"
MOST_MEMORY = 200 * 1024 * 1024


def nested_aliases(width, levels):
    lines = [f"l0: &l0 [{', '.join('x' * width)}]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("# " + "x" * MAX_BYTES + "\n" + HEAD, None, "1 MiB"),
        (nested_aliases(9, 9), 6, "more than 100,000 values"),
        (nested_aliases(2, 40), 15, "more than 100,000 values"),
        ("a: [" + "x, " * 100_001 + "]\n", 1, "more than 100,000 values"),
        ("a: " + "[" * 51 + "]" * 51 + "\n", 1, "more than 50 levels"),
        ("a: " + "{a: " * 51 + "}" * 51 + "\n", 1, "more than 50 levels"),
        ("".join(f"{'  ' * n}a:\n" for n in range(60)), 51, "more than 50 levels"),
        ("l0: &l0 [x]\n" + "".join(f"l{n}: &l{n} [*l{n - 1}]\n" for n in range(1, 60)), 50, "more than 50 levels"),
    ],
    ids=["bytes", "wide aliases", "doubling aliases", "items", "lists", "mappings", "indentation", "aliases in a row"],
)
def test_what_is_too_large_is_refused_with_its_place_and_little_memory(write, text, line, words):
    path = write(text)
    tracemalloc.start()
    with pytest.raises(JobError) as raised:
        load_job(path, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    problem = raised.value.problems[0]
    assert words in problem.message
    assert problem.line == line
    assert peak < MOST_MEMORY


def test_what_is_just_not_too_large_is_read(write):
    with pytest.raises(JobError) as raised:
        load_job(write("a: [" + "x, " * 90_000 + "]\nb: " + "[" * 48 + "]" * 48 + "\n"), {})
    assert {problem.key for problem in raised.value.problems} >= {"a", "b"}, "they are unknown keys, no more"


def test_a_million_exports_are_enough_unless_more_are_asked_for(write):
    """It is told before the first one is expanded."""
    teams = ", ".join(f"t{n}" for n in range(1001))
    job = load_job(write(f"{HEAD}{WINDOWS}  team: [{teams}]\n"), {})
    tracemalloc.start()
    with pytest.raises(JobError, match=r"1,001,000 cells, and at most 1,000,000") as raised:
        expand(job, NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (raised.value.code, raised.value.problems[0].line) == ("plan.too-many", 5)
    assert "--max-exports" in raised.value.hint
    assert peak < 10 * 1024 * 1024
    assert next(expand(job, NOW, max_exports=1_001_000)).coordinates == (("window", "2000-01-01"), ("team", "t0"))
