"""Windows, durations, URLs, references: a meaning that holds, or a Misfit that repeats nothing secret."""

import math
from contextlib import suppress
from datetime import date
from urllib.parse import urlsplit

from fuzzing import json_values
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import JobError
from orchestrator.job import scalars
from orchestrator.job.misfit import Misfit, Misfits
from orchestrator.job.periods import FIRST_DAY, KINDS, LAST_DAY, MAX_DAYS, Every, meant, span
from orchestrator.job.references import SecretRef, interpolate
from orchestrator.job.windows import window_range, windows, zone


def pieces(*words, most=8):
    return st.lists(st.sampled_from(words), max_size=most).map("".join)


# ----------------------------------------------------------------------------------------------------------- windows

LABELS = (
    st.text(max_size=12)
    | st.dates().map(date.isoformat)
    | st.dates().map(lambda day: day.isoformat()[:7])
    | pieces(
        "2024",
        "1969",
        "9900",
        "0000",
        "-",
        "01",
        "12",
        "13",
        "31",
        "W",
        "Q",
        "53",
        "4",
        "..",
        "/",
        ".",
        " ",
        "T00",
        "١",
    )
)
EVERY = st.sampled_from([Every(kind) for kind in KINDS]) | st.builds(
    Every, st.just("days"), st.integers(1, MAX_DAYS), st.dates(FIRST_DAY, LAST_DAY)
)


@given(EVERY, LABELS)
@example(Every("week"), "9999-12-31")
@example(Every("days", 3660), "0001-01-01")
def test_a_label_names_a_period_or_the_hint_says_what_would(every, text):
    for read in (every.begin, every.end):
        try:
            first = read(text)
        except Misfit as misfit:
            assert misfit.message.isprintable()
            if misfit.hint and misfit.hint.startswith("write ") and " as " not in misfit.hint:
                assert span(misfit.hint.removeprefix("write ")) is not None
        else:
            assert FIRST_DAY <= every.floor(first) == first <= LAST_DAY
            if every.last_day(first) <= LAST_DAY:
                assert every.begin(every.label(first)) == every.end(every.label(first)) == first
    written = meant(text)
    assert written is None or span(written) is not None


APIA = st.sampled_from(["2011-12-29", "2011-12-30", "2011-12-31"])
"""Apia's clocks jumped over one of these days."""


@given(
    EVERY | st.just(Every("day")),
    st.tuples(st.none() | LABELS, st.none() | LABELS) | st.tuples(APIA, APIA),
    st.none() | st.integers(1, 50),
    st.booleans(),
    st.floats(0, 7e9),
)
def test_a_range_of_any_labels_has_windows_that_tile_or_is_refused(every, ends, count, include_current, now):
    with suppress(Misfit, Misfits):
        wanted = window_range(every, *ends, count=count, include_current=include_current)
        before = None
        for n, window in enumerate(windows(wanted, zone("Pacific/Apia"), now)):
            assert window.start < window.end
            assert before is None or window.start == before.end
            before = window
            if n > 50:
                break


# --------------------------------------------------------------------------------------------------------- durations


@given(json_values | st.text(max_size=12) | pieces("1", "0", ".", "h", "m", "s", "ms", " ", "-", "e", "9" * 12, "٣"))
def test_a_duration_is_a_length_of_time_or_a_misfit(value):
    with suppress(Misfit):
        assert 0 < scalars.duration(value) < math.inf
    with suppress(Misfit):
        assert 0 < scalars.number("a number", above=True)(value) < math.inf
    with suppress(Misfit):
        assert 1 <= scalars.integer(1, 100)(value) <= 100


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_duration_is_the_sum_of_its_parts_however_it_is_written(hours, minutes, seconds, thousandths):
    wanted = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    assert math.isclose(scalars.duration(f"{hours}h{minutes}m{seconds}s{thousandths}ms"), wanted)
    assert math.isclose(scalars.duration(f"{wanted:.3f}"), wanted)
    assert math.isclose(scalars.duration(wanted), wanted)


# -------------------------------------------------------------------------------------------------------------- URLs

URLS = st.text(max_size=30) | pieces(
    "https", "http", "HTTPS", "ftp", "://", ":", "//", "/", "h.example", "localhost", "127.0.0.1", "[::1]", "[", "]", "@", "u:CANARY@", "?", "#",
    ":443", ":0", ":99999", "%", "\\", " ", "é", "\n", "/api/v1", "/api/v1/report", ".", "０",
)  # fmt: skip


@given(URLS)
@example("https://[::1]:443//")
def test_a_base_url_is_normal_and_safe_or_a_misfit_that_does_not_repeat_it(text):
    try:
        found = scalars.base_url(text)
    except Misfit as misfit:
        assert "CANARY" not in f"{misfit.message}{misfit.hint}"
        return
    url = urlsplit(found)
    assert scalars.base_url(found) == found
    assert url.hostname
    assert url.username is None
    assert url.scheme == "https" or url.hostname in ("localhost", "::1") or url.hostname.startswith("127.")
    assert not url.query + url.fragment


@given(URLS)
def test_a_proxy_shows_neither_user_nor_password(text):
    with suppress(Misfit):
        found = scalars.proxy(text)
        assert "CANARY" not in f"{found} {found!r}"


# -------------------------------------------------------------------------------------------------------- references


@given(
    st.text(max_size=20)
    | pieces(
        "$", "{", "}", "${X}", "${file:", "/dev/null", "X", "\0", "~", ":", "$$", "${NO}", "~nobody-here", "x" * 300
    )
)
def test_a_reference_is_replaced_or_refused_and_shows_no_content(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    environ = {"X": "CANARY"}
    try:
        found = interpolate(text, environ, folder)
        assert "$" in text or found == text
    except Misfit as misfit:
        assert "CANARY" not in f"{misfit.message}{misfit.hint}"
    try:
        reference = SecretRef.parse(text)
        assert "CANARY" not in repr(reference)
        reference.resolve(environ, folder)
    except (Misfit, JobError) as error:
        assert "CANARY" not in f"{error} {error.hint}"
