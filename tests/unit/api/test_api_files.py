from __future__ import annotations

import asyncio
import contextlib
import gzip
import string
import traceback

import pytest
from api_servers import CLOCK, RawServer, Resolver, answer, make_authority, reset
from fuzzing import costly
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import FileBroken, FileRefused, SignedUrl

QUERY = "Expires=1&Signature=ca~na-ry%2F%41%7e+x__&Key-Pair-Id=K2"
DATA = bytes(range(256)) * 20
FULL = answer(200, DATA, 'ETag: "v1"', "Content-Type: application/json")


def files(base="http://127.0.0.1:1", **options):
    network = Network(**{"proxy": "none", "timeout": 20.0, **options.pop("network", {})})
    return FileHost(base, network=network, clock=CLOCK, **options)


async def fetch(host, url, **resume):
    async with host.open(SignedUrl(url), **resume) as body:
        return body, b"".join([block async for block in body.blocks])


async def failure(host, url, **resume):
    """The error of a fetch, and the bytes that came before it."""
    received = bytearray()
    failed = None
    try:
        async with host.open(SignedUrl(url), **resume) as body:
            async for block in body.blocks:
                received += block
    except (FileBroken, FileRefused) as error:
        failed = error
    assert failed is not None, "the fetch succeeded"
    assert "ca~na-ry" not in "".join(traceback.format_exception(failed)) + repr(failed)
    return failed, bytes(received)


def chunked(data, size=1000, end=b"0\r\n\r\n"):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


# -------------------------------------------------------------------------------------------------------- the request


async def test_a_file_is_fetched_without_credentials_and_byte_by_byte_as_given():
    async with (
        RawServer(answer(200, DATA, "Set-Cookie: a=b", 'ETag: "v1"'), keep_alive=True) as server,
        files() as host,
    ):
        for _ in range(2):
            body, data = await fetch(host, f"{server.url}/RF_%7e1?{QUERY}")
            assert data == DATA
            assert (body.offset, body.length, body.encoding, body.content_type, body.validator) == (
                0,
                len(DATA),
                None,
                None,
                '"v1"',
            )
        assert server.connections == 2
    assert server.request_lines == [f"GET /RF_%7e1?{QUERY} HTTP/1.1"] * 2
    for head in server.heads:
        names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
        assert names == {b"host", b"accept", b"accept-encoding", b"user-agent", b"connection"}
        assert b"accept-encoding: identity" in head.lower()


