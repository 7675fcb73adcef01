"""Whether OpenTelemetry's own variables ask for spans, and of which exporters. Pure, and imports nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for spans, and the extra `otel` is installed."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or not exporters(environ):
        return False
    try:
        return find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None
    except Exception:  # noqa: BLE001  to find the second, Python runs the first, and that may be broken in any way
        return True  # it is there: whoever imports it tells what is wrong


def exporters(environ: Mapping[str, str]) -> list[str]:
    """Names of the exporters that are asked for, as packages of OpenTelemetry give them."""
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not named and any(environ.get(name) for name in _ENDPOINTS):
        named = "otlp"
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    return [otlp if name == "otlp" else name for name in map(str.strip, named.split(",")) if name not in ("", "none")]
