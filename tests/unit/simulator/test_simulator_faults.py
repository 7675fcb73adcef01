"""Every fault of the vocabulary, planted over real HTTP."""

import asyncio
import json
import pathlib
import re

import aiohttp
import pytest
import yarl

from orchestrator.simulator.question import read_question
from orchestrator.simulator.rows import make_result
from orchestrator.simulator.rules import VERBS, Fault

LENGTH = 60001


def plant(on, do, **more):
    return {"faults": [{"on": on, "do": do, **more}]}


def whole(question, scenario, revision=0):
    source = make_result(read_question(question), scenario, revision)
    return b"".join(source.blocks(0, source.length))


async def until_end(url):
    """Everything that comes over the socket, and how it ended: True for an RST."""
    target = yarl.URL(url, encoded=True)
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(f"GET {target.raw_path_qs} HTTP/1.1\r\nHost: {target.authority}\r\n\r\n".encode())
    data, reset = b"", False
    try:
        while block := await reader.read(1 << 16):
            data += block
    except ConnectionResetError:
        reset = True
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body, reset


# answers of any listener


@pytest.mark.parametrize("code", [200, 204, 400, 403, 404, 409, 429, 451, 500, 502, 503])
async def test_status_of_a_post(simulated, code):
    async with simulated(**plant("create", "status", code=code, times=1)) as client:
        assert (await client.post()).status == code
        assert client.sim.stats.created == []
        assert client.sim.stats.posts[0].fault == "status"
        assert (await client.post()).status == 200


async def test_status_may_leave_an_export_behind(simulated):
    async with simulated(**plant("create", "status", code=500, created=True)) as client:
        assert (await client.post()).status == 500
        assert len(client.sim.stats.created) == 1
        assert (await client.get(client.sim.stats.created[0])).status == 200


async def test_status_bodies_and_retry_after(simulated):
    for body, start in (("json", b"{"), ("html", b"<html"), ("empty", b"")):
        async with simulated(**plant("get", "status", code=503, body=body, retry_after="soon")) as client:
            report = json.loads((await client.post()).body)["id"]
            answer = await client.get(report)
            assert answer.body.startswith(start)
            assert bool(answer.body) == bool(start)
            assert answer.headers["Retry-After"] == "soon"
            assert client.sim.stats.early(client.sim.stats.polls[-1].at) is None


async def test_status_announces_a_wait(simulated):
    async with simulated(**plant("create", "status", code=503, retry_after=30, times=1), early_grace=0) as client:
        assert (await client.post()).headers["Retry-After"] == "30"
        await client.post()
        assert [entry.early is not None for entry in client.sim.stats.posts] == [False, True]
        assert len(client.sim.stats.early_requests) == 1


