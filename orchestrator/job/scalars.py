"""How the scalars of a job file are read. Each function takes the text as written (or the Python value) and returns
what it means, or raises `Misfit` saying what is allowed; none repeats what it was given.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from orchestrator.job.misfit import Misfit, did_you_mean

_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_PART = r"(?:([0-9]{{1,12}}(?:\.[0-9]{{1,12}})?){unit})?"
_DURATION = re.compile("".join(_PART.format(unit=unit) for unit in ("h", "m(?!s)", "s", "ms")))
_SECONDS = (3600.0, 60.0, 1.0, 0.001)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BRACES = 'put quotes around it: braces begin a mapping in YAML, so write "{…}" for text'


def scalar(value: object, due: str) -> str:
    """The text of a scalar; whatever else stands there is refused, with `due` naming what should."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        # `{team}` where text is due is a mapping whose only key has nothing behind it.
        slip = len(value) == 1 and None in value.values()
        raise Misfit(f"{due} is due here, not a mapping", hint=_BRACES if slip else None)
    if isinstance(value, list | tuple):
        raise Misfit(f"{due} is due here, not a list")
    raise Misfit(f"{due} is due here, and nothing is given")


def text(value: object, due: str = "text") -> str:
    """Text with something in it, and no control characters: it is shown on terminals and sent in headers."""
    found = scalar(value, due)
    if not found.strip():
        raise Misfit(f"{due} is due here, and this is empty")
    if _CONTROL.search(found):
        raise Misfit(f"{due} on one line is due here, without control characters")
    return found


def name(value: object) -> str:
    found = scalar(value, "a name")
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", found) is None:
        raise Misfit(
            "a name of lower-case letters, digits and hyphens, beginning with a letter or digit, is due here",
            hint="such as support-backfill",
        )
    return found


def version(value: object) -> int:
    if scalar(value, "the version of the job file's format") != "1":
        raise Misfit(
            "the only version of the job file's format is 1", hint="write `version: 1`, or update orchestrator"
        )
    return 1


def boolean(value: object) -> bool:
    found = scalar(value, "true or false")
    if found in ("true", "True", "TRUE"):
        return True
    if found in ("false", "False", "FALSE"):
        return False
    raise Misfit("true or false is due here", hint="YAML's other words for them (yes, no, on, off) are not read")


def choice(*allowed: str) -> Callable[[object], str]:
    """A reader of one of the `allowed` words."""

    def read(value: object) -> str:
        found = scalar(value, "one word")
        if found not in allowed:
            raise Misfit(f"{' or '.join(allowed)} is due here", hint=did_you_mean(found, allowed))
        return found

    return read


def integer(least: int, most: int = 1_000_000) -> Callable[[object], int]:
    """A reader of whole numbers from `least` to `most`."""
    due = f"a whole number from {least} to {most:,}"

    def read(value: object) -> int:
        found = scalar(value, due)
        if re.fullmatch(r"[0-9]{1,12}", found) is None or not least <= int(found) <= most:
            raise Misfit(f"{due} is due here")
        return int(found)

    return read


def number(due: str, *, least: float = 0.0, most: float = math.inf, above: bool = False) -> Callable[[object], float]:
    """A reader of numbers from `least` (or, with `above`, greater than it) to `most`."""

    def read(value: object) -> float:
        found = scalar(value, due)
        figure = _figure(value, found)
        if figure is None or not least <= figure <= most or (above and figure == least):
            raise Misfit(f"{due} is due here")
        return figure

    return read


