"""What a body is when it is not what was asked for, told in words that may be shown.

Rows are personal data: text of a body is quoted only where it can't be JSON, at most 60 characters of it, without
control and escape characters and without the query of any URL (which may be a signature).
"""

from __future__ import annotations

import re

from orchestrator.errors import ContentError

HEAD = 1024
"""So many bytes are enough to say what a body is."""

_SHOWN = 60
_SPACE = b" \t\n\r"
_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_PAGE = re.compile(rb"<(?:!doctype html|html|head|body|title|script)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*(?:>|\Z)")
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_QUERY = re.compile(r"\?[^\s<>\"'«»]+")
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or workbook"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xd0\xcf\x11\xe0", "a password-protected workbook, or one of the old binary format"),
    (b"%PDF", "a PDF document"),
)

PROXY_HINT = (
    "A proxy, a login page or an error page of the file host answered in the file's place. "
    "Run again to fetch the file anew; if it stays so, look at `network.proxy` and at what this machine reaches."
)
AGAIN_HINT = "The file was not stored. Run again to fetch it anew; if it stays so, report it to the service."


def mistaken(head: bytes, wanted: str) -> ContentError:
    """The error for a body that begins as `wanted` (such as "a JSON array of rows") never does.

    `head` is its beginning, `HEAD` bytes or all of it. The code is `content.empty`, `content.page` (HTML or XML) or
    `content.other`.
    """
    code, kind = _kind(head)
    if code == "content.empty":
        return ContentError(f"the body is empty, {wanted} was expected", hint=AGAIN_HINT, code=code)
    hint = PROXY_HINT if code == "content.page" else AGAIN_HINT
    return ContentError(f"the body is {kind}, not {wanted}", hint=hint, code=code)


def page(head: bytes, wanted: str) -> ContentError:
    """The error for an answer that calls itself HTML (`Content-Type: text/html`), whatever it holds."""
    code, kind = _kind(head)
    what = f"; it is {kind}" if code != "content.empty" else ""
    return ContentError(
        f"the answer calls itself an HTML page, {wanted} was expected{what}", hint=PROXY_HINT, code="content.page"
    )


def excerpt(text: str) -> str:
    """The beginning of a foreign text, fit to be shown on a terminal and kept in a log."""
    plain = _QUERY.sub("?…", _TERMINAL.sub("", text))
    words = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def _kind(head: bytes) -> tuple[str, str]:
    body = head.removeprefix(_UTF8_BOM).lstrip(_SPACE)
    if not body:
        return "content.empty", "empty"
    for signature, name in _SIGNATURES:
        if body.startswith(signature):
            return "content.other", name
    if not body.strip(b"\0"):
        return "content.other", "a run of zero bytes"
    if head.startswith(_WIDE_BOMS) or b"\0" in body[:4]:
        return "content.other", "UTF-16 or UTF-32 text (JSON files are UTF-8), or binary data"
    if body.startswith(b"<"):
        return "content.page", _markup(body)
    if body[0] in b'{["-0123456789' or body.strip(_SPACE) in (b"true", b"false", b"null"):
        # It may well be data: named, never quoted.
        names = {b"{": "a JSON object", b"[": "a JSON array"}
        return "content.other", names.get(body[:1], "a single JSON value or a line of data")
    text = body.decode("utf-8", "replace")
    if text.count("\ufffd") > 1:  # the head may end within a character: one is no sign of binary data
        return "content.other", f"binary data (it begins with the bytes {body[:8].hex(' ')})"
    return "content.other", f"text (it begins with «{excerpt(text)}»)"


def _markup(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    name = "an HTML page" if _PAGE.search(body) else "an XML document"
    if title := _TITLE.search(text):
        said = excerpt(title[1])
        return f"{name} (its title is «{said}»)" if said else name
    said = excerpt(_TAG.sub(" ", _UNSEEN.sub(" ", text))) or excerpt(text)
    return f"{name} (it says «{said}»)"
