"""Signed URLs of the file host, and their check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re


class Signer:
    """Makes and checks the query of a signed URL: `Expires`, `Signature`, `Key-Pair-Id`, as CloudFront has them.

    A query must come back byte for byte. A signature is of the letters that CloudFront's have, which every client leaves
    alone. With `escapes` it also holds an escape in lower case, one in upper case and one that need not be, to
    notice a client that decodes and encodes it anew. Nothing is remembered: the moment of expiry, in milliseconds, is part of what is signed.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def query(self, file_id: str, expires: float, *, escapes: bool = False) -> str:
        """The query for a file until `expires`, in seconds since the epoch."""
        return self._query(file_id, round(expires * 1000), escapes)

    def check(self, file_id: str, query: str, now: float) -> bool:
        """Whether a query, as it stood in the request line, is one of ours, for this file and not yet expired."""
        found = re.search(r"Signature=([0-9]{1,18})~", query)
        if found is None:
            return False
        came, expires = query.encode("utf-8", "surrogateescape"), int(found[1])
        ours = (self._query(file_id, expires, escapes).encode() for escapes in (False, True))
        return any(hmac.compare_digest(came, query) for query in ours) and now < expires / 1000

    def _query(self, file_id: str, expires: int, escapes: bool) -> str:
        digest = hmac.new(self._secret, f"{file_id} {expires}".encode(), hashlib.sha256).digest()
        text = base64.b64encode(digest, b"-~").decode().rstrip("=")
        if escapes:
            text = f"{text[:10]}%2F{text[10:20]}%2b{text[20:30]}%41-{text[30:]}"
        signature = f"{expires}~{text}__"
        return f"Expires={math.ceil(expires / 1000)}&Signature={signature}&Key-Pair-Id=KSIMULATOR0001"