async def test_no_password_of_netrc_is_sent(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawServer(FULL) as server, files(network={"proxy": "env"}) as host:
        await fetch(host, f"{server.url}/f")
    assert b"authorization" not in server.heads[0].lower()


_queries = st.text(string.ascii_letters + string.digits + "%=&+~-_.!*'();:@,/?$[]{}|\\^`<>\"", min_size=1, max_size=60)


@costly
@given(st.lists(_queries, min_size=1, max_size=20))
def test_every_query_arrives_as_it_was_given(queries):
    async def check():
        async with RawServer(b"", keep_alive=True) as server, files() as host:
            for query in queries:
                server.scripts = [answer(302, b"", f"Location: {server.url}/to?{query}"), FULL]
                server.heads.clear()
                await fetch(host, f"{server.url}/from?{query}")
                targets = [line.split(" ")[1] for line in server.request_lines]
                assert targets == [f"/from{wanted(query)}", f"/to{wanted(query)}"]

    def wanted(query):
        query = query.partition("#")[0]
        return f"?{query}" if query else ""

    asyncio.run(check())


@pytest.mark.parametrize(
    "url",
    ["", "not a url", "https://h/\x00", "https://h/é", "https://h /", "https://h:99999/", "https://[/", "\nhttps://h/"],
)
async def test_a_url_that_cannot_be_sent_as_given_is_this_files_trouble(url):
    async with files() as host:
        error, _ = await failure(host, url)
    assert error.reached
    assert error.trusted


@pytest.mark.parametrize("host_name", ["a..b.example", f"{'x' * 70}.example", ".example"])
async def test_a_name_that_cannot_be_looked_up(host_name):
    async with files() as host:
        error, _ = await failure(host, f"https://{host_name}/f?{QUERY}")
    assert isinstance(error, FileBroken)
    assert not error.reached


# ----------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example:PORT/f",
        "https://127.0.0.1:PORT/f",
        "http://127.0.0.1:PORT/f",
        "https://[::ffff:127.0.0.1]:PORT/f",
        "https://2130706433:PORT/f",
        "https://0x7f.1:PORT/f",
        "https://localhost:PORT/f",
        "https://u:p@evil.example:PORT/f",
        "file:///etc/passwd",
    ],
)
async def test_a_bad_host_is_never_connected_to(target):
    async with RawServer(FULL) as bad:
        resolver = Resolver(evil_example="127.0.0.1", api_example="93.184.216.34")
        async with files("https://api.example", resolver=resolver) as host:
            error, _ = await failure(host, target.replace("PORT", str(bad.port)) + f"?{QUERY}")
        assert bad.connections == 0
    assert isinstance(error, FileBroken)
    assert not error.trusted


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example:PORT/f",
        "http://evil.example:PORT/f",
        "//evil.example:PORT/f",
        "http://user@127.0.0.1:PORT/f",
        "http://2130706433:PORT/f",
        "http://[::ffff:169.254.169.254]:PORT/f",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0:PORT/f",
        "file:///etc/passwd",
        "gopher://127.0.0.1:PORT/f",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_obey_the_same_rule(target, status):
    async with RawServer(FULL) as bad:
        redirect = answer(status, b"", f"Location: {target.replace('PORT', str(bad.port))}?ca~na-ry")
        async with RawServer(redirect) as good, files(resolver=Resolver(evil_example="169.254.169.254")) as host:
            error, _ = await failure(host, f"{good.url}/f")
        assert bad.connections == 0
    assert isinstance(error, FileBroken)
    assert not error.trusted


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_byte_by_byte(status):
    async with RawServer(FULL) as there:
        hops = [f"/b%7e?{QUERY}", "c?x=%2f", f"{there.url}/d?{QUERY}"]
        scripts = [answer(status, b"gone", f"Location: {hop}") for hop in hops]
        async with RawServer(*scripts) as here, files() as host:
            _, data = await fetch(host, f"{here.url}/p/a?{QUERY}")
    assert data == DATA
    assert [line.split()[1] for line in here.request_lines] == [f"/p/a?{QUERY}", f"/b%7e?{QUERY}", "/c?x=%2f"]
    assert there.request_lines == [f"GET /d?{QUERY} HTTP/1.1"]


async def test_more_than_three_redirects_are_too_many():
    async with RawServer(answer(302, b"", "Location: /again")) as server, files() as host:
        error, _ = await failure(host, f"{server.url}/f")
        assert len(server.heads) == 4
    assert "more than 3" in str(error)
    assert error.reached


# ------------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("end", ["fin", "rst"])
async def test_a_body_without_length_or_chunks_is_refused_before_its_first_byte(end):
    async def cut(head, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + DATA)
        await writer.drain()
        if end == "rst":
            reset(writer)

    async with RawServer(cut) as server, files() as host:
        error, data = await failure(host, f"{server.url}/f")
    assert data == b""
    assert isinstance(error, FileBroken)


@pytest.mark.parametrize("te", ["gzip", "gzip, chunked", "identity"])
async def test_other_transfer_codings_are_refused(te):
    reply = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {te}\r\n\r\n".encode() + chunked(DATA)
    async with RawServer(reply) as server, files() as host:
        error, data = await failure(host, f"{server.url}/f")
    assert data == b""
    assert isinstance(error, FileBroken)


@pytest.mark.parametrize("end", ["fin", "rst"])
async def test_a_cut_body_with_a_length_is_broken_at_every_byte(end):
    small = DATA[:40]
    head = answer(200, small)[: -len(small)]

    for at in range(len(small)):

        async def cut(_head, _reader, writer, at=at):
            writer.write(head + small[:at])
            await writer.drain()
            if end == "rst":
                reset(writer)

        async with RawServer(cut) as server, files() as host:
            error, data = await failure(host, f"{server.url}/f")
        assert isinstance(error, FileBroken)
        assert small.startswith(data)
        assert len(data) <= at
        assert error.trusted


async def test_a_cut_body_in_chunks_is_broken_at_every_byte():
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"0123456789", 4)
    start = whole.index(b"\r\n\r\n") + 4
    async with files() as host:
        for at in range(start, len(whole) - 2):
            async with RawServer(whole[:at]) as server:
                error, data = await failure(host, f"{server.url}/f")
            assert isinstance(error, FileBroken)
            assert error.reached
            assert b"0123456789".startswith(data)


