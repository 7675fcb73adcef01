"""Looks for secrets in everything that a program has said or left, in each form in which one could get there."""

from __future__ import annotations

import base64
import functools
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path


@functools.cache
def forms(secret: str) -> tuple[bytes, ...]:
    """Plain, percent-encoded (also each character of it), in hexadecimal, and in base64 at each of its three alignments."""
    raw = secret.encode()
    every = "".join(f"%{byte:02x}" for byte in raw)
    found = [raw, urllib.parse.quote(secret, safe="").encode(), every.encode(), every.upper().encode()]
    found += [raw.hex().encode(), raw.hex().upper().encode()]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # The letters at both ends also hold bits of what stands beside the secret.
            begin, end = -(-8 * shift // 6), 8 * (shift + len(raw)) // 6
            found.append(encode(b"\0" * shift + raw)[begin:end])
    return tuple(dict.fromkeys(found))


def hunt(seen: Mapping[str, bytes], secrets: Iterable[str]) -> list[tuple[str, str, str]]:
    """Secret, place and the form in which it was found there, for each find."""
    return [
        (secret, place, form.decode())
        for secret in secrets
        for form in forms(secret)
        for place, data in seen.items()
        if form in data
    ]


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path: what a program may have left there."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