def _figure(value: object, written: str) -> float | None:
    """The number that stands there: a frozen plan holds numbers, and some of them can't be written as job files do."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            figure = float(value)
        except OverflowError:  # an integer beyond every float
            return None
        if math.isfinite(figure):
            return figure
    return float(written) if _NUMBER.fullmatch(written) else None


def or_auto(read: Callable[[object], float]) -> Callable[[object], float | str]:
    """The same reader, which also takes the word `auto`."""

    def checked(value: object) -> float | str:
        return "auto" if value == "auto" else read(value)

    return checked


_WRITE = "write 10s, 0.3s, 5m, 1h30m or a number of seconds"
LONGEST = 300 * 366 * 86_400.0
"""Seconds of a duration, at most: added to a time of today, much more would leave no seconds in it."""


def duration(value: object) -> float:
    """Seconds, from `10s`, `0.3s`, `300ms`, `5m`, `1h30m` or a number of seconds; more than 0, at most `LONGEST`."""
    found = scalar(value, "a duration")
    seconds = _figure(value, found)
    if seconds is None:
        parts = _DURATION.fullmatch(found)
        if parts is None:
            raise Misfit("this is not a duration", hint=f"{_WRITE}; without blanks, days or exponents (48h for 2 days)")
        seconds = sum(float(part or 0) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True))
    if seconds <= 0:
        raise Misfit("a duration of more than 0 is due here", hint=_WRITE)
    if seconds > LONGEST:
        raise Misfit("a duration of at most 300 years is due here", hint=_WRITE)
    return seconds


# ------------------------------------------------------------------------------------------------------------- URLs


def base_url(value: object) -> str:
    """The API's address, normalised: lower-case scheme and host, no default port, no slash at the end.

    https, or http on a loopback host; no user, query or fragment; a path before the API's own is kept. It may hold a
    password by mistake, so it is never repeated.
    """
    found = text(value, "a URL")
    url = _split(found)
    host = (url.hostname or "").lower()
    if url.scheme not in ("https", "http") or not host:
        raise Misfit("a URL such as https://api.intheloop.io is due here", show=False)
    if url.username is not None or url.password is not None:
        raise Misfit("a URL without a user or password is due here", hint="the token goes into api.token", show=False)
    if "?" in found or "#" in found:
        raise Misfit("a URL without a query or fragment is due here", show=False)
    if re.search(r"/api/v1(/report.*)?/?$", url.path):
        raise Misfit(
            "the API's own path is not part of base_url", hint="leave /api/v1 and what follows away", show=False
        )
    if url.scheme == "http" and not _loopback(host):
        raise Misfit(
            "https is due here; http is allowed on a loopback host only",
            hint="the token would travel unprotected",
            show=False,
        )
    return f"{url.scheme}://{_authority(url, host)}{url.path.rstrip('/')}"


@dataclass(frozen=True, slots=True, repr=False)
class ProxyUrl:
    """A proxy's address. It may hold a password, so it shows itself without user and password."""

    url: str

    def __str__(self) -> str:
        url = urlsplit(self.url)
        return f"{url.scheme}://{_authority(url, (url.hostname or '').lower())}"

    def __repr__(self) -> str:
        return f"ProxyUrl({str(self)!r})"


def proxy(value: object) -> str | ProxyUrl:
    """`env`, `none` or the proxy's URL, which is never repeated."""
    if isinstance(value, ProxyUrl):
        return value
    found = text(value, "env, none or a URL")
    if found in ("env", "none"):
        return found
    url = _split(found)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.path not in ("", "/")
        or "?" in found
        or "#" in found
    ):
        raise Misfit("env, none or a URL such as http://proxy.example.com:3128 is due here", show=False)
    return ProxyUrl(found)


def _split(found: str) -> SplitResult:
    """The URL's parts, with host and port readable; urllib's own errors repeat what they were given."""
    try:
        url = urlsplit(found)
        _ = url.port, url.hostname
    except ValueError:
        raise Misfit("this is no URL", show=False) from None
    if not found.isascii() or " " in found or "\\" in found:
        raise Misfit("a URL in ASCII without spaces or backslashes is due here", show=False)
    return url


def _authority(url: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(url.scheme)
    return shown if url.port in (None, default) else f"{shown}:{url.port}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# ------------------------------------------------------------------------------------------------------ destinations


def folder(value: object) -> str:
    """Where files go. Object stores are refused by name, so that no folder called `s3:` appears."""
    found = text(value, "a folder")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", found)
    if scheme is not None and scheme[1].lower() in ("s3", "gs", "az"):
        raise Misfit(f"object stores ({scheme[1].lower()}://) are not available yet: give a folder", show=False)
    if scheme is not None:
        raise Misfit("a folder is due here, not a URL", show=False)
    return found


def path(text: str) -> Path:
    """A path with `~` as the user's home. Of a user whom this machine does not know it stays, as in a shell."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  `Path.expanduser` raises where a shell does not
