"""Chance that can be repeated: a number drawn from a name instead of from a generator's state.

The order in which requests arrive differs from run to run; what an export is dealt must not. So each draw is a hash
of what it is for (the seed, the question, which creation of it), and asking again gives the same number.
"""

from __future__ import annotations

import hashlib


def chance(*parts: object) -> float:
    """A number strictly between 0 and 1, even, and always the same for the same parts."""
    name = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> 11) + 0.5) / 2**53
