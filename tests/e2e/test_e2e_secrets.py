"""No secret anywhere: not on stdout or stderr, not in the log, the journal or any other file; and none for the file host."""

import asyncio
import base64
import signal
import urllib.parse

import aiohttp
import pytest
from rehearsal import TOKEN

FAULTS = [
    {"on": "create", "do": "reset_after", "match": {"nth": 2}},
    {"on": "get", "do": "status", "code": 500, "body": "html", "match": {"nth": 3}},
    {"on": "download", "do": "truncate", "match": {"nth": 1}},
    {"on": "download", "do": "forbidden", "match": {"nth": 3}},
    {"on": "download", "do": "redirect", "to": "{url}", "match": {"nth": 4}},
    {"on": "download", "do": "corrupt", "how": "html", "match": {"nth": 6}},
]


def disguises(secret):
    """The secret as it may turn up: plain, percent-encoded, in base64 (at each of its three alignments)."""
    raw = secret.encode()
    yield raw
    yield urllib.parse.quote(secret, safe="").encode()
    yield raw.hex().encode()
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + raw)[4:-4]


async def signed_url(it):
    """A URL of the file host, learned by asking as the program does."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{it.sim.base_url}/api/v1/report/exports/{it.sim.stats.created[0]}"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        return (await answer.json())["url"]


@pytest.mark.parametrize("how", [["--verbose"], ["--verbose", "--log-format", "json"]])
async def test_token_and_signatures_are_nowhere(stage, how):
    async with stage(faults=FAULTS, url_lifetime=100_000) as it:
        it.job(months=6, api={"impersonate": "ana@example.com"})
        ended = await it.run("run", "job.yaml", "--json", *how, python=["-X", "dev"])
        assert ended.status == 0, str(ended)
        assert "Warning" not in ended.err, "Python's own, of development mode"
        # A killed run leaves the journal as it is in the middle of things, its write-ahead log included.
        it.job(months=9)
        running = await it.start("run", "job.yaml", *how)
        await it.until(lambda: len(it.sim.stats.downloads) > 10 or running.process.returncode is not None)
        running.send(signal.SIGKILL)
        killed = await running.ended()
        seen = {"stdout": ended.out.encode() + killed.out.encode(), "stderr": ended.err.encode() + killed.err.encode()}
        for path in it.folder.rglob("*"):
            if path.is_file():
                seen[str(path)] = path.read_bytes()
        assert any(name.endswith("journal.db") for name in seen)
        for place, data in seen.items():
            for form in disguises(TOKEN):
                assert form not in data, place
            # Each URL has a signature of its own, but all of them have these.
            assert b"Signature" not in data, place
            assert b"KSIMULATOR0001" not in data, place
            assert b"Expires" not in data, place
        url = await signed_url(it)
        assert all(word in url for word in ("Signature=", "KSIMULATOR0001", "Expires=")), "the canaries are real"
        assert it.sim.stats.with_credentials == 0
        for entry in it.sim.stats.downloads:
            assert not {"authorization", "cookie", "x-impersonate-user", "x-api-key"} & set(entry.headers)


async def test_a_service_that_repeats_the_token_in_its_errors_is_not_quoted(stage):
    async def parrot(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        authorization = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization"))
        body = (
            b'{"message": "not allowed: ' + authorization + b'", "code": "\x1b]8;;evil"}'.replace(b"\x1b", b"\\u001b")
        )
        writer.write(b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(parrot, "127.0.0.1", 0)
    async with server, stage() as it:
        it.job(months=2, api={"base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
        ended = await it.run("run", "job.yaml", "--json", "--verbose")
        assert ended.status == 1
        assert "not allowed" in ended.err
        seen = ended.out + ended.err + str([path.read_bytes() for path in it.folder.rglob("*") if path.is_file()])
        assert TOKEN not in seen
        assert "\x1b" not in ended.err + ended.out


async def test_a_proxy_password_stays_out_of_sight(stage):
    async with stage() as it:
        it.job(api={"base_url": "https://loop.example.com"}, retry={"outage": 0.3})
        env = {"https_proxy": "http://joe:canary-password@127.0.0.1:9"}
        ended = await it.run("run", "job.yaml", "--json", "--verbose", env=env)
        assert ended.status == 7, str(ended)
        assert "proxy 127.0.0.1:9" in ended.json["error"]["cause"]
        assert "canary-password" not in ended.out + ended.err


@pytest.mark.parametrize("named_by", ["the job", "the environment"])
async def test_a_plan_shows_the_proxy_without_its_password(stage, named_by):
    proxy = "http://joe:canary-password@proxy.example:3128"
    async with stage() as it:
        it.job(
            api={"base_url": "https://loop.example.com"},
            network={"proxy": proxy if named_by == "the job" else "env"},
        )
        env = {"https_proxy": proxy} if named_by == "the environment" else {}
        people = await it.run("plan", "job.yaml", env=env)
        as_json = await it.run("plan", "job.yaml", "--json", env=env)
        assert "through the proxy http://proxy.example:3128." in people.people
        assert as_json.json["proxy"] == "http://proxy.example:3128"
        assert "canary-password" not in people.out + people.err + as_json.out + as_json.err
        assert (await it.run("plan", "job.yaml", "--json", "--set", "network.proxy=none", env=env)).json[
            "proxy"
        ] is None
