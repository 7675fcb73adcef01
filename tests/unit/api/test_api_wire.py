from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api.wire import (
    LONGEST_WAIT,
    create_answer,
    parse_retry_after,
    request_body,
    status_answer,
    status_path,
)
from orchestrator.engine.ports import Accepted, Broken, Denied, Invalid, NotFound, Status, Throttled

NOW = 1_700_000_000.0


def create(status, body=b"", **headers):
    return create_answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, now=NOW)


def poll(status, body=b"", **headers):
    return status_answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, now=NOW)


# ---------------------------------------------------------------------------------------------------------- creation


@pytest.mark.parametrize("status", [200, 201])
def test_a_readable_id_is_a_created_export(status):
    body = b'{"id": "5f3e", "status": "Processing", "url": null, "new": {"field": 1}}'
    assert create(status, body) == Accepted("5f3e", "Processing")


def test_a_creation_needs_no_status():
    assert create(200, b'{"id": "5f3e"}') == Accepted("5f3e", "")
    assert create(200, b'\xef\xbb\xbf{"id": "5f3e", "status": 7}') == Accepted("5f3e", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"5f3e"',
        b"<html>ok</html>",
        b'{"id": "5f3e"',
        b'{"id": ""}',
        b'{"id": "  "}',
        b'{"id": null}',
        b'{"id": 5}',
        b'{"id": ["5f3e"]}',
        b'{"Id": "5f3e"}',
        b'{"id": "a\\nb"}',
        b'{"id": "a\\u001bb"}',
        b'{"id": "\\ud800"}',
        b'{"id": ".."}',
        b'{"id": "%s"}' % (b"x" * 201),
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id":' * 5_000,
        b"9" * 10_000,
    ],
)
def test_a_success_without_a_readable_id_is_ambiguous(body):
    answer = create(200, body)
    assert isinstance(answer, Broken)
    assert answer.sent
    assert answer.trusted


@pytest.mark.parametrize(
    "status", [101, 202, 204, 206, 404, 405, 408, 409, 413, 415, 422, 500, 502, 503, 504, 599, 999]
)
def test_anything_else_is_ambiguous_even_with_an_id_in_it(status):
    answer = create(status, b'{"id": "5f3e"}')
    assert isinstance(answer, Broken)
    assert answer.sent
    assert answer.trusted
    assert str(status) in answer.detail


@pytest.mark.parametrize("status", [404, 405])
def test_a_missing_endpoint_hints_at_the_base_url(status):
    assert "api.base_url" in create(status).detail


def test_a_bad_request_tells_the_services_own_words():
    body = b'{"message": "Invalid range", "code": "E42", "fields": [{"start": "after end"}, "end"]}'
    assert create(400, body) == Invalid("Invalid range (code E42, fields: start: after end; end)")


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refused_account_is_denied(status):
    assert create(status, b'{"error": {"message": "Not you", "code": 7}}') == Denied(status, "Not you (code 7)")
    denied = create(status)
    assert isinstance(denied, Denied)
    assert denied.detail.startswith(f"{status} ")


def test_too_many_requests():
    assert create(429, Retry_After="30") == Throttled(30.0, "429 Too Many Requests")
    assert create(429) == Throttled(None, "429 Too Many Requests")
    assert create(429, b"slow down", retry_after="soon") == Throttled(None, "429 Too Many Requests: slow down")


def test_unavailable_with_a_time_is_no_creation_and_without_one_is_ambiguous():
    assert create(503, Retry_After="5") == Throttled(5.0, "503 Service Unavailable", unavailable=True)
    assert create(503, Retry_After="soon") == Throttled(None, "503 Service Unavailable", unavailable=True)
    assert isinstance(create(503, Retry_After=" "), Broken)
    assert isinstance(create(500, Retry_After="5"), Broken)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_trusted_and_shows_no_query(status):
    answer = create(status, Location="https://u:hunter2@evil.example:8443/path?Signature=canary#canary")
    assert isinstance(answer, Broken)
    assert not answer.trusted
    assert "https://evil.example:8443/path" in answer.detail
    assert "canary" not in answer.detail
    assert "hunter2" not in answer.detail


@pytest.mark.parametrize("location", ["", "//[bad", "https://h:99999/x", "\x1b]8;;x\x07", "/only/a/path"])
def test_a_redirect_may_lead_anywhere(location):
    assert not create(302, Location=location).trusted
    assert not create(302).trusted