@pytest.mark.parametrize("nonsense", [b"zz\r\n", b"-1\r\n", b"3\r\nabcdefg"])
async def test_a_bad_chunk_does_not_hold_a_transfer_for_ever(nonsense):
    begun = asyncio.Event()

    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
        await begun.wait()
        writer.write(nonsense)
        await reader.read()

    async with (
        RawServer(script) as server,
        files(network={"timeout": 0.3}) as host,
        host.open(SignedUrl(f"{server.url}/f")) as body,
    ):
        assert await anext(body.blocks) == b"abcde"
        begun.set()
        with pytest.raises(FileBroken):
            [block async for block in body.blocks]


async def test_what_a_host_sends_too_much_is_not_the_next_file():
    too_much = FULL + answer(200, b"[]")
    async with RawServer(too_much, FULL, keep_alive=True) as server, files() as host:
        for _ in range(2):
            assert (await fetch(host, f"{server.url}/f"))[1] == DATA


async def test_a_body_in_chunks_of_any_size():
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + chunked(DATA, 1)
    async with RawServer(reply) as server, files() as host:
        body, data = await fetch(host, f"{server.url}/f")
    assert (body.length, data) == (None, DATA)


async def test_an_empty_body_is_a_body():
    async with RawServer(answer(200)) as server, files() as host:
        body, data = await fetch(host, f"{server.url}/f")
    assert (body.length, data) == (0, b"")


async def test_encoded_bodies_pass_as_they_are():
    packed = gzip.compress(DATA)
    async with (
        RawServer(answer(200, packed, "Content-Encoding: GZIP", "Content-Type: text/html")) as server,
        files() as host,
    ):
        body, data = await fetch(host, f"{server.url}/f")
    assert data == packed
    assert (body.encoding, body.length, body.content_type) == ("gzip", len(packed), "text/html")


async def test_a_large_body_comes_in_blocks():
    big = DATA * 2000
    async with RawServer(answer(200, big)) as server, files() as host, host.open(SignedUrl(f"{server.url}/f")) as body:
        largest = received = 0
        async for block in body.blocks:
            largest, received = max(largest, len(block)), received + len(block)
    assert received == len(big)
    assert largest < 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("etag", "validator"),
    [('"v1"', '"v1"'), ('W/"v1"', None), ("v1", None), ('"a"b"', None), ("", None), ('""', '""')],
)
async def test_only_strong_etags_validate(etag, validator):
    async with RawServer(answer(200, DATA, f"ETag: {etag}")) as server, files() as host:
        body, _ = await fetch(host, f"{server.url}/f")
    assert body.validator == validator


