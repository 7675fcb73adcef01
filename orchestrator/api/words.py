"""What a server says, made fit for a terminal and a log: short, in plain text, and without secrets.

Error bodies come from the service and from whatever proxy stands before it. Their form is not documented, and nobody
vouches for their content: terminal escapes, a whole HTML page or the token itself may be in them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson

from orchestrator.api import disguises

LONGEST = 500
"""Characters of a server's own words that are passed on."""

_HEAD = 8192  # what patterns are let loose on: a title stands early, and nobody can make them slow
_HIDDEN = "[secret]"
_SHORTEST_SECRET = 8  # a shorter "token" is a word of somebody's test, and may stand in any sentence
_BOM = b"\xef\xbb\xbf"
_ESCAPE_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?")
_TAGS = re.compile(r"<[^<>]*>")
_QUERIES = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")

_MESSAGE = ("message", "errormessage", "error_description", "error", "detail", "title", "description", "reason")
_CODE = ("code", "errorcode", "error_code")
_FIELDS = ("fields", "errors", "details", "validationerrors", "fielderrors")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that `body` holds; None for anything else."""
    try:
        parsed = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def said(body: bytes, secret: str = "") -> str:
    """The server's own words in an error body; empty if it has none. `secret` is cut out wherever it is echoed, in any disguise."""
    if len(secret) >= _SHORTEST_SECRET:  # before anything is cut off: half a secret is still one
        for form in disguises.forms(secret):
            body = body.replace(form.encode(), _HIDDEN.encode())
        body = _without_half(body, secret)
    found = json_object(body)
    return presentable(_page(body) if found is None else _spoken(found), secret)


def _without_half(body: bytes, secret: str) -> bytes:
    """A body that was cut may end in the first half of a secret: from as many characters on as make one, that goes too."""
    forms = [form.encode() for form in disguises.forms(secret)]
    for size in range(max(map(len, forms)), _SHORTEST_SECRET - 1, -1):
        if body.endswith(tuple(form[:size] for form in forms if len(form) > size)):
            return body[:-size] + _HIDDEN.encode()
    return body


def presentable(text: str, secret: str = "", longest: int = LONGEST) -> str:
    """`text` in one line, without control characters, escape sequences, queries of URLs and `secret`."""
    text = " ".join(_ESCAPE_SEQUENCES.sub("", text).split())
    text = "".join(char for char in text if not unicodedata.category(char).startswith("C"))
    text = text[:_HEAD]
    known = disguises.pattern((secret,)) if len(secret) >= _SHORTEST_SECRET else None
    if known is not None:  # once more: it may have been spelt with escapes, or with line breaks in it
        text = known.sub(_HIDDEN, text)
    text = _QUERIES.sub(r"\1", text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def with_status(status: int, words: str = "") -> str:
    """`502 Bad Gateway: what it said`."""
    try:
        told = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        told = str(status)
    return f"{told}: {words}" if words else told


def _spoken(answer: Mapping[str, Any], depth: int = 3) -> str:
    """The message, the code and the fields at fault, whatever this server calls them; else the object as it is."""
    known = {key.lower(): value for key, value in answer.items()}
    inner = known.get("error")
    if isinstance(inner, dict) and inner and depth:
        return _spoken(inner, depth - 1)
    message = next((known[key] for key in _MESSAGE if isinstance(known.get(key), str) and known[key].strip()), None)
    code = next((known[key] for key in _CODE if isinstance(known.get(key), str | int)), None)
    fields = "; ".join(line for key in _FIELDS for line in _lines(known.get(key)))
    if message is None and code is None and not fields:
        try:
            return orjson.dumps(answer).decode() if answer else ""
        except orjson.JSONEncodeError:  # nested deeper than anybody reads
            return ""
    extras = [f"code {code}"] if code is not None else []
    if fields:
        extras.append(f"fields: {fields}")
    if message is None:
        return ", ".join(extras)
    return f"{message} ({', '.join(extras)})" if extras else message


def _lines(value: Any, depth: int = 3) -> Iterator[str]:
    """Names and remarks in a list or an object of faults, in the order given."""
    if isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _lines(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for key, item in value.items():
            remarks = ", ".join(_lines(item, depth - 1))
            yield f"{key}: {remarks}" if remarks else key


def _page(body: bytes) -> str:
    """Plain text as it is; of an HTML page its title, or its text if it has none."""
    text = body[:_HEAD].decode("utf-8", "replace").replace("\ufffd", "").replace("\ufeff", "")
    lower = text.lower()
    start = lower.find("<title")
    opened = lower.find(">", start)
    end = lower.find("</title", opened)
    if 0 <= start < opened < end and text[opened + 1 : end].strip():
        return html.unescape(text[opened + 1 : end])
    return html.unescape(_TAGS.sub(" ", text)) if "<" in text else text
