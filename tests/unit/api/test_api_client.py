from __future__ import annotations

import asyncio
import gzip
import json
import socket
import traceback

import aiohttp
import pytest
from aioresponses import aioresponses
from api_servers import CLOCK, RawServer, answer, make_authority, reset

from orchestrator.api.client import LARGEST_ANSWER, LoopClient
from orchestrator.api.network import Network, Proxies, what_broke
from orchestrator.engine.ports import Accepted, Broken, Denied, Invalid, Status, Throttled
from orchestrator.errors import JobError
from orchestrator.version import __version__

TOKEN = "canary-token-4711"
REQUEST = {"timezone": "UTC", "start": 1693526400, "end": 1696118400, "resultFormat": "Json", "teamIds": ["b", "a"]}
CREATED = answer(200, b'{"id": "5f3e", "status": "Processing", "url": null}')


def client(base_url, token=lambda: TOKEN, **network):
    return LoopClient(
        base_url, token=token, network=Network(**{"proxy": "none", "timeout": 20.0, **network}), clock=CLOCK
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("ca"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# ------------------------------------------------------------------------------------------------ single answers, mocked


@pytest.mark.parametrize("prefix", ["", "/", "/loop/v2", "/loop/v2/"])
async def test_create_and_get_with_a_path_prefix(prefix):
    base = f"https://api.example{prefix}"
    with aioresponses() as service:
        service.post(
            f"{base.rstrip('/')}/api/v1/report/export", status=201, payload={"id": "5f3e", "status": "Processing"}
        )
        service.get(f"{base.rstrip('/')}/api/v1/report/exports/5f3e", payload={"id": "5f3e", "status": "Processing"})
        async with client(base) as api:
            assert await api.create(REQUEST, None) == Accepted("5f3e", "Processing")
            assert await api.get("5f3e", None) == Status("Processing")


async def test_a_body_of_more_than_one_mebibyte_is_no_answer():
    body = b'{"id": "5f3e", "pad": "%s"}' % (b"x" * LARGEST_ANSWER)
    with aioresponses() as service:
        service.post("https://api.example/api/v1/report/export", body=body)
        async with client("https://api.example") as api:
            answered = await api.create(REQUEST, None)
    assert isinstance(answered, Broken)
    assert "longer than 1 MiB" in answered.detail


async def test_odd_answers():
    with aioresponses() as service:
        for status, body in (
            (502, "<title>Bad gateway</title>"),
            (200, "<html>"),
            (429, ""),
            (400, '{"message": "no"}'),
        ):
            service.post("https://api.example/api/v1/report/export", status=status, body=body)
        async with client("https://api.example") as api:
            answers = [await api.create(REQUEST, None) for _ in range(4)]
    assert answers[0].detail == "the API answered 502 Bad Gateway: Bad gateway"
    assert isinstance(answers[1], Broken)
    assert isinstance(answers[2], Throttled)
    assert answers[3] == Invalid("no")


# ------------------------------------------------------------------------------------------------------- on the wire


async def test_what_a_post_looks_like():
    async with RawServer(CREATED) as server, client(server.url) as api:
        assert await api.create(REQUEST, "ops@example.com") == Accepted("5f3e", "Processing")
        assert (api.posts_sent, api.gets_sent) == (1, 0)
    head = server.heads[0].decode()
    assert head.startswith("POST /api/v1/report/export HTTP/1.1\r\n")
    lines = head.lower().split("\r\n")
    assert f"authorization: bearer {TOKEN}" in lines
    assert "content-type: application/json" in lines
    assert "accept: application/json" in lines
    assert "accept-encoding: identity" in lines
    assert "x-impersonate-user: ops@example.com" in lines
    assert f"user-agent: orchestrator/{__version__}" in lines
    assert server.bodies[0] == json.dumps(REQUEST, sort_keys=True, separators=(",", ":")).encode()


async def test_what_a_get_looks_like():
    async with (
        RawServer(answer(200, b'{"status": "Completed", "url": "https://h/f?s"}')) as server,
        client(server.url) as api,
    ):
        found = await api.get("../a b?c", None)
        assert (api.posts_sent, api.gets_sent) == (0, 1)
    assert found.url.reveal() == "https://h/f?s"
    assert server.request_lines == ["GET /api/v1/report/exports/..%2Fa%20b%3Fc HTTP/1.1"]
    assert b"impersonate" not in server.heads[0].lower()
    assert b"content-type" not in server.heads[0].lower()


async def test_cookies_are_not_kept_and_netrc_is_not_read(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    reply = answer(200, b'{"status": "Processing"}', "Set-Cookie: a=b; Path=/")
    async with RawServer(reply) as server, client(server.url, proxy="env") as api:
        await api.get("1", None)
        await api.get("1", None)
    wire = b"".join(server.heads).lower()
    assert b"cookie" not in wire
    assert b"canary-netrc" not in wire
    assert wire.count(b"authorization") == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status):
    async with RawServer(CREATED) as other:
        redirect = answer(status, b"", f"Location: {other.url}/api?canary")
        async with RawServer(redirect) as server, client(server.url) as api:
            for answered in (await api.create(REQUEST, None), await api.get("1", None)):
                assert isinstance(answered, Broken)
                assert (answered.sent, answered.trusted) == (True, False)
                assert "canary" not in answered.detail
        assert other.connections == 0


async def test_a_post_never_meets_a_connection_that_the_host_is_closing():
    async with RawServer(CREATED) as server, client(server.url) as api:  # closes each one without saying so
        for _ in range(20):
            assert isinstance(await api.create(REQUEST, None), Accepted)
        assert len(server.heads) == api.posts_sent == 20


async def _reset(head, reader, writer):
    reset(writer)


async def _nothing(head, reader, writer):
    await reader.read()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"", "without an answer"),
        (_reset, "broke"),
        (_nothing, "in time"),
        (b"220 smtp ready\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "broke off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "not HTTP"),
    ],
)
async def test_a_post_without_a_whole_answer_is_ambiguous(script, words):
    async with RawServer(script) as server, client(server.url, timeout=0.5) as api:
        answered = await api.create(REQUEST, None)
        assert api.posts_sent == 1
    assert isinstance(answered, Broken)
    assert (answered.sent, answered.trusted) == (True, True)
    assert words in answered.detail