async def test_a_consumer_that_stops_gives_the_connection_back():
    async def endless(head, reader, writer):
        writer.write(answer(200, length=False).replace(b"\r\n\r\n", b"\r\nContent-Length: 999999999\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(DATA)
                await writer.drain()

    async with RawServer(endless) as server, files() as host:
        async with host.open(SignedUrl(f"{server.url}/f")) as body:
            assert await anext(body.blocks)
        assert not host._direct.connector._acquired


async def test_a_cancelled_transfer_gives_the_connection_back():
    heard = asyncio.Event()

    async def stall(head, reader, writer):
        writer.write(answer(200, DATA)[:-10])
        heard.set()
        await reader.read()

    async with RawServer(stall) as server, files() as host:
        task = asyncio.create_task(fetch(host, f"{server.url}/f"))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not host._direct.connector._acquired


# ------------------------------------------------------------------------------------------------------------- resuming


def ranged(data=DATA, etag='"v1"', *, honour_if_range=True, extra=(), shown_etag=True):
    """A host that knows ranges."""

    async def serve(head, reader, writer):
        asked = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        matches = asked.get("if-range") == etag.lower() or not honour_if_range
        if "range" not in asked or not matches:
            writer.write(answer(200, data, f"ETag: {etag}"))
            return
        start = int(asked["range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            writer.write(answer(416, b"", f"Content-Range: bytes */{len(data)}"))
            return
        headers = [f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}", *extra]
        writer.write(answer(206, data[start:], *headers, *([f"ETag: {etag}"] if shown_etag else [])))

    return serve


async def test_a_transfer_goes_on_where_it_stopped():
    async with RawServer(ranged()) as server, files() as host:
        body, rest = await fetch(host, f"{server.url}/f", offset=1000, validator='"v1"')
        assert (body.offset, body.length, rest) == (1000, len(DATA) - 1000, DATA[1000:])
        assert body.validator == '"v1"'
        assert len(server.heads) == 1
        assert b"Range: bytes=1000-\r\n" in server.heads[0]
        assert b'If-Range: "v1"\r\n' in server.heads[0]


async def test_without_offset_or_validator_the_whole_file_is_asked_for():
    async with RawServer(ranged()) as server, files() as host:
        for resume in ({"offset": 5}, {"validator": '"v1"'}, {}):
            body, data = await fetch(host, f"{server.url}/f", **resume)
            assert (body.offset, data) == (0, DATA)
    assert b"range" not in b"".join(server.heads).lower()


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        (FULL, 1),  # knows no ranges
        (ranged(etag='"v2"'), 1),  # another file now, and If-Range says so
        (ranged(etag='"v2"', honour_if_range=False), 2),  # another file now, and If-Range is ignored
        (ranged(etag='W/"v1"', honour_if_range=False), 2),
        (ranged(shown_etag=False), 2),  # nothing proves that it is the same
        (ranged(extra=["Content-Encoding: gzip"]), 2),
        (ranged(data=DATA[:1000]), 2),  # 416
        (ranged(data=DATA[:10]), 2),
    ],
)
async def test_what_is_not_proven_to_be_the_rest_starts_from_zero(script, requests):
    async with RawServer(script) as server, files() as host:
        body, data = await fetch(host, f"{server.url}/f?{QUERY}", offset=1000, validator='"v1"')
        assert body.offset == 0
        assert DATA.startswith(data)
        assert body.length == len(data)
        assert server.request_lines == [f"GET /f?{QUERY} HTTP/1.1"] * requests


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 999-{last}/{total}",
        "bytes 1001-{last}/{total}",
        "bytes 1000-{last}/*",
        "bytes 1000-1500/{total}",
        "bytes 1000-999/1000",
        "items 1-2/3",
        "",
        "bytes 1000-{last}/{total}, x",
    ],
)
async def test_a_wrong_range_is_not_gone_on_from(content_range):
    shown = content_range.format(last=len(DATA) - 1, total=len(DATA))
    wrong = answer(206, DATA[1000:], f"Content-Range: {shown}", 'ETag: "v1"')
    async with RawServer(wrong, FULL) as server, files() as host:
        body, data = await fetch(host, f"{server.url}/f", offset=1000, validator='"v1"')
    assert (body.offset, data) == (0, DATA)


@pytest.mark.parametrize("start", [999, 1001])
async def test_a_range_that_starts_elsewhere_is_not_gone_on_from(start):
    shown = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    async with RawServer(answer(206, DATA[start:], shown, 'ETag: "v1"'), FULL) as server, files() as host:
        body, data = await fetch(host, f"{server.url}/f", offset=1000, validator='"v1"')
    assert (body.offset, data) == (0, DATA)


async def test_a_range_that_nobody_asked_for_is_broken():
    part = answer(206, DATA[1000:], f"Content-Range: bytes 1000-{len(DATA) - 1}/{len(DATA)}", 'ETag: "v1"')
    async with RawServer(part) as server, files() as host:
        error, data = await failure(host, f"{server.url}/f")
    assert data == b""
    assert error.reached


async def test_a_rest_in_chunks_must_be_as_long_as_its_range():
    def reply(data):
        head = f'HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\nETag: "v1"\r\nContent-Range: bytes 1000-{len(DATA) - 1}/{len(DATA)}\r\n\r\n'
        return head.encode() + chunked(data)

    async with RawServer(reply(DATA[1000:]), reply(DATA[1000:-1])) as server, files() as host:
        body, rest = await fetch(host, f"{server.url}/f", offset=1000, validator='"v1"')
        assert (body.length, rest) == (len(DATA) - 1000, DATA[1000:])
        error, _ = await failure(host, f"{server.url}/f", offset=1000, validator='"v1"')
    assert f"of {len(DATA) - 1000} bytes" in str(error)


# --------------------------------------------------------------------------------------------------- refusals and faults


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 451])
async def test_a_url_that_has_died(status):
    async with RawServer(answer(status, b"<Error>")) as server, files() as host:
        error, _ = await failure(host, f"{server.url}/f?{QUERY}")
        again, _ = await failure(host, f"{server.url}/f?{QUERY}", offset=5, validator='"v1"')
    assert isinstance(error, FileRefused)
    assert error.status == again.status == status


