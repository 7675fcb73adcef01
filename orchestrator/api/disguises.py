"""A secret in whatever form somebody may repeat it: plain, in JSON or a `repr`, in a URL, in hexadecimal, in base64.

Servers and proxies quote what they were sent, and nobody knows how they spell it. Only exact knowledge of the secret finds
such a form, so this is for those that the program holds: tokens, passwords of proxies.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_TOLERANT_FROM = 8
"""From this length on a form is found even when blanks or line breaks were put between its characters."""


@functools.lru_cache(maxsize=16)
def forms(secret: str) -> tuple[str, ...]:
    """The forms of a secret, the longest first: one that holds another one must go as a whole."""
    return _longest_first(_forms(secret))


@functools.lru_cache(maxsize=16)  # a long token's takes a second to make
def pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds every form of every secret; None if there are none."""
    found = _longest_first(form for secret in secrets for form in forms(secret))
    return re.compile("|".join(map(_spelling, found))) if found else None


def _longest_first(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found), key=lambda form: (-len(form), form)))


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    every = "".join(f"%{byte:02X}" for byte in raw)
    for quoted in (quote(secret), quote(secret, safe=""), quote_plus(secret), every):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        # Inside a longer base64 text (`user:secret`) the secret begins at any of three places; what its neighbours
        # share a character with is cut off.
        coded = base64.b64encode(b"\0" * before + raw)
        inner = coded.rstrip(b"=")[(0, 2, 3)[before] : len(coded.rstrip(b"=")) - (1 if coded.endswith(b"=") else 0)]
        if len(inner) >= _TOLERANT_FROM:
            yield inner.decode()
            yield inner.translate(bytes.maketrans(b"+/", b"-_")).decode()


def _spelling(form: str) -> str:
    gap = r"(?:\s|\\n)*" if len(form) >= _TOLERANT_FROM else ""
    return gap.join(map(re.escape, form))
