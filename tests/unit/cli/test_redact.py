import base64
import json
import re
import textwrap
from urllib.parse import quote, quote_plus

import pytest

from orchestrator.api import disguises
from orchestrator.cli.redact import REDACTED, Redactor

TOKEN = "lp_Canary/7+x=Z&q\"'ž-1234567890"


def spellings():
    raw = TOKEN.encode()
    yield TOKEN
    yield quote(TOKEN)
    yield quote(TOKEN, safe="")
    yield re.sub("%..", lambda match: match[0].lower(), quote(TOKEN, safe=""))
    yield quote_plus(TOKEN)
    yield json.dumps({"a": TOKEN})
    yield repr(TOKEN)
    yield raw.hex()
    yield "\n".join(textwrap.wrap(TOKEN, 7))
    yield " ".join(TOKEN)
    for user in ("", "a:", "ab:", "abc:"):
        coded = base64.b64encode(user.encode() + raw).decode()
        yield coded
        yield coded.replace("+", "-").replace("/", "_").rstrip("=")
        yield base64.b64encode(user.encode() + raw + b"@host").decode()
        yield "\n".join(textwrap.wrap(coded, 10))


@pytest.mark.parametrize("spelling", list(spellings()))
def test_a_known_secret_is_found_in_every_spelling(spelling):
    clean = Redactor([TOKEN]).text(f"before {spelling} after")
    assert REDACTED in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "Canary" not in clean
    for whole in (TOKEN, TOKEN.encode().hex(), base64.b64encode(TOKEN.encode()).decode()[:12]):
        assert whole not in clean


def test_escapes_cannot_hide_a_secret():
    assert Redactor(["abcdefgh"]).text("abcd\x1b[0mefgh ab\x00cdefgh") == f"{REDACTED} {REDACTED}"


def test_short_secrets_and_none():
    assert Redactor(["abcdef"]).text("xabcdefx a b c") == f"x{REDACTED}x a b c"
    assert Redactor(["", "  ", "demo", "x"]).text("demo x as it was") == "demo x as it was"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET https://r.example/RF_1?Expires=1&Signature=abc failed", "GET https://r.example/RF_1 failed"),
        ("('https://r.example/a?Signature=abc')", "('https://r.example/a')"),
        ("https://r.example/a#token=abc.", "https://r.example/a"),
        ("proxy http://me:pass@proxy:8080/ down", f"proxy http://{REDACTED}@proxy:8080/ down"),
        ("to=https%3A%2F%2Fr.example%2Fa%3FSignature%3Dabc end", "to=https%3A%2F%2Fr.example%2Fa end"),
        (
            "/RF_1?Expires=1&Signature=abc~_-&Key-Pair-Id=K1",
            f"/RF_1?Expires=1&Signature={REDACTED}&Key-Pair-Id={REDACTED}",
        ),
        ("Authorization: Bearer abc.def", f"Authorization: {REDACTED}"),
        ("Authorization: Basic YTpi", f"Authorization: {REDACTED}"),
        ("{'Authorization': 'Bearer abc', 'X': 'y'}", f"{{'Authorization': '{REDACTED}', 'X': 'y'}}"),
        ("(b'Authorization', b'abc')", f"(b'Authorization', b'{REDACTED}')"),
        ('{\\"authorization\\": \\"abc\\"}', f'{{\\"authorization\\": \\"{REDACTED}\\"}}'),
        ("sent bearer abc, then", f"sent bearer {REDACTED}, then"),
        ("the Authorization header is missing", "the Authorization header is missing"),
        ("why? because", "why? because"),
    ],
)
def test_urls_and_headers(text, clean):
    assert Redactor().text(text) == clean


def test_values_of_every_shape():
    class Odd:
        def __str__(self):
            return "odd s3cr3t-value"

    value = {
        "n": 1, "f": 1.5, "none": None, "yes": True, "odd": Odd(), "bytes": b"s3cr3t-value\xff", "s3cr3t-value": ["a\x1b[1m", ("b",)],
        "token": 12, "Authorization": "x", "next_token": None, "set": {"s3cr3t-value"},
    }  # fmt: skip
    assert Redactor(["s3cr3t-value"]).value(value) == {
        "n": 1, "f": 1.5, "none": None, "yes": True, "odd": f"odd {REDACTED}", "bytes": f"{REDACTED}\ufffd", REDACTED: ["a", ["b"]],
        "token": REDACTED, "Authorization": REDACTED, "next_token": None, "set": [REDACTED],
    }  # fmt: skip


def test_what_finds_the_same_secrets_is_made_once():
    """For a long token that takes a second, and redactors are made for each line."""
    made = disguises.pattern.cache_info().misses
    for secrets in (["made-once-1", "made-once-2"], ["made-once-2", "made-once-1", "made-once-2"]):
        assert Redactor(secrets).text("made-once-1") == REDACTED
    assert disguises.pattern.cache_info().misses == made + 1


def test_the_disguises_of_a_long_token_are_made_when_there_is_a_text_to_clean(monkeypatch):
    made = []
    find = disguises.pattern
    monkeypatch.setattr(disguises, "pattern", lambda secrets: made.append(secrets) or find(secrets))
    redactor = Redactor(["a-long-token"])
    assert made == []
    assert [redactor.text(text) for text in ("x a-long-token y", "a-long-token")] == ["x [redacted] y", "[redacted]"]
    assert made == [("a-long-token",)]


def test_a_key_of_job_files_is_said_again_and_a_signed_urls_parameter_is_not():
    clean = Redactor().text
    assert clean("run job.yaml --set polling.policy=backoff") == "run job.yaml --set polling.policy=backoff"
    assert clean("Policy=eyJTdGF0ZW1lbnQ") == f"Policy={REDACTED}"
    assert clean("&policy=eyJTdGF0ZW1lbnQ") == f"&policy={REDACTED}"