@pytest.mark.parametrize("by", ["fin", "rst"])
async def test_reset_before_creates_nothing(simulated, by):
    async with simulated(**plant("create", "reset_before", by=by, times=1)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post()
        assert client.sim.stats.created == []
        assert client.sim.stats.posts[0].status is None
        assert (await client.post()).status == 200


@pytest.mark.parametrize("by", ["fin", "rst"])
async def test_reset_after_leaves_a_zombie(simulated, by):
    async with simulated(**plant("create", "reset_after", by=by, times=1)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post()
        post = client.sim.stats.posts[0]
        assert (post.status, post.fault) == (None, "reset_after")
        assert (await client.get(post.created)).status == 200


async def test_delay_is_the_right_answer_late(simulated):
    async with simulated(**plant("get", "delay", seconds=0.05, times=1)) as client:
        report = json.loads((await client.post()).body)["id"]
        began = asyncio.get_running_loop().time()
        assert json.loads((await client.get(report)).body)["status"] == "Completed"
        assert asyncio.get_running_loop().time() - began >= 0.05


@pytest.mark.parametrize("created", [False, True])
async def test_hang_never_answers(simulated, created):
    async with simulated(**plant("create", "hang", created=created, times=1)) as client:
        waiting = asyncio.create_task(client.post())
        await client.until(lambda: client.sim.stats.posts and client.sim.stats.posts[0].fault)
        assert (await client.post()).status == 200
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(client.sim.stats.created) == 1 + created


async def test_hanging_requests_end_with_the_server(simulated):
    async with simulated(**plant("create", "hang")) as client:
        waiting = asyncio.create_task(client.post())
        await client.until(lambda: client.sim.stats.posts and client.sim.stats.posts[0].fault)
    with pytest.raises(aiohttp.ClientError):
        await waiting


async def test_redirect(simulated):
    async with simulated(**plant("download", "redirect", to="{url}", times=2, code=307)) as client:
        url = await client.url()
        answer = await client.download(url)
        assert (answer.status, answer.headers["Location"]) == (307, url)
        assert [(await client.download(url)).status for _ in range(2)] == [307, 200]
    async with simulated(**plant("create", "redirect", to="http://127.0.0.1:1/")) as client:
        answer = await client.post()
        assert (answer.status, answer.headers["Location"]) == (302, "http://127.0.0.1:1/")
        assert client.sim.stats.created == []


async def test_wrong_status_text(simulated):
    async with simulated(**plant("download", "wrong_status_text", text="Not Found")) as client:
        answer = await client.download(await client.url())
        assert (answer.status, answer.reason, len(answer.body)) == (200, "Not Found", LENGTH)
    async with simulated(**plant("create", "wrong_status_text")) as client:
        assert (await client.post()).reason == "Internal Server Error"


# answers of the API


async def test_bad_json(simulated):
    async with simulated(**plant("create", "bad_json", times=1)) as client:
        answer = await client.post()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.body)
        assert len(client.sim.stats.created) == 1
    async with simulated(**plant("get", "bad_json", text='{"id": "{id}", "status": 7}')) as client:
        report = json.loads((await client.post()).body)["id"]
        assert json.loads((await client.get(report)).body) == {"id": report, "status": 7}


async def test_no_id(simulated):
    async with simulated(**plant("create", "no_id")) as client:
        assert json.loads((await client.post()).body) == {"status": "Processing", "url": None}
        assert len(client.sim.stats.created) == 1


async def test_unknown_status(simulated):
    async with simulated(**plant("get", "unknown_status", text="Thinking", times=1)) as client:
        report = json.loads((await client.post()).body)["id"]
        assert json.loads((await client.get(report)).body) == {"id": report, "status": "Thinking", "url": None}
        assert json.loads((await client.get(report)).body)["status"] == "Completed"


async def test_completed_without_url_waits_for_completed(simulated):
    async with simulated(**plant("get", "completed_without_url", times=1), duration=0.05) as client:
        report = json.loads((await client.post()).body)["id"]
        told = []
        while not told or told[-1]["url"] is None:
            told.append(json.loads((await client.get(report)).body))
        assert [entry["status"] for entry in told[-2:]] == ["Completed", "Completed"]
        assert told[-2]["url"] is None


# what becomes of an export


async def test_failed(simulated, september):
    async with simulated(**plant("create", "failed", match={"attempt": 1})) as client:
        first, second = [json.loads((await client.post()).body)["id"] for _ in range(2)]
        assert json.loads((await client.get(first)).body) == {"id": first, "status": "Failed", "url": None}
        assert json.loads((await client.get(second)).body)["status"] == "Completed"


async def test_stuck_counts_as_unfinished(simulated):
    async with simulated(**plant("create", "stuck", times=1), max_unfinished=1) as client:
        report = json.loads((await client.post()).body)["id"]
        assert json.loads((await client.get(report)).body)["status"] == "Processing"
        assert (await client.post()).status == 429


async def test_expire_goes_from_processing_to_gone(simulated):
    async with simulated(**plant("create", "expire"), duration=0.05) as client:
        report = json.loads((await client.post()).body)["id"]
        seen = []
        while "PendingOrExpired" not in seen:
            seen.append(json.loads((await client.get(report)).body)["status"])
        assert list(dict.fromkeys(seen)) == ["Processing", "PendingOrExpired"]


# files


@pytest.mark.parametrize("cut", [(0, 0), (1, 1), (0.5, LENGTH // 2), (LENGTH - 1, LENGTH - 1)])
@pytest.mark.parametrize("by", ["fin", "rst"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_truncate(simulated, september, cut, by, chunked):
    after, at = cut
    async with simulated(**plant("download", "truncate", after=after, by=by, times=2), chunked=chunked) as client:
        url = await client.url()
        with pytest.raises(aiohttp.ClientError):
            await client.download(url)
        head, body, reset = await until_end(url)
        assert reset == (by == "rst")
        assert client.sim.stats.downloads[-1].sent == at
        if chunked:
            assert not body.endswith(b"\r\n0\r\n\r\n")
        else:
            assert f"content-length: {LENGTH}" in head.lower()
            assert whole(september, client.sim.scenario)[:at].startswith(body)
            assert reset or len(body) == at  # some systems throw away what an RST overtakes
        assert len((await client.download(url)).body) == LENGTH


async def test_truncate_to_a_hang(simulated):
    async with simulated(**plant("download", "truncate", after=10, by="hang")) as client:
        url = await client.url()
        async with client.session.get(yarl.URL(url, encoded=True)) as response:
            assert await response.content.readexactly(10)
            assert not response.content.at_eof()


@pytest.mark.parametrize("by", ["fin", "rst"])
async def test_no_length_hides_where_the_end_is(simulated, september, by):
    async with simulated(**plant("download", "no_length", times=1)) as client:
        head, body, _ = await until_end(await client.url())
        assert not re.search("content-length|transfer-encoding", head, re.IGNORECASE)
        assert body == whole(september, client.sim.scenario)
    async with simulated(**plant("download", "no_length", after=0.5, by=by)) as client:
        _, body, reset = await until_end(await client.url())
        assert reset == (by == "rst")
        assert reset or len(body) == LENGTH // 2


async def test_corrupt_flips_a_byte_that_is_no_longer_utf_8(simulated, september):
    async with simulated(**plant("download", "corrupt")) as client:
        data = whole(september, client.sim.scenario)
        answer = await client.download(await client.url())
        assert [at for at in range(LENGTH) if answer.body[at] != data[at]] == [LENGTH // 2]
        with pytest.raises(UnicodeDecodeError):
            answer.body.decode()
        part = await client.download(await client.url(), Range="bytes=100-199")
        assert [at for at in range(100) if part.body[at] != data[100 + at]] == [50]


@pytest.mark.parametrize(("how", "body"), [("html", b"<html>"), ("empty", b""), ("object", b"{")])
async def test_corrupt_into_something_else(simulated, how, body):
    async with simulated(**plant("download", "corrupt", how=how)) as client:
        answer = await client.download(await client.url())
        assert answer.status == 200
        assert answer.body.startswith(body)
        assert answer.headers["Content-Length"] == str(len(answer.body)) != str(LENGTH)


async def test_corrupt_with_html_behind(simulated, september):
    async with simulated(**plant("download", "corrupt", how="html_after")) as client:
        answer = await client.download(await client.url())
        data = whole(september, client.sim.scenario)
        assert answer.body.startswith(data + b"<html>")
        assert answer.headers["Content-Length"] == str(len(answer.body))
        part = await client.download(await client.url(), Range="bytes=60000-")
        assert part.body.startswith(b"]<html>")


async def test_corrupt_by_a_cut_with_the_length_of_the_cut(simulated, september):
    async with simulated(**plant("download", "corrupt", how="cut", after=1000), encoding="gzip") as client:
        answer = await client.download(await client.url())
        assert (len(answer.body), answer.headers["Content-Length"]) == (1000, "1000")


async def test_wrong_range_matches_ranges_only(simulated, september):
    async with simulated(**plant("download", "wrong_range", times=2)) as client:
        url, data = await client.url(), whole(september, client.sim.scenario)
        assert (await client.download(url)).status == 200
        for wanted, got in (("bytes=100-", 99), ("bytes=0-", 1)):
            answer = await client.download(url, Range=wanted)
            assert answer.headers["Content-Range"] == f"bytes {got}-60000/{LENGTH}"
            assert answer.body == data[got:]
        assert (await client.download(url, Range="bytes=100-")).body == data[100:]


async def test_etag_change_is_another_file_of_the_same_length(simulated, september):
    match = {"match": {"nth": 2}}
    async with simulated(**plant("download", "etag_change", **match)) as client:
        url = await client.url()
        before = await client.download(url)
        answer = await client.download(url, Range="bytes=100-", If_Range=before.headers["ETag"])
        assert answer.status == 200
        assert answer.headers["ETag"] != before.headers["ETag"]
        assert answer.body == whole(september, client.sim.scenario, revision=1) != before.body
        assert len(answer.body) == len(before.body)
        assert (await client.download(url)).body == answer.body
    async with simulated(**plant("download", "etag_change", careless=True, **match)) as client:
        url = await client.url()
        before = await client.download(url)
        answer = await client.download(url, Range="bytes=100-", If_Range=before.headers["ETag"])
        assert answer.status == 206
        assert answer.body == whole(september, client.sim.scenario, revision=1)[100:]


async def test_forbidden(simulated):
    async with simulated(**plant("download", "forbidden", times=1)) as client:
        url = await client.url()
        answer = await client.download(url)
        assert answer.status == 403
        assert answer.headers["Content-Type"] == "application/xml"
        assert b"<Error><Code>AccessDenied</Code>" in answer.body
        assert (await client.download(url)).status == 200


def test_every_word_of_the_vocabulary_was_planted():
    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'plant\("\w+", "(\w+)"', text)) == set(VERBS)


# when a rule strikes


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ({"nth": 2}, [1]),
        ({"nth": [1, 3]}, [0, 2]),
        ({"every": 2}, [1, 3]),
        ({"attempt": 1}, [0, 1]),
        ({"attempt": [2]}, [2, 3]),
        ({"tag": "a"}, [0, 2]),
        ({"tag": "b", "attempt": 2}, [3]),
        ({"team": "x"}, []),
        ({"format": "Json"}, [0, 1, 2, 3]),
        ({"start": 1693526400, "end": 1696118400}, [0, 1, 2, 3]),
        ({"start": 1}, []),
        ({"impersonate": "me"}, []),
        ({"probability": 0}, []),
        ({"probability": 1}, [0, 1, 2, 3]),
    ],
)
async def test_a_rule_strikes_what_it_matches(simulated, september, match, struck):
    async with simulated(faults=[Fault(on="create", do="failed", match=match)]) as client:
        for tag in "abab":
            await client.post(september | {"tagIds": [tag]})
        faults = [post.fault for post in client.sim.stats.posts]
        assert [number for number, fault in enumerate(faults) if fault] == struck


async def test_rules_count_on_while_another_strikes_and_the_first_due_wins(simulated):
    faults = [
        {"on": "create", "do": "status", "code": 500, "match": {"nth": 1}},
        {"on": "create", "do": "status", "code": 503, "match": {"nth": [1, 2]}},
        {"on": "get", "do": "status", "code": 500},
    ]
    async with simulated(faults=faults) as client:
        assert [(await client.post()).status for _ in range(3)] == [500, 503, 200]


async def test_probability_is_the_same_in_each_rehearsal(simulated, september):
    async def struck(seed):
        async with simulated(**plant("create", "no_id", match={"probability": 0.5}), seed=seed) as client:
            for number in range(40):
                await client.post(september | {"tagIds": [str(number)]})
            return [post.fault for post in client.sim.stats.posts]

    first = await struck(1)
    assert first == await struck(1)
    assert first != await struck(2)
    assert 5 < len([fault for fault in first if fault]) < 35


async def test_a_rule_sees_only_what_would_have_gone_well(simulated):
    async with simulated(**plant("create", "failed", match={"nth": 1})) as client:
        await client.post(headers={})
        await client.post({"start": 1})
        await client.post()
        assert [post.fault for post in client.sim.stats.posts] == [None, None, "failed"]


async def test_status_of_a_get_can_be_matched(simulated):
    match = {"status": "Processing"}
    async with simulated(**plant("get", "status", code=500, match=match), duration=0.05) as client:
        report = json.loads((await client.post()).body)["id"]
        while (answer := await client.get(report)).status != 200:
            assert answer.status == 500
        assert json.loads(answer.body)["status"] == "Completed"
