"""The file host, spoken to over HTTP and over a bare socket."""

import asyncio
import json
import re
import urllib.parse
import zlib

import aiohttp
import pytest
import yarl

from orchestrator.simulator.question import read_question
from orchestrator.simulator.rows import expected_result, make_result


async def raw(url, target, *headers):
    """Send a request line exactly as given; the whole answer."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def whole(question, scenario):
    source = make_result(read_question(question), scenario)
    return b"".join(source.blocks(0, source.length))


async def test_a_file_with_its_headers(simulated, september):
    async with simulated() as client:
        answer = await client.download(await client.url())
        assert answer.status == 200
        assert answer.body == whole(september, client.sim.scenario)
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["ETag"])
        assert "Content-Encoding" not in answer.headers
        assert "Transfer-Encoding" not in answer.headers


async def test_the_ledger_tells_when_a_file_was_sent_whole(simulated):
    cut = {"on": "download", "do": "truncate", "after": 10, "by": "fin", "match": {"attempt": 1}}
    async with simulated(faults=[cut]) as client:
        url = await client.url()
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.download(url)
        await client.download(url)
        broken, whole = client.sim.stats.downloads
        await client.until(lambda: whole.ended is not None)
        assert whole.ended >= whole.at
        assert broken.ended is None


async def test_the_url_is_signed_and_another_host(simulated):
    async with simulated() as client:
        url = await client.url()
        assert re.fullmatch(
            re.escape(client.sim.files_url) + r"/RF_[0-9a-f-]{36}\?Expires=\d+&Signature=[^&]+&Key-Pair-Id=\w+", url
        )
        assert client.sim.files_url != client.sim.base_url
        assert re.fullmatch("[A-Za-z0-9_~-]+", re.search("Signature=([^&]+)", url)[1])


async def test_a_signature_may_hold_escapes(simulated):
    async with simulated(url_escapes=True) as client:
        signature = re.search("Signature=([^&]+)", await client.url())[1]
        assert all(part in signature for part in ("%2F", "%2b", "%41", "-", "~"))


async def test_each_get_yields_a_fresh_url_and_older_ones_still_work(simulated):
    async with simulated() as client:
        report = json.loads((await client.post()).body)["id"]
        urls = set()
        while len(urls) < 2:  # a URL is fresh to the millisecond
            urls.add(json.loads((await client.get(report)).body)["url"])
        assert {(await client.download(url)).status for url in urls} == {200}


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda query: query.replace("%2F", "/"),
        lambda query: query.replace("%2F", "%2f"),
        lambda query: query.replace("%2b", "%2B"),
        lambda query: query.replace("%41", "A"),
        lambda query: query.replace("~", "%7E"),
        lambda query: query.replace("%", "%25"),
        urllib.parse.unquote,
        lambda query: urllib.parse.urlencode(urllib.parse.parse_qsl(query)),
        lambda query: "&".join(sorted(query.split("&"), reverse=True)),
        lambda query: query + "&x=1",
        lambda query: query[:-1],
        lambda query: "",
    ],
)
async def test_a_query_must_come_back_byte_for_byte(simulated, rewrite):
    async with simulated(url_escapes=True) as client:
        url = await client.url()
        path, _, query = url.removeprefix(client.sim.files_url).partition("?")
        assert rewrite(query) != query
        status, head, body = await raw(url, f"{path}?{rewrite(query)}")
        assert status == 403
        assert "application/xml" in head
        assert b"<Code>AccessDenied</Code>" in body
        status, _, body = await raw(url, f"{path}?{query}")
        assert status == 200


async def test_a_signature_is_for_one_file_and_expires_says_so(simulated, september):
    async with simulated() as client:
        one, other = await client.url(), await client.url(september | {"tagIds": ["x"]})
        swapped = one.partition("?")[0] + "?" + other.partition("?")[2]
        assert (await client.download(swapped)).status == 403
        later = re.sub(r"Expires=(\d+)", lambda found: f"Expires={int(found[1]) + 1}", one)
        assert (await client.download(later)).status == 403
        assert (await client.download(f"{client.sim.files_url}/RF_unknown?{one.partition('?')[2]}")).status == 403


async def test_a_url_expires_and_a_fresh_one_works(simulated):
    async with simulated(url_lifetime=0.05) as client:
        report = json.loads((await client.post()).body)["id"]
        url = json.loads((await client.get(report)).body)["url"]
        while (answer := await client.download(url)).status == 200:
            pass
        assert answer.status == 403
        fresh = json.loads((await client.get(report)).body)["url"]
        assert (await client.download(fresh)).status == 200


async def test_credentials_on_the_file_host_are_refused_and_counted(simulated):
    async with simulated() as client:
        url = await client.url()
        answer = await client.download(url, Authorization="Bearer canary")
        assert answer.status == 400
        assert b"<Code>InvalidArgument</Code>" in answer.body
        await client.download(url, Cookie="a=b")
        await client.download(url)
        stats = client.sim.stats
        assert [download.credentials for download in stats.downloads] == [True, True, False]
        assert stats.with_credentials == 2
        assert "canary" not in json.dumps(stats.as_json())


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=60000-", 60000, 60000), ("bytes=-5", 59996, 60000),
     ("bytes=59000-99999999", 59000, 60000), ("bytes=-99999999", 0, 60000)],
)  # fmt: skip
async def test_a_range_is_that_part(simulated, september, header, first, last):
    async with simulated() as client:
        data = whole(september, client.sim.scenario)
        assert len(data) == 60001
        answer = await client.download(await client.url(), Range=header)
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/60001"
        assert answer.body == data[first : last + 1]
        assert answer.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize("header", ["bytes=60001-", "bytes=-0", "bytes=99999999-99999999"])
async def test_a_range_beyond_the_end_is_416(simulated, header):
    async with simulated() as client:
        answer = await client.download(await client.url(), Range=header)
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */60001")


@pytest.mark.parametrize("header", ["bytes=5-3", "bytes=-", "bytes=0-1,5-6", "rows=0-1", "bytes=a-b"])
async def test_a_range_of_another_form_is_passed_over(simulated, header):
    async with simulated() as client:
        answer = await client.download(await client.url(), Range=header)
        assert (answer.status, len(answer.body)) == (200, 60001)


async def test_if_range_needs_the_same_strong_etag(simulated):
    for kind, met in (("strong", 206), ("weak", 200), ("none", 200)):
        async with simulated(etag=kind) as client:
            url = await client.url()
            etag = (await client.download(url)).headers.get("ETag")
            assert (etag is None) == (kind == "none")
            assert (etag or "").startswith("W/") == (kind == "weak")
            condition = etag or '"made-up"'
            assert (await client.download(url, Range="bytes=1-", If_Range=condition)).status == met
            assert (await client.download(url, Range="bytes=1-", If_Range='"other"')).status == 200
            assert (await client.download(url, Range="bytes=1-")).status == 206


async def test_a_host_without_ranges_sends_everything(simulated):
    async with simulated(ranges=False) as client:
        answer = await client.download(await client.url(), Range="bytes=1-2")
        assert (answer.status, len(answer.body)) == (200, 60001)
        assert "Accept-Ranges" not in answer.headers


async def test_chunked_has_no_length(simulated, september):
    async with simulated(chunked=True) as client:
        url = await client.url()
        _, head, body = await raw(url, url.removeprefix(client.sim.files_url))
        assert "content-length" not in head.lower()
        assert "transfer-encoding: chunked" in head.lower()
        assert body.endswith(b"\r\n0\r\n\r\n")
        assert (await client.download(url)).body == whole(september, client.sim.scenario)


@pytest.mark.parametrize("form", ["Json", "Xlsx"])
async def test_gzip_comes_unasked_and_is_the_same_file(simulated, september, form):
    async with simulated(encoding="gzip", rows=300) as client:
        question = september | {"resultFormat": form}
        url = await client.url(question)
        answer = await client.download(url, Accept_Encoding="identity")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert zlib.decompress(answer.body, wbits=31) == whole(question, client.sim.scenario)
        assert (await client.download(url)).body == answer.body
        part = await client.download(url, Range="bytes=100-")
        assert (part.status, part.body) == (206, answer.body[100:])


async def test_a_workbook_with_its_type(simulated, september):
    async with simulated() as client:
        question = september | {"resultFormat": "Xlsx"}
        answer = await client.download(await client.url(question))
        assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
        assert len(answer.body) == expected_result(question, client.sim.scenario).bytes
        assert answer.body[:2] == b"PK"


async def test_more_workbooks_than_are_kept(simulated, september):
    async with simulated(rows=2) as client:
        questions = [september | {"resultFormat": "Xlsx", "tagIds": [str(number)]} for number in range(10)]
        urls = [await client.url(question) for question in questions]
        for _ in range(2):
            for question, url in zip(questions, urls, strict=True):
                assert (await client.download(url)).body == whole(question, client.sim.scenario)


async def test_a_slow_download_comes_in_pieces_and_whole(simulated, september):
    async with simulated(download_rate=1_000_000) as client:
        url = await client.url()
        async with client.session.get(yarl.URL(url, encoded=True)) as response:
            first = await response.content.readany()
            assert len(first) < 60001
            assert first + await response.read() == whole(september, client.sim.scenario)
        assert client.sim.stats.downloads[-1].sent == 60001


async def test_the_file_of_an_expired_export_is_gone(simulated):
    async with simulated(expires_after=0.02) as client:
        report = json.loads((await client.post()).body)["id"]
        url = json.loads((await client.get(report)).body)["url"]
        while json.loads((await client.get(report)).body)["status"] == "Completed":
            pass
        assert (await client.download(url)).status == 403
