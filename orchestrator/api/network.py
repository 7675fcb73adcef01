"""How hosts are reached: time limits, trusted certificates, proxies; and what to say when one is not reached.

Messages are built anew from exception classes and the operating system's texts: aiohttp's own hold URLs with their
queries, and its reprs hold headers.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import aiohttp
from yarl import URL

from orchestrator.api.addresses import is_loopback_name
from orchestrator.errors import JobError, Problem
from orchestrator.version import __version__

CONNECT = 10.0
"""Seconds in which one address must have let us in: a black hole must not hold up the next address of the name."""

BREAKS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""All that aiohttp raises for what a network or a host does. `ValueError` is for host names that can't be looked up."""

BODY_BREAKS: Final = (*BREAKS, RuntimeError)
"""What reading a body raises besides: aiohttp's stream says `RuntimeError` when the parser gave the connection up between
two reads (a bad chunk does that)."""

USER_AGENT = f"orchestrator/{__version__}"


class NoAnswerError(aiohttp.ClientError):
    """Stands for an error of a connection that ended without an answer, where aiohttp must not see which one it was."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        self.error = error


async def once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A middleware for sessions: nothing is sent twice.

    aiohttp sends a GET again by itself when the connection ends without an answer. That would go out beside the pace, and
    past a gate that was closed meanwhile.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoAnswerError(error) from None


@dataclass(frozen=True, slots=True)
class Network:
    """The job's `network` section. `timeout` is in seconds; `proxy` is `env`, `none` or a URL."""

    timeout: float = 30.0
    proxy: str = field(default="env", repr=False)  # may hold a password
    ca_file: str | None = None


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the system's certificates (or those `SSL_CERT_FILE` names) and those in `ca_file`. Always verifies.

    Raises `JobError` if `ca_file` can't be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            why = error.strerror if not isinstance(error, ssl.SSLError) else "it holds no PEM certificates"
            raise JobError(
                Problem(
                    f"the certificates in {ca_file} can't be used",
                    code="job.ca-file",
                    cause=why,
                    key="network.ca_file",
                    hint="give the path of a PEM file with your organisation's root certificates",
                )
            ) from None
    return context


# ------------------------------------------------------------------------------------------------------------ proxies


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. `url` shows no credentials: they are in `authorization`, the header for it."""

    url: URL
    authorization: str | None = field(default=None, repr=False)

    def arguments(self, target: URL) -> tuple[dict[str, str], dict[str, Any]]:
        """Headers for the request itself, and keyword arguments of `ClientSession.request`, for a request to `target`."""
        credentials = {"Proxy-Authorization": self.authorization} if self.authorization else {}
        if target.scheme == "http":  # no tunnel: the proxy reads the request, and strips this header
            return credentials, {"proxy": self.url}
        return {}, {"proxy": self.url, "proxy_headers": credentials}


class Proxies:
    """Which proxy a URL is reached through: the job's, or the one that the environment names for it.

    aiohttp's `trust_env` would do this too, but it also takes passwords from `~/.netrc` and sends them to any host
    named there. The environment is read once. Raises `JobError` for a proxy that can't be used.
    """

    def __init__(self, setting: str) -> None:
        self._from_environment = setting == "env"
        self._by_scheme: dict[str, Proxy] = {}
        if self._from_environment:
            found = urllib.request.getproxies()
            for scheme in ("http", "https"):
                value = found.get(scheme) or found.get("all")
                if value:
                    self._by_scheme[scheme] = _proxy(value, f"the environment's {scheme}_proxy")
        elif setting != "none":
            proxy = _proxy(setting, "`network.proxy`")
            self._by_scheme = {"http": proxy, "https": proxy}

    def for_url(self, url: URL) -> Proxy | None:
        proxy = self._by_scheme.get(url.scheme)
        if proxy is None or (self._from_environment and _bypassed(url)):
            return None
        return proxy


_PASSWORD = re.compile(r"(?:[^/@]*//)?+[^:/@]*:(.+)@")  # to the last @, so that no half of a misspelt one is left


def passwords(setting: str) -> tuple[str, ...]:
    """The passwords in the proxies that `setting` (`env`, `none` or a URL) leads to, each as it is written in the URL and
    as it is sent. Never raises: whether the URLs can be used is asked elsewhere.
    """
    urls = urllib.request.getproxies().values() if setting == "env" else [setting]
    written = {match[1] for match in map(_PASSWORD.match, urls) if match is not None}
    return tuple(sorted(written | {unquote(password) for password in written}))


def _proxy(text: str, where: str) -> Proxy:
    wrong = Problem(
        f"{where} names a proxy that can't be used",
        code="job.proxy",
        key="network.proxy",
        hint="give http://HOST:PORT or https://HOST:PORT (with USER:PASSWORD@ before HOST if it wants them); SOCKS is not supported; `network.proxy: none` ignores the environment",
    )
    try:
        url = URL(text if "://" in text else f"http://{text}")
        if url.scheme not in ("http", "https") or not url.host or not url.port:
            raise JobError(wrong)
        authorization = None
        if url.user is not None or url.password is not None:
            authorization = aiohttp.encode_basic_auth(url.user or "", url.password or "")
    except ValueError:
        raise JobError(wrong) from None
    return Proxy(url.origin(), authorization)


def _bypassed(url: URL) -> bool:
    host, port = url.host or "", url.port
    if is_loopback_name(host):  # as in Go and most browsers: a proxy's loopback is another machine's
        return True
    forms = [host, f"{host}:{port}"]
    if ":" in host:
        forms += [f"[{host}]", f"[{host}]:{port}"]
    return any(urllib.request.proxy_bypass(form) for form in forms)


# ----------------------------------------------------------------------------------------------------- what went wrong


def is_untrusted(error: BaseException) -> bool:
    """The host may not be the one it should be: no certificate of it could be verified."""
    return isinstance(error, aiohttp.ClientSSLError | ssl.CertificateError | aiohttp.ServerFingerprintMismatch)


def what_broke(error: BaseException, host: str) -> str:
    """One line on why an exchange with `host` failed, without URLs, headers or anything else that may be secret."""
    if isinstance(error, NoAnswerError):
        return what_broke(error.error, host)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status} instead of connecting to {host}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"no connection to the proxy {error.host}:{error.port}{_because(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} can't be resolved{_because(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "it can't be verified"
        return f"the certificate of {host} is not trusted: {why} (own certificates: `network.ca_file` or SSL_CERT_FILE)"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no TLS with {host}{_because(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {host}{_because(error.os_error)}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection to {host} in time"
    if isinstance(error, TimeoutError):
        return f"{host} did not answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{host} closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError | RuntimeError):
        return f"the answer of {host} broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer of {host} is not HTTP"
    if isinstance(error, OSError):
        return f"the connection to {host} broke{_because(error)}"
    return f"the exchange with {host} failed ({type(error).__name__})"


def _because(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "").replace("_", " ")
    elif isinstance(error, socket.gaierror):
        why = error.strerror or ""
    else:  # `strerror` of aiohttp's own errors may hold the URL; the system's text for the number does not
        why = os.strerror(error.errno) if error.errno else ""
    return f": {why.lower()}" if why else ""