async def test_a_refusal_whose_body_is_cut_is_still_a_refusal():
    cut = b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 50\r\n\r\nslow"
    async with RawServer(cut) as server, client(server.url) as api:
        answered = await api.create(REQUEST, None)
    assert isinstance(answered, Throttled)
    assert answered.wait == 9.0


async def test_a_compressed_answer_is_read_and_a_bomb_is_not():
    small = answer(200, gzip.compress(b'{"id": "5f3e", "status": "x"}'), "Content-Encoding: gzip")
    bomb = answer(200, gzip.compress(b'{"id": "5f3e", "pad": "' + b" " * 50_000_000 + b'"}'), "Content-Encoding: gzip")
    async with RawServer(small, bomb) as server, client(server.url) as api:
        assert await api.create(REQUEST, None) == Accepted("5f3e", "x")
        answered = await api.create(REQUEST, None)
    assert "longer than 1 MiB" in answered.detail


async def test_what_a_host_sends_unasked_is_no_answer_to_the_next_question():
    first = answer(200, b'{"id": "1", "status": "Processing"}')
    async with RawServer(first + answer(404), first, keep_alive=True) as server, client(server.url) as api:
        await api.get("1", None)
        assert await api.get("1", None) == Status("Processing")
        assert server.connections == 2


async def test_an_answer_about_another_report_is_none():
    told = b'{"id": "5F3E-other", "status": "Completed", "url": "https://files.test/other"}'
    async with RawServer(answer(200, told)) as server, client(server.url) as api:
        assert isinstance(await api.get("5f3e", None), Broken)
        assert isinstance(await api.get("5f3e-OTHER", None), Status)


@pytest.mark.parametrize("nonsense", [b"zz\r\n", b"-1\r\n", b"3\r\nabcdefg"])
async def test_a_bad_chunk_does_not_hold_a_call_for_ever(nonsense):
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(nonsense)
        await reader.read()

    async with RawServer(script) as server, client(server.url, timeout=0.5) as api:
        assert isinstance(await api.get("1", None), Broken)
        assert isinstance(await api.create(REQUEST, None), Broken)


async def test_nothing_is_sent_to_a_closed_port():
    async with client(f"http://127.0.0.1:{free_port()}") as api:
        answered = await api.create(REQUEST, None)
        assert api.posts_sent == 0
    assert (answered.sent, answered.trusted) == (False, True)
    assert ": connection refused" in answered.detail


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'x' * 70}.invalid"])
async def test_nothing_is_sent_to_a_name_that_does_not_exist(host):
    async with client(f"https://{host}") as api:
        answered = await api.create(REQUEST, None)
    assert (answered.sent, answered.trusted) == (False, True)
    assert host in answered.detail


