from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.content.sniff import excerpt, mistaken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain  text\n here", "plain text here"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "link"),
        ("a\rb\x00c\u202ed", "a b c d"),
        ("GET /RF_1?Expires=1&Signature=abc failed", "GET /RF_1?… failed"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_an_excerpt_is_short_harmless_and_keeps_signatures_back(text, shown):
    assert excerpt(text) == shown


@given(st.text())
def test_an_excerpt_never_holds_what_a_terminal_obeys(text):
    shown = excerpt(text)
    assert len(shown) <= 60
    assert shown.isprintable()


@given(st.binary(max_size=200))
def test_whatever_the_head_is_the_message_can_be_printed(head):
    assert mistaken(head, "a JSON array of rows").message.isprintable()


@pytest.mark.parametrize(
    "head", [b'{"email":"ann@example.com"}', b'"ann@example.com"', b'[{"email":"ann@example.com"}]']
)
def test_what_may_be_data_is_never_quoted(head):
    assert "ann" not in mistaken(head, "an Excel workbook").message


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (
            b"<html><body><script>var x='secret'</script><h1>502 Bad Gateway</h1>",
            "an HTML page (it says «502 Bad Gateway»)",
        ),
        (b"  <HTML>", "an HTML page"),
        (b"<html", "an HTML page (it says «<html»)"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "binary data (it begins with the bytes 89 50 4e 47 0d 0a 1a 0a)"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xff\xfe<\0h\0", "UTF-16"),
    ],
)
def test_the_kind_is_named(head, words):
    assert words in mistaken(head, "a JSON array of rows").message
