"""Which addresses a file host may have.

A signed URL comes out of an answer, and a redirect out of another: neither may make this program knock at doors inside
the network it runs in. So file URLs must be https on a global address. Where the API itself is on a loopback or private
address, file hosts may be too (http only on loopback); `api.allow_private` allows private ones otherwise. Link-local
addresses, where clouds keep their metadata services, are never allowed.

A literal address is judged in the URL; a name is judged by what it resolves to, in the resolver that the connection
itself uses, so that no second look-up can tell another story. Through a proxy the name is all there is to judge.
"""

from __future__ import annotations

import socket
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL


class AddressRefused(Exception):
    """The address is one that a file host must not have. The message names the host, never the rest of the URL."""


class Kind(Enum):
    GLOBAL = "a global address"
    PRIVATE = "a private address"
    LOOPBACK = "a loopback address"
    FORBIDDEN = "an address that no file host may have"


_PRIVATE = tuple(
    ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_METADATA = frozenset(ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254"))  # Alibaba, AWS
_NAT64 = IPv6Network("64:ff9b::/96")
_INNER_SUFFIXES = (".local", ".internal", ".home.arpa")


def kind_of(address: str) -> Kind:
    """The kind of a literal address. Addresses that carry another one inside are judged by that one."""
    ip: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFF_FFFF)
        ip = inner or ip
    if ip.is_loopback:
        return Kind.LOOPBACK
    if ip in _METADATA:
        return Kind.FORBIDDEN
    if any(ip in network for network in _PRIVATE):
        return Kind.PRIVATE
    if ip.is_global and not ip.is_multicast and not ip.is_reserved and not getattr(ip, "is_site_local", False):
        return Kind.GLOBAL
    return Kind.FORBIDDEN


def literal_kind(host: str) -> Kind | None:
    """The kind of a host that is an address, None for a name. Raises `AddressRefused` for odd spellings of IPv4.

    `0x7f.1`, `017700000001` and `2130706433` all mean 127.0.0.1 to the system's resolver.
    """
    try:
        return kind_of(host)
    except ValueError:
        pass
    try:
        socket.inet_aton(host.rstrip("."))
    except (OSError, UnicodeError):
        return None
    raise AddressRefused(f"the file host {host} is an address in an odd spelling")


def is_loopback_name(host: str) -> bool:
    """`localhost`, a name under it, or a literal loopback address."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return kind_of(name) is Kind.LOOPBACK
    except ValueError:
        return False


class GuardedResolver(AbstractResolver):
    """Resolves names for the file host's connections and refuses what the rule does not allow."""

    def __init__(self, inner: AbstractResolver, base_host: str, *, allow_private: bool) -> None:
        self._inner = inner
        self._base_host = base_host
        self._allow_private = allow_private

    async def check(self, url: URL, *, proxied: bool) -> None:
        """Judges what can be judged before a connection is tried. Raises `AddressRefused`."""
        host = url.host or ""
        if url.scheme not in ("https", "http") or not host:
            raise AddressRefused(f"a file URL must be https, this one is {url.scheme or 'of no scheme'}")
        if url.user is not None or url.password is not None:
            raise AddressRefused(f"the file URL on {host} holds a user name or password")
        kind = literal_kind(host)
        if kind is None and is_loopback_name(host):
            kind = Kind.LOOPBACK
        if kind is None and proxied and _is_inner_name(host):
            kind = Kind.PRIVATE
        if url.scheme == "http" and kind is not Kind.LOOPBACK:
            raise AddressRefused(f"the file URL on {host} is http; only a loopback host may do without TLS")
        if kind is not None:
            await self._permit(kind, host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            kind = kind_of(result["host"])
            if kind is not Kind.LOOPBACK and is_loopback_name(host):
                raise AddressRefused(f"the file host {host} does not resolve to a loopback address")
            await self._permit(kind, host)
        return found

    async def close(self) -> None:
        await self._inner.close()

    async def _permit(self, kind: Kind, host: str) -> None:
        if kind is Kind.GLOBAL or (kind is Kind.PRIVATE and self._allow_private):
            return
        if kind is not Kind.FORBIDDEN and await self._base_is_inside():
            return
        hint = "; `api.allow_private: true` allows it" if kind is Kind.PRIVATE else ""
        raise AddressRefused(f"the file host {host} has {kind.value}{hint}")

    async def _base_is_inside(self) -> bool:
        """Whether the API itself is on a loopback or private address. The user named it, so its name may say so."""
        inside = (Kind.LOOPBACK, Kind.PRIVATE)
        if is_loopback_name(self._base_host):
            return True
        try:
            return kind_of(self._base_host) in inside
        except ValueError:
            pass
        try:
            found = await self._inner.resolve(self._base_host, 443, socket.AF_UNSPEC)
        except OSError:
            return False
        return bool(found) and all(kind_of(result["host"]) in inside for result in found)


def _is_inner_name(host: str) -> bool:
    """Names that mean something only inside a network; a proxy would resolve them there."""
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(_INNER_SUFFIXES)