async def test_a_cancelled_call_is_cancelled():
    heard = asyncio.Event()

    async def silent(head, reader, writer):
        heard.set()
        await reader.read()

    async with RawServer(silent) as server, client(server.url) as api:
        task = asyncio.create_task(api.create(REQUEST, None))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert api.posts_sent == 1


# -------------------------------------------------------------------------------------------------------- credentials


async def test_credentials_are_read_again():
    tokens = iter(["one-canary", "one-canary", "two-canary"])
    async with RawServer(CREATED) as server, client(server.url, token=lambda: next(tokens)) as api:
        assert not await api.renew_credentials()
        await api.create(REQUEST, None)
        assert await api.renew_credentials()
        await api.create(REQUEST, None)
    assert b"Bearer one-canary" in server.heads[0]
    assert b"Bearer two-canary" in server.heads[1]


async def test_a_source_that_is_gone_gives_no_other_token():
    calls = []

    def token():
        calls.append(1)
        if len(calls) > 1:
            raise FileNotFoundError("token file")
        return TOKEN

    async with RawServer(CREATED) as server, client(server.url, token=token) as api:
        assert not await api.renew_credentials()
        assert isinstance(await api.create(REQUEST, None), Accepted)


async def test_what_does_not_fit_a_header_is_not_sent():
    async with RawServer(CREATED) as server:
        async with client(server.url, token=lambda: "canary\r\nX-Evil: 1") as api:
            answered = await api.create(REQUEST, None)
            assert isinstance(answered, Denied)
            assert answered.status == 401
            assert "canary" not in answered.detail
        async with client(server.url) as api:
            answered_invalid = await api.create(REQUEST, "a\r\nX-Evil: 1")
            assert isinstance(answered_invalid, Invalid)
            assert await api.get("1", "a\nb") == Broken(answered_invalid.detail, sent=False)
        assert server.connections == 0


async def test_an_echoed_token_is_cut_out():
    async def echo(head, reader, writer):
        writer.write(answer(403, b"<p>You sent: " + head))

    async with RawServer(echo) as server, client(server.url) as api:
        answered = await api.create(REQUEST, None)
    assert isinstance(answered, Denied)
    assert "You sent" in answered.detail
    assert "canary" not in repr(answered)


# ---------------------------------------------------------------------------------------------------------------- TLS


async def test_an_own_authority_is_trusted_when_named(authority):
    ca_file, context = authority
    async with RawServer(CREATED, context=context) as server, client(server.url, ca_file=ca_file) as api:
        assert isinstance(await api.create(REQUEST, None), Accepted)


async def test_ssl_cert_file_is_honoured(authority, monkeypatch):
    ca_file, context = authority
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    async with RawServer(CREATED, context=context) as server, client(server.url) as api:
        assert isinstance(await api.create(REQUEST, None), Accepted)


async def test_an_unknown_authority_is_not_trusted_and_hears_nothing(authority):
    _, context = authority
    async with RawServer(CREATED, context=context) as server, client(server.url) as api:
        answered = await api.create(REQUEST, None)
        assert (api.posts_sent, server.heads) == (0, [])
    assert (answered.sent, answered.trusted) == (False, False)
    assert "ca_file" in answered.detail


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path):
    ca_file, context = make_authority(tmp_path, names=("DNS:other.example",))
    async with RawServer(CREATED, context=context) as server, client(server.url, ca_file=ca_file) as api:
        answered = await api.create(REQUEST, None)
    assert (answered.sent, answered.trusted) == (False, False)
    assert "mismatch" in answered.detail.lower()


async def test_plain_text_on_a_tls_port_is_not_trusted():
    async def greet(_reader, writer):
        writer.write(answer(400, b"plain text only"))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as api:
        answered = await api.create(REQUEST, None)
    assert (answered.sent, answered.trusted) == (False, False)


async def test_a_ca_file_that_cannot_be_used_is_an_error_of_the_job(tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem", tmp_path):
        with pytest.raises(JobError, match="can't be used") as caught:
            await client("https://api.example", ca_file=str(path)).__aenter__()
        assert caught.value.problems[0].key == "network.ca_file"


# -------------------------------------------------------------------------------------------------------------- proxies


def proxy_server(target_port=None):
    """Forwards plain requests by answering them itself, and opens tunnels to `target_port`."""

    async def serve(head, reader, writer):
        if not head.startswith(b"CONNECT"):
            writer.write(CREATED)
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)

        async def pump(source, sink):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    return RawServer(serve)