# ------------------------------------------------------------------------------------------------------------ polling


def test_a_status_with_and_without_url():
    assert poll(200, b'{"id": "x", "status": "Processing", "url": null}') == Status("Processing", None)
    found = poll(200, b'{"id": "x", "status": "Completed", "url": "https://h/RF_1?Signature=a%2Fb~c"}')
    assert found.status == "Completed"
    assert found.url.reveal() == "https://h/RF_1?Signature=a%2Fb~c"
    assert "Signature" not in repr(found)


@pytest.mark.parametrize("url", ["null", '""', '"  "', "5", "[]", "{}"])
def test_a_url_that_is_none(url):
    assert poll(200, b'{"status": "Completed", "url": %s}' % url.encode()) == Status("Completed", None)


def test_a_status_nobody_knows_is_passed_on_in_one_clean_line():
    assert poll(200, '{"status": "Überfällig"}'.encode()) == Status("Überfällig")
    assert poll(200, b'{"status": "Que\\u001b[31mued\\r\\nnow"}') == Status("Queued now")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"status": null}', b'{"status": ""}', b'{"status": 3}', b"[]", b"<html>"]
)
def test_an_answer_without_status_is_broken(body):
    assert isinstance(poll(200, body), Broken)


def test_gone_and_refused():
    assert poll(404, b"<html>nginx</html>") == NotFound()
    assert poll(410) == NotFound()
    assert isinstance(poll(400, b'{"message": "bad id"}'), Broken)
    assert poll(401, b"no") == Denied(401, "no")
    assert poll(429, Retry_After="1.5") == Throttled(1.5, "429 Too Many Requests")
    assert poll(503, Retry_After="2").unavailable
    assert isinstance(poll(204), Broken)
    assert isinstance(poll(201, b'{"status": "Completed"}'), Broken)
    assert not poll(307, Location="/x").trusted


# ------------------------------------------------------------------------------------------------------------- words


def test_html_is_reduced_to_its_title_or_text():
    assert create(400, b"<html><head><TITLE>502 &amp; out</TITLE></head><body>x</body></html>") == Invalid("502 & out")
    assert create(400, b"<p>Some <b>bold</b>\n\n words") == Invalid("Some bold words")
    assert create(400, b"<title></title><p>text</p>") == Invalid("text")
    assert create(400, b"<title") == Invalid("<title")


def test_words_are_clean_and_short():
    answer = create(
        400, b"\x1b]8;;http://evil\x07click\x1b]8;;\x07 \x1b[31mred\x1b[0m\r\x00\xe2\x80\xaeend" + b" more" * 500
    )
    assert answer.detail.startswith("click red end more")
    assert len(answer.detail) == 500
    assert answer.detail.isprintable()


def test_words_show_no_query_of_a_url():
    assert create(400, b"see https://h/p?Signature=canary and http://k#canary") == Invalid(
        "see https://h/p and http://k"
    )


@pytest.mark.parametrize(
    "echo",
    [
        b"you sent to/ken-canary",
        b'{"message": "you sent to\\/ken-canary"}',
        b'{"odd": "to\\u002fken-canary"}',
        b"<p>%sto/ken-canary" % (b" " * 8180),
        b"x" * 490 + b"to/ken-canary",
        b"to/k\x00en-canary",
    ],
)
def test_an_echoed_secret_is_cut_out(echo):
    detail = create_answer(400, {}, echo, now=NOW, secret="to/ken-canary").detail
    assert "canary" not in detail
    assert "to/k" not in detail


@pytest.mark.parametrize("echoed", ["to/ken-canary", "to%2Fken-canary"])
def test_what_a_cut_answer_has_left_of_an_echoed_secret_is_cut_out(echoed):
    for length in range(8, len(echoed) + 1):
        echo = f"you sent {echoed[:length]}".encode()
        assert create_answer(400, {}, echo, now=NOW, secret="to/ken-canary").detail == "you sent [secret]"


def test_a_documented_status_is_taken_as_it_is():
    """Even for a token that spells like one: every good answer holds such a status, and nothing is searched in it."""
    for secret in ("Completed", "PendingOrExpired"):
        body = b'{"id": "5f3e", "status": "%s"}' % secret.encode()
        assert status_answer(200, {}, body, now=NOW, secret=secret) == Status(secret)
        assert status_answer(200, {}, body.replace(b'"}', b'!"}'), now=NOW, secret=secret) == Status("[secret]!")