@pytest.mark.parametrize("status", [201, 204, 300, 304, 302, 408, 416, 425, 429, 500, 502, 503, 504])
async def test_answers_that_are_no_file(status):
    async with RawServer(answer(status)) as server, files() as host:
        error, _ = await failure(host, f"{server.url}/f")
    assert isinstance(error, FileBroken)
    assert (error.reached, error.trusted, error.wait) == (status < 500, True, None)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_host_that_asks_for_a_wait(status):
    async with RawServer(answer(status, b"", "Retry-After: 7")) as server, files() as host:
        error, _ = await failure(host, f"{server.url}/f")
    assert (error.wait, error.reached) == (7.0, status < 500)


async def test_a_host_that_is_not_there():
    async with RawServer(FULL) as server:
        url = f"{server.url}/f?{QUERY}"
    async with files() as host:
        error, _ = await failure(host, url)
    assert (error.reached, error.trusted) == (False, True)
    assert "connection refused" in str(error)


async def _silence(head, reader, writer):
    await reader.read()


async def _stall(head, reader, writer):
    writer.write(answer(200, DATA)[:-10])
    await reader.read()


async def _drip_head(head, reader, writer):
    with contextlib.suppress(ConnectionError):
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("script", "reached"), [(_silence, False), (_drip_head, False), (_stall, True)])
async def test_silence_is_not_waited_for_without_end(script, reached):
    async with RawServer(script) as server, files(network={"timeout": 0.2}) as host:
        error, _ = await failure(host, f"{server.url}/f")
    assert error.reached is reached
    assert "in time" in str(error)


async def test_a_transfer_below_the_floor_is_given_up_and_one_above_it_is_not():
    def drip(size):
        async def serve(head, reader, writer):
            with contextlib.suppress(ConnectionError):
                writer.write(answer(200, DATA)[: -len(DATA)])
                for at in range(0, len(DATA), size):
                    writer.write(DATA[at : at + size])
                    await writer.drain()
                    await asyncio.sleep(0.02)

        return serve

    async with RawServer(drip(1), drip(512)) as server, files(floor=2000.0, window=0.1) as host:
        error, data = await failure(host, f"{server.url}/f")
        assert isinstance(error, FileBroken)
        assert error.reached
        assert 0 < len(data) < len(DATA)
        _, whole = await fetch(host, f"{server.url}/f")
    assert whole == DATA


async def test_a_slow_consumer_is_not_the_hosts_fault():
    async with RawServer(answer(200, DATA * 100)) as server, files(floor=2e6, window=0.05) as host:
        received = 0
        async with host.open(SignedUrl(f"{server.url}/f")) as body:
            async for block in body.blocks:
                received += len(block)
                await asyncio.sleep(0.3)
    assert received == len(DATA) * 100


# ------------------------------------------------------------------------------------------------------- TLS and proxies


async def test_tls_of_an_own_authority(tmp_path):
    ca_file, context = make_authority(tmp_path)
    async with RawServer(FULL, context=context) as server:
        async with files(network={"ca_file": ca_file}) as host:
            _, data = await fetch(host, f"{server.url}/f?{QUERY}")
            assert data == DATA
        async with files() as host:
            error, _ = await failure(host, f"{server.url}/f?{QUERY}")
    assert (error.trusted, error.reached) == (False, False)


async def test_a_proxy_on_a_private_address_is_no_file_host():
    async with RawServer(answer(502, b"")) as proxy:
        url = f"http://me:pw@{proxy.url.removeprefix('http://')}"
        resolver = Resolver(api_example="93.184.216.34")
        async with files("https://api.example", network={"proxy": url}, resolver=resolver) as host:
            error, _ = await failure(host, f"https://reports.example/f?{QUERY}")
            assert "the proxy answered 502" in str(error)
            assert (error.trusted, error.reached) == (True, False)
            refused, _ = await failure(host, f"https://localhost/f?{QUERY}")
            assert not refused.trusted
            refused, _ = await failure(host, f"https://metadata.google.internal/f?{QUERY}")
            assert not refused.trusted
    assert proxy.request_lines == ["CONNECT reports.example:443 HTTP/1.1"]
    assert b"Proxy-Authorization: Basic" in proxy.heads[0]
    assert QUERY.encode() not in proxy.heads[0]


async def test_a_silent_proxy_is_not_waited_for_without_end():
    async with (
        RawServer(_silence) as proxy,
        files("https://api.example", network={"proxy": proxy.url, "timeout": 0.2}) as host,
    ):
        error, _ = await failure(host, f"https://reports.example/f?{QUERY}")
    assert not error.reached
