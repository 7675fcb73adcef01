"""Where a file URL or a redirect may lead: the real client over a wire on which any address can be knocked at.

Hosts are judged by their address. Of a target that is refused nobody ever hears: no connection is opened, no byte is sent.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from l2_wire import Data, Net, WireLoop, played_on

from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import FileBroken, SignedUrl

CLOCK = SimpleNamespace(now=lambda: 1_800_000_000.0)
FILES, OTHER, OTHER6 = "93.184.216.2", "93.184.216.3", "2606:2800:220::3"
NAMES = {
    "api.test": ["93.184.216.1"],
    "api-inside.test": ["10.9.8.7"],
    "files.test": [FILES],
    "other.test": [OTHER],
    "inner.test": ["10.0.0.1"],
    "half.test": [OTHER, "10.0.0.1"],
    "six.test": ["fd12::1"],
    "loop.test": ["127.0.0.1"],
    "meta.test": ["169.254.169.254"],
    "meta6.test": ["fd00:ec2::254"],
    "localhost": ["127.0.0.1"],
}

ANYWHERE = {
    "https://other.test/f": OTHER,
    "https://files.test:8443/f": FILES,
    f"https://{OTHER}/f": OTHER,
    f"https://[{OTHER6}]/f": OTHER6,
    "//other.test/f": OTHER,
    "/f": FILES,
    "f?a=https://10.0.0.1/": FILES,
    "https://files.test/#@169.254.169.254/": FILES,
    "\\\\169.254.169.254\\f": FILES,
}
"""Target → the address that is asked."""
PRIVATE = {
    "https://10.0.0.1/f": "10.0.0.1",
    "https://10.0.0.1:8443/f": "10.0.0.1",
    "//10.0.0.1/f": "10.0.0.1",
    "https://172.16.0.1/f": "172.16.0.1",
    "https://192.168.1.1/f": "192.168.1.1",
    "https://100.64.0.1/f": "100.64.0.1",
    "https://[fd12::1]/f": "fd12::1",
    "https://[::ffff:10.0.0.1]/f": "::ffff:10.0.0.1",
    "https://[64:ff9b::a00:1]/f": "64:ff9b::a00:1",
    "https://[2002:a00:1::]/f": "2002:a00:1::",
    "https://inner.test/f": "10.0.0.1",
    "//inner.test/f": "10.0.0.1",
    "https://six.test/f": "fd12::1",
    "https://half.test/f": OTHER,
}
LOOPBACK = {
    "https://127.0.0.1/f": "127.0.0.1",
    "https://127.8.9.10:8443/f": "127.8.9.10",
    "https://localhost/f": "127.0.0.1",
    "https://[::1]/f": "::1",
    "https://[::ffff:127.0.0.1]/f": "::ffff:127.0.0.1",
    "https://loop.test/f": "127.0.0.1",
}
NOWHERE = (
    "http://files.test/f",
    "http://other.test/f",
    f"http://{OTHER}/f",
    "http://10.0.0.1/f",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254./latest/meta-data/",
    "https://[::ffff:169.254.169.254]/latest/meta-data/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::]/",
    "https://100.100.100.200/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://meta.test/f",
    "//meta.test/f",
    "https://meta6.test/f",
    "https://0.0.0.0/f",
    "https://0/f",
    "https://[::]/f",
    "https://2130706433/f",
    "https://017700000001/f",
    "https://0177.0.0.1/f",
    "https://0x7f.1/f",
    "https://0x7f000001/f",
    "https://127.1/f",
    "https://3232235777/f",
    "https://224.0.0.1/f",
    "https://240.0.0.1/f",
    "https://255.255.255.255/f",
    "https://192.0.2.1/f",
    "https://[fe80::1]/f",
    "https://[fec0::1]/f",
    "https://[ff02::1]/f",
    "https://[2001:db8::1]/f",
    "https://[::127.0.0.1]/f",
    "https://user@other.test/f",
    "https://user:pw@other.test/f",
    "https://files.test@169.254.169.254/f",
    "https://files.test:443@10.0.0.1/f",
    "https://:pw@other.test/f",
    "file:///etc/passwd",
    "file://files.test/etc/passwd",
    "ftp://other.test/f",
    "gopher://10.0.0.1/_GET",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https:///f",
    "https:169.254.169.254/f",
    "///169.254.169.254/f",
)
SETTINGS = {
    "a global API": ("https://api.test", False, ANYWHERE),
    "private hosts allowed": ("https://api.test", True, ANYWHERE | PRIVATE),
    "an API inside": ("https://api-inside.test", False, ANYWHERE | PRIVATE | LOOPBACK),
    "an API on loopback": ("https://127.0.0.1:8080", False, ANYWHERE | PRIVATE | LOOPBACK),
}
EVERYTHING = [*ANYWHERE, *PRIVATE, *LOOPBACK, *NOWHERE]


class Listener:
    """Answers its first request with `first`, and all others with a file."""

    def __init__(self, first=None):
        self.first = first
        self.heard = bytearray()

    def connecting(self):
        return None

    def answer(self, request):
        first, self.first = self.first, None
        return [Data(first or b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")]


class Everywhere(dict):
    """Somebody listens at every address there is; those who were asked for are in it."""

    def get(self, address, default=None):
        return self.setdefault(address, Listener())


def visit(base, *, allow_private, url, answer=None, names=NAMES, times=1):
    """Fetches `url` over and over; gives who was knocked at, by address, and the error, if there was one."""
    hosts = Everywhere({FILES: Listener(answer)})
    net = Net(random.Random(7), names=names, hosts=hosts, dusty=0.0)
    loop = WireLoop("redirects", net)

    async def story():
        network = Network(timeout=20.0, proxy="none")
        async with FileHost(base, network=network, clock=CLOCK, allow_private=allow_private) as files:
            for _ in range(times):
                async with files.open(SignedUrl(url)) as body:
                    assert b"".join([block async for block in body.blocks]) == b"[]"
                await _later(loop, 60.0)

    error = None
    with played_on(loop):
        try:
            loop.run_until_complete(story())
        except FileBroken as broken:
            error = broken
        finally:
            loop.bury()
    if not hosts[FILES].heard:
        del hosts[FILES]
    return dict(hosts), error


async def _later(loop, seconds):
    passed = loop.create_future()
    loop.call_later(seconds, passed.set_result, None)
    await passed


def test_there_are_enough_bad_targets():
    assert len(NOWHERE) + len(PRIVATE) + len(LOOPBACK) >= 60


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_only_where_a_file_host_may_be(setting, status):
    base, allow_private, allowed = SETTINGS[setting]
    for target in EVERYTHING:
        redirect = f"HTTP/1.1 {status} Elsewhere\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
        asked, error = visit(
            base, allow_private=allow_private, url="https://files.test/start?Signature=CANARY", answer=redirect
        )
        if target in allowed:
            assert error is None, (target, error)
            assert set(asked) == {FILES, allowed[target]}, target
            assert b"Signature=CANARY" not in asked[allowed[target]].heard or allowed[target] == FILES
        else:
            assert error is not None, target
            assert not error.trusted, target
            assert set(asked) == {FILES}, target
        assert b"authorization" not in b"".join(host.heard.lower() for host in asked.values())
        assert b"cookie" not in b"".join(host.heard.lower() for host in asked.values())


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_url_leads_only_where_a_file_host_may_be(setting):
    base, allow_private, allowed = SETTINGS[setting]
    for target in EVERYTHING:
        if not target.startswith("https:") or target.startswith("https:169"):
            continue
        asked, error = visit(base, allow_private=allow_private, url=target)
        assert set(asked) == ({allowed[target]} if target in allowed else set()), target
        assert (error is None) == (target in allowed), target


class Rebinding(dict):
    """A name of the attacker's: a good address at one look-up, an inner one at the next."""

    def __init__(self, inner):
        super().__init__(NAMES)
        self.inner = inner
        self.lookups = 0

    def __contains__(self, name):
        return name == "rebound.test" or super().__contains__(name)

    def __getitem__(self, name):
        if name != "rebound.test":
            return super().__getitem__(name)
        self.lookups += 1
        return [OTHER] if self.lookups % 2 else [self.inner]


@pytest.mark.parametrize("inner", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd12::1"])
def test_a_name_that_changes_its_address_is_connected_to_at_the_address_that_was_judged(inner):
    names = Rebinding(inner)
    asked, error = visit("https://api.test", allow_private=False, url="https://rebound.test/f", names=names, times=2)
    assert set(asked) == {OTHER}
    assert names.lookups == 2, "one look-up a connection, whose answer is the one that is used"
    assert error is not None
    assert not error.trusted
