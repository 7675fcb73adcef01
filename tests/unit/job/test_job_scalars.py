"""How scalars are read, and references."""

import pickle

import pytest

from orchestrator.cli.redact import Redactor
from orchestrator.errors import JobError
from orchestrator.job import scalars
from orchestrator.job.misfit import Misfit
from orchestrator.job.references import SecretRef, interpolate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("0.3s", 0.3),
        ("300ms", 0.3),
        ("5m", 300),
        ("1h30m", 5400),
        ("2h", 7200),
        ("90", 90),
        (2.5, 2.5),
        ("1m0.5s", 60.5),
    ],
)
def test_durations(text, seconds):
    assert scalars.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0s",
        "-1s",
        "soon",
        "30m1h",
        "1h 30m",
        "1e3",
        "inf",
        "nan",
        "9" * 5000,
        "1" + "0" * 22,
        "3000000h",
        "10S",
        None,
        [],
        "١s",
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(Misfit, match="duration"):
        scalars.duration(text)


@pytest.mark.parametrize("text", ["2d", "1h 30m", "1e22", "1 h"])
def test_what_is_written_in_another_way_is_told_how(text):
    with pytest.raises(Misfit, match="not a duration") as caught:
        scalars.duration(text)
    assert "48h for 2 days" in caught.value.hint


def test_no_duration_is_so_long_that_a_time_would_lose_its_seconds():
    with pytest.raises(Misfit, match="at most 300 years"):
        scalars.duration(1e22)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")])
def test_a_number_beyond_every_float_is_refused(value):
    with pytest.raises(Misfit, match="duration"):
        scalars.duration(value)
    with pytest.raises(Misfit, match="a number"):
        scalars.number("a number")(value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.Intheloop.io/", "https://api.intheloop.io"),
        ("HTTPS://api.intheloop.io:443", "https://api.intheloop.io"),
        ("https://gateway.example.com/loop/", "https://gateway.example.com/loop"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1/x"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_base_urls_are_normalised(url, expected):
    assert scalars.base_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://api.intheloop.io",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "ftp://localhost",
        "api.intheloop.io",
        "https://",
        "https://user:hunter2@example.com",
        "https://example.com?hunter2",
        "https://example.com/api/v1/",
        "https://example.com/api/v1/report/export",
        "https://example.com/#hunter2",
        "https://example.com:hunter2/",
        "https://[hunter2/",
        "https://exa mple.com",
        "https://exämple.com",
        "https://example.com\\@evil.example",
    ],
)
def test_base_urls_that_are_refused_are_never_repeated(url):
    with pytest.raises(Misfit) as caught:
        scalars.base_url(url)
    assert not caught.value.show
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_proxy_hides_its_password():
    proxy = scalars.proxy("http://user:hunter2@proxy.example.com:3128")
    assert proxy.url == "http://user:hunter2@proxy.example.com:3128"
    assert str(proxy) == "http://proxy.example.com:3128"
    assert "hunter2" not in f"{proxy} {proxy!r}"
    assert scalars.proxy("env") == "env"
    for wrong in ("socks5://hunter2@h", "hunter2", "http://h/hunter2", "http://hunter2:x:y@h:z"):
        with pytest.raises(Misfit) as caught:
            scalars.proxy(wrong)
        assert not caught.value.show


@pytest.mark.parametrize("value", ["s3://bucket", "gs://b", "az://b", "S3://b", "file:///x", "https://x"])
def test_output_is_a_folder(value):
    with pytest.raises(Misfit, match=r"folder"):
        scalars.folder(value)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_booleans(text, value):
    assert scalars.boolean(text) is value
    with pytest.raises(Misfit):
        scalars.boolean("yes")


@pytest.mark.parametrize("text", ["a\nb", "a\x1b]8;;", "\ud800", " ", "a\u2028"])
def test_text_has_no_control_characters(text):
    with pytest.raises(Misfit):
        scalars.text(text)