async def test_a_tunnel_through_a_proxy_keeps_the_token_inside(authority):
    ca_file, context = authority
    async with RawServer(CREATED, context=context) as server, proxy_server(server.port) as proxy:
        url = f"http://me:p%40ss-canary@127.0.0.1:{proxy.port}"
        async with client(server.url, proxy=url, ca_file=ca_file) as api:
            assert isinstance(await api.create(REQUEST, None), Accepted)
            assert api.posts_sent == 1
    assert proxy.request_lines == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
    assert b"Proxy-Authorization: Basic bWU6cEBzcy1jYW5hcnk=" in proxy.heads[0]
    assert TOKEN.encode() not in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.heads[0]


async def test_plain_http_through_a_proxy():
    async with (
        proxy_server() as proxy,
        client("http://localhost:1", proxy=f"http://me:pw@127.0.0.1:{proxy.port}") as api,
    ):
        assert isinstance(await api.create(REQUEST, None), Accepted)
    assert proxy.request_lines == ["POST http://localhost:1/api/v1/report/export HTTP/1.1"]
    assert b"Proxy-Authorization: Basic bWU6cHc=" in proxy.heads[0]


async def test_a_proxy_that_fails_has_sent_nothing():
    async with client("https://api.example", proxy=f"http://me:pw-canary@127.0.0.1:{free_port()}") as api:
        answered = await api.create(REQUEST, None)
    assert (answered.sent, answered.trusted) == (False, True)
    assert "proxy 127.0.0.1" in answered.detail
    async with (
        RawServer(answer(407, b"")) as proxy,
        client("https://api.example", proxy=f"http://me:pw-canary@{proxy.url[7:]}") as api,
    ):
        refused = await api.create(REQUEST, None)
        assert api.posts_sent == 0
    assert (refused.sent, refused.trusted) == (False, True)
    assert "407" in refused.detail
    assert "canary" not in answered.detail + refused.detail


def test_the_environment_names_proxies(monkeypatch):
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inner.example,.sub.example,[2001:db8::1],2001:db8::2,port.example:8443")
    proxies = Proxies("env")

    def through(url):
        found = proxies.for_url(aiohttp.client.URL(url))
        return found and str(found.url)

    assert through("https://api.example/x") == "http://proxy.example:3128"
    assert through("http://api.example/x") is None
    assert through("https://inner.example/x") is None
    assert through("https://a.sub.example/x") is None
    assert through("https://[2001:db8::1]/x") is None
    assert through("https://[2001:db8::2]:8443/x") is None
    assert through("https://port.example:8443/x") is None
    assert through("https://port.example/x") == "http://proxy.example:3128"
    assert through("https://localhost/x") is None
    assert through("https://127.0.0.9:8443/x") is None
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ALL_PROXY", "https://all.example:1")
    assert Proxies("env").for_url(aiohttp.client.URL("https://api.example")).url.host == "all.example"
    assert Proxies("none").for_url(aiohttp.client.URL("https://api.example")) is None


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://u:canary@h:1",
        "http://u:canary@",
        "http://u:canary@h:99999",
        "http://u:canary@[x",
        "http://a%3Ab:canary@h:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error_of_the_job(proxy, monkeypatch):
    with pytest.raises(JobError) as caught:
        Proxies(proxy)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)
    assert "canary" not in told
    assert "SOCKS" in caught.value.hint


def test_a_password_of_a_proxy_is_in_no_repr():
    network = Network(proxy="http://me:canary@proxy.example:1")
    found = Proxies(network.proxy).for_url(aiohttp.client.URL("https://api.example"))
    assert "canary" not in f"{network!r} {found!r} {found}"


def test_errors_are_told_without_what_they_hold():
    request = aiohttp.RequestInfo(
        aiohttp.client.URL("https://h/?canary"),
        "GET",
        {"Authorization": "canary"},
        aiohttp.client.URL("https://h/?canary"),
    )
    for error in (
        aiohttp.ClientResponseError(request, (), message="canary", headers={"X": "canary"}),
        aiohttp.ClientOSError(104, "canary"),
        aiohttp.ClientError("canary"),
        aiohttp.InvalidURL("https://h/?canary"),
        aiohttp.ClientPayloadError("canary"),
        aiohttp.ServerDisconnectedError("canary"),
        aiohttp.SocketTimeoutError("canary"),
        OSError("canary"),
        ValueError("canary"),
    ):
        assert "canary" not in what_broke(error, "h")
