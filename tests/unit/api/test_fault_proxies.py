"""Proxies that are really there: files through a tunnel, and who is reached without one."""

from __future__ import annotations

import asyncio

import pytest
from api_servers import CLOCK, RawServer, Resolver, answer, make_authority
from yarl import URL

from orchestrator.api.files import FileHost
from orchestrator.api.network import Network, Proxies, passwords
from orchestrator.engine.ports import FileBroken, SignedUrl

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
DATA = b"[" + b" " * 100_000 + b"]"


@pytest.fixture
def environment(monkeypatch):
    """An environment that names no proxy but those that a test names."""

    def named(**values):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    named()
    return named


def tunnels(port):
    """A proxy that leads every tunnel to `port`."""

    async def serve(head, reader, writer):
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source, sink):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    return RawServer(serve)


async def fetched(host, url):
    async with host.open(SignedUrl(url)) as body:
        return b"".join([block async for block in body.blocks])


async def test_a_file_comes_through_the_tunnel_that_the_environment_names(tmp_path, environment):
    """The proxy hears names and its own password; the URL and the bytes are the file host's alone."""
    ca_file, context = make_authority(tmp_path, names=("DNS:files.example",))
    async with RawServer(answer(200, DATA), context=context) as server, tunnels(server.port) as proxy:
        environment(https_proxy=f"http://me:pw@127.0.0.1:{proxy.port}")
        network = Network(timeout=20.0, proxy="env", ca_file=ca_file)
        resolver = Resolver()
        async with FileHost("https://api.example", network=network, clock=CLOCK, resolver=resolver) as host:
            assert await fetched(host, "https://files.example/f?Signature=canary") == DATA
            with pytest.raises(FileBroken) as raised:
                await fetched(host, "https://other.example/f")
    assert not raised.value.trusted, "the certificate is held to the name, not to the proxy"
    assert proxy.request_lines == [f"CONNECT {name}.example:443 HTTP/1.1" for name in ("files", "other")]
    assert all(b"Proxy-Authorization: Basic bWU6cHc=" in head for head in proxy.heads)
    assert b"canary" not in b"".join(proxy.heads)
    assert server.request_lines == ["GET /f?Signature=canary HTTP/1.1"]
    assert b"proxy-authorization" not in server.heads[0].lower()
    assert "files.example" not in resolver.asked, "it is the proxy that looks the name up"


@pytest.mark.parametrize(
    ("no_proxy", "direct", "through"),
    [
        ("", [], ["https://api.example", "https://[2001:db8::1]", "https://10.0.0.1"]),
        ("*", ["https://api.example", "https://[2001:db8::1]:8443"], []),
        (
            "api.example",
            ["https://api.example", "https://api.example:8443", "https://API.example"],
            ["https://files.example"],
        ),
        (".example", ["https://api.example", "https://a.b.example"], ["https://api.test"]),
        ("api.example:8443", ["https://api.example:8443"], ["https://api.example"]),
        ("api.example:443", ["https://api.example", "https://api.example:443"], ["https://api.example:8443"]),
        ("2001:db8::1", ["https://[2001:db8::1]", "https://[2001:db8::1]:8443"], ["https://[2001:db8::2]"]),
        ("[2001:db8::1]", ["https://[2001:db8::1]", "https://[2001:db8::1]:8443"], ["https://[2001:db8::11]"]),
        ("[2001:db8::1]:8443", ["https://[2001:db8::1]:8443"], ["https://[2001:db8::1]", "https://[2001:db8::1]:9"]),
        (" api.example , 10.0.0.1 ", ["https://api.example", "https://10.0.0.1:8443"], ["https://10.0.0.11"]),
    ],
)
@pytest.mark.parametrize("spelling", ["no_proxy", "NO_PROXY"])
def test_who_is_reached_without_a_proxy(environment, spelling, no_proxy, direct, through):
    environment(https_proxy="http://proxy.example:3128", **{spelling: no_proxy})
    proxies = Proxies("env")
    assert [url for url in direct if proxies.for_url(URL(url)) is not None] == []
    assert [url for url in through if proxies.for_url(URL(url)) is None] == []


@pytest.mark.parametrize("no_proxy", ["*", "api.example"])
def test_a_proxy_that_the_job_names_is_meant_for_all(environment, no_proxy):
    environment(https_proxy="http://other.example:1", NO_PROXY=no_proxy)
    found = Proxies("http://proxy.example:3128").for_url(URL("https://api.example/x"))
    assert found is not None
    assert found.url.host == "proxy.example"
    assert Proxies("none").for_url(URL("https://files.example/x")) is None


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("http://joe:p%40ss%2Fword@proxy.example:3128", {"p%40ss%2Fword", "p@ss/word"}),
        ("joe:plain@proxy.example:3128", {"plain"}),
        ("http://:only@proxy.example", {"only"}),
        ("http://joe:a/b@c@proxy.example", {"a/b@c"}),
        ("http://joe:pass@[broken:port", {"pass"}),
        ("http://joe@proxy.example:3128", set()),
        ("http://proxy.example:3128", set()),
        ("http://[2001:db8::1]:3128", set()),
    ],
)
def test_a_proxys_password_is_known_as_written_and_as_sent(environment, url, known):
    assert set(passwords(url)) == known
    environment(HTTPS_PROXY=url, no_proxy="host:8443")
    assert set(passwords("env")) == known
    assert passwords("none") == ()
