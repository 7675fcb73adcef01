"""One harmless question to the service, for whoever wants to know how far a run would get."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from orchestrator.engine.ports import StatusAnswer

NOBODYS = "00000000-0000-0000-0000-000000000000"
"""The id of a report that there can't be: to ask for it creates nothing and reads nothing."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of the question."""

    answer: StatusAnswer
    """`NotFound` is the good one: the service has looked for the report, so it took the token."""
    talks_json: bool = False
    """The answer holds a JSON object, as all of the service's do."""
    behind: float | None = None
    """Seconds by which this machine's clock is behind the service's, by the answer's `Date`; None if it had none."""
    certificate_ends: float | None = None
    """When the host's certificate ends, in seconds since the epoch; None without TLS, or if it never came so far."""


class Witness(aiohttp.TCPConnector):
    """A connector that keeps what the certificate of its last connection says. It is verified as everywhere."""

    certificate: Mapping[str, Any] | None = None

    async def connect(self, *given: Any, **named: Any) -> Any:
        connection = await super().connect(*given, **named)
        if connection.transport is not None:
            self.certificate = connection.transport.get_extra_info("peercert")
        return connection

    @property
    def certificate_ends(self) -> float | None:
        ends = (self.certificate or {}).get("notAfter")
        return float(ssl.cert_time_to_seconds(ends)) if ends else None
