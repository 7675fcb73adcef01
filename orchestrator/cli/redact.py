"""Keeps secrets, and whatever a terminal would obey, out of text that is about to be written.

Three nets, each of which would do alone in most cases: the known secrets in every common disguise, the queries of URLs
(a signed URL is a secret by its query), and whatever an `Authorization` header carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from orchestrator.api import disguises
from orchestrator.progress.words import printable

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(r"(?i)^(proxy-)?authorization$|^(set-)?cookie$|^x-api-key$|token$|password$|^secret$")
# A header's value, of which a part may have been redacted already.
_VALUE = rf"(?:{re.escape(REDACTED)}|[^\s\"',;)}}\]\\])+"
# In this order: the user part of a URL, its query, the query of a percent-encoded one, headers, a signed URL's parameters.
_PATTERNS = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>@]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE), r"\1"),
    (re.compile(r"(https?%3a%2f%2f(?:(?!%3f)[^\s\"'<>])*)%3f[^\s\"'<>]*", re.IGNORECASE), r"\1"),
    (
        re.compile(
            r"(\bauthorization(?:\\?[\"']\s*[:=,]|\s*[:=])\s*(?:b(?=[\"']))?\\?[\"']?)"
            r"(?:(?:bearer|basic)\s+)?" + _VALUE,
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b(bearer)\s+" + _VALUE, re.IGNORECASE), rf"\1 {REDACTED}"),
    # (`polling.policy` is a key of job files, said again in commands that are suggested.)
    (re.compile(r"\b(signature|(?<!polling\.)policy|key-pair-id)=[^\s&\"'<>]+", re.IGNORECASE), rf"\1={REDACTED}"),
)


_SHORTEST = 6
"""Shorter values are no secrets (`x`, `demo` in a rehearsal), and hiding them would hide half of every text."""


class Redactor:
    """Cleans text and values. `secrets` are those known to this process: tokens, passwords of proxies."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        stripped = {secret.strip() for secret in secrets}
        self._secrets = tuple(sorted(secret for secret in stripped if len(secret) >= _SHORTEST))

    @cached_property
    def _known(self) -> re.Pattern[str] | None:
        """Made with the first text: a long token's takes a second, and most runs say nothing that has to be cleaned."""
        return disguises.pattern(self._secrets)

    def text(self, text: str, *, lines: bool = False) -> str:
        """`text` without secrets and without what a terminal obeys; `lines` keeps line feeds and tabs."""
        # Secrets go first: what is printable may have lost the very blanks and escapes by which they are known.
        text = self._known.sub(REDACTED, text) if self._known else text
        text = printable(text, lines=lines)
        text = self._known.sub(REDACTED, text) if self._known else text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for whatever a log line may carry, brought down to what JSON knows, so that no `repr` comes after."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.field(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner) for inner in value]
        return self.text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))

    def field(self, name: str, value: Any) -> Any:
        """The value of a field whose very name may say that it is a secret."""
        return REDACTED if _SECRET_NAMES.search(name) and value is not None else self.value(value)