@given(
    st.integers(100, 999),
    st.binary(max_size=300),
    st.dictionaries(st.sampled_from(["Retry-After", "Location", "Date"]), st.text()),
)
def test_no_answer_is_too_odd(status, body, headers):
    for answer in (
        create_answer(status, headers, body, now=NOW, secret="12345678"),
        status_answer(status, headers, body, now=NOW),
    ):
        detail = getattr(answer, "detail", "")
        assert len(detail) < 800
        assert not any(ord(char) < 32 for char in detail)


_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)
_keys = st.sampled_from(["message", "error", "code", "fields", "errors", "Details", "id", "status", "url"])


@given(st.sampled_from([200, 400, 401]), st.dictionaries(_keys, _json))
def test_no_json_is_too_odd(status, body):
    raw = request_body(body)
    create_answer(status, {}, raw, now=NOW)
    status_answer(status, {}, raw, now=NOW)


@pytest.mark.parametrize("filler", [b"<", b"<title", b"<title>", b"http://", b"\x1b]", b"\x1b[", b'{"error":', b" "])
@pytest.mark.timeout(20)
def test_no_body_takes_long(filler):
    create(400, filler * (1024 * 1024 // len(filler)))


def test_deeply_nested_errors_are_not_told():
    assert create(400, b'{"error":' * 900 + b"1" + b"}" * 900) == Invalid("400 Bad Request")


# ----------------------------------------------------------------------------------------------------------- requests


def test_the_canonical_body_is_the_same_for_the_same_question():
    one = request_body({"timezone": "Europe/Ljubljana", "start": 1, "teamIds": ["ž"]})
    other = request_body({"teamIds": ["ž"], "start": 1, "timezone": "Europe/Ljubljana"})
    assert one == other == '{"start":1,"teamIds":["ž"],"timezone":"Europe/Ljubljana"}'.encode()


@pytest.mark.parametrize(
    ("report_id", "segment"),
    [
        ("5f-3e", "5f-3e"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("..", "%2E%2E"),
        ("a?b#c", "a%3Fb%23c"),
        ("ž %", "%C5%BE%20%25"),
    ],
)
def test_an_id_stays_one_segment_of_the_path(report_id, segment):
    assert status_path(report_id) == f"/api/v1/report/exports/{segment}"


# -------------------------------------------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("+3", 3.0),
        (".5", 0.5),
        ("-5", 0.0),
        ("-0.1", 0.0),
        ("9" * 400, LONGEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0.0),
        ("Sun, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("1,5", None),
        ("٣", None),
        ("Tue, 99 Nov 2023 22:13:50 GMT", None),
        ("Tue, 14 Nov 99999 22:13:50 GMT", None),
    ],
)
def test_retry_after(value, wait):
    assert parse_retry_after(value, None, NOW) == wait


def test_a_date_counts_from_the_servers_own_clock():
    def at(moment):
        return format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)

    assert parse_retry_after(at(NOW + 3660), at(NOW + 3600), NOW) == 60.0
    assert parse_retry_after(at(NOW + 60), "yesterday", NOW) == 60.0
    assert parse_retry_after("7", at(NOW + 3600), NOW) == 7.0
    assert create(429, Retry_After=at(NOW - 40), Date=at(NOW - 100)).wait == 60.0


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [A-Z+0-9-]{1,6}"),
    st.none() | st.text(),
)
def test_retry_after_never_raises_and_never_leaves_its_bounds(value, date):
    wait = parse_retry_after(value, date, NOW)
    assert wait is None or 0.0 <= wait <= LONGEST_WAIT


@given(
    st.integers(0, 10**7) | st.decimals(0, 10**7, places=3),
    st.integers(0, 10**9),
    st.integers(-(10**8), 10**8),
    st.booleans(),
)
def test_a_retry_after_is_never_shortened(wait, sent, skew, dated):
    """However it is written, and however far the server's clock is from ours."""
    served = NOW - 5e8 + sent
    if dated:
        wait = int(wait)
        value = format_datetime(datetime.fromtimestamp(served + wait, UTC), usegmt=True)
    else:
        value = str(wait)
    date = format_datetime(datetime.fromtimestamp(served, UTC), usegmt=True)
    for answer in (create_answer, status_answer):
        throttled = answer(429, {"Retry-After": value, "Date": date}, b"", now=served + skew)
        assert throttled.wait == float(wait)


def test_retry_after_means_the_same_in_every_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_retry_after("Tue, 14 Nov 2023 22:13:50", None, NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()