# ------------------------------------------------------------------------------------------------------- references


def test_interpolation(tmp_path):
    (tmp_path / "zone").write_text("UTC\n")
    (tmp_path / "dos").write_bytes(b"UTC\r\n")
    (tmp_path / "two").write_text("a\n\n")
    environ = {"A": "x", "B": "$$${A}"}
    for text, expected in [
        ("${A}-${A}", "x-x"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$5 and $", "$5 and $"),
        ("${B}", "$$${A}"),
        ("${file:zone}", "UTC"),
        ("${file:dos}", "UTC"),
        ("${file:two}", "a\n"),
    ]:
        assert interpolate(text, environ, tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${MISSING}", "MISSING is not set"),
        ("${A", "not closed"),
        ("${}", "names a variable"),
        ("${a-b}", "names a variable"),
        ("${file:nope}", "is missing"),
        ("${file:}", "needs a path"),
        ("${file:.}", "can't be read"),
        ("${file:latin}", "not UTF-8"),
        ("${SURROGATE}", "not UTF-8"),
        ("${file:large}", "1 MiB"),
    ],
)
def test_references_that_fail_name_no_content(tmp_path, text, message):
    (tmp_path / "latin").write_bytes(b"hunter2\xff")
    (tmp_path / "large").write_bytes(b"hunter2" * 200_000)
    with pytest.raises(Misfit, match=message) as caught:
        interpolate(text, {"SURROGATE": "hunter2\udcff"}, tmp_path)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_a_secret_shows_its_reference_alone(tmp_path):
    ref = SecretRef.parse("${TOKEN}")
    assert (repr(ref), str(ref)) == ("SecretRef('${TOKEN}')", "${TOKEN}")
    assert ref.resolve({"TOKEN": "abc.DEF-1"}, tmp_path) == "abc.DEF-1"
    assert pickle.loads(pickle.dumps(ref)) == ref


def test_a_secret_file_is_read_anew(tmp_path):
    file = tmp_path / "token"
    file.write_text("one\n")
    ref = SecretRef.parse("${file:token}")
    assert ref.resolve({}, tmp_path) == "one"
    file.write_text("two")
    assert ref.resolve({}, tmp_path) == "two"


@pytest.mark.parametrize(
    "text", ["hunter2", "x${A}", "${A}${B}", "${A", "$A", "${a b}", "${file:}", "", None, 5, ["${A}"]]
)
def test_a_literal_secret_is_refused_and_not_repeated(text):
    with pytest.raises(Misfit) as caught:
        SecretRef.parse(text)
    assert not caught.value.show
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "secret", ["", "hunter2 ", "hunter2\nX-Evil: 1", "Bearer hunter2", "hunter2é", "hunter2\udcff"]
)
def test_an_unusable_secret_names_its_reference_only(tmp_path, secret):
    with pytest.raises(JobError) as caught:
        SecretRef.parse("${TOKEN}").resolve({"TOKEN": secret}, tmp_path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("token.unresolved", "api.token")
    assert "TOKEN" in problem.message
    assert "hunter2" not in str(problem)


def test_the_hint_about_bearer_is_shown_to_people_whole(tmp_path):
    with pytest.raises(JobError) as caught:
        SecretRef.parse("${TOKEN}").resolve({"TOKEN": "Bearer hunter2"}, tmp_path)
    (problem,) = caught.value.problems
    for text in (f"{problem.message} [{problem.code}]", f"hint: {problem.hint}"):
        assert "the word `Bearer`" in text
        assert Redactor().text(text) == text


def test_a_missing_secret_is_told_when_it_is_needed(tmp_path):
    with pytest.raises(JobError, match="TOKEN is not set"):
        SecretRef.parse("${TOKEN}").resolve({}, tmp_path)
    with pytest.raises(JobError, match="is missing"):
        SecretRef.parse("${file:nope}").resolve({}, tmp_path)
