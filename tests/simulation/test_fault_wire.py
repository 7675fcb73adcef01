"""Faults of the catalogue that need virtual time or a wire of one's own: the real client on the loop and wire of level L2."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l2 import API, BLACK_HOLE, FILES, INNER
from l2_faults import head
from l2_wire import Data, Drip, End, Net, Wait, WireLoop, played_on

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import FileBroken, FileRefused, SignedUrl

CLOCK = SimpleNamespace(now=lambda: 1_800_000_000.0)
URL = "https://files.test/RF_1?Signature=CANARY"
REPORT = b'{"id": "1", "status": "Processing"}'


class Scripted:
    """A host that answers every request with the same acts."""

    def __init__(self, *acts):
        self.acts = acts
        self.heard = bytearray()

    def connecting(self):
        return None

    def answer(self, request):
        return list(self.acts)


def ok(body, *acts):
    return [Data(head(200, [("Content-Length", str(len(body)))])), *(acts or [Data(body)])]


class Stage:
    """A virtual network with an API and a file host, both of which say what they are told to."""

    def __init__(self, *acts, names=None):
        self.host = Scripted(*acts)
        self.api = Scripted(*ok(REPORT))
        self.net = Net(
            random.Random(1),
            names={"api.test": [API], "files.test": [FILES], "inner.test": [INNER], **(names or {})},
            hosts={API: self.api, FILES: self.host},
            black_holes={BLACK_HOLE},
        )
        self.loop = WireLoop("fixed", self.net)

    def run(self, story):
        """Gives what the story gives, once everything it has opened is closed again."""
        with played_on(self.loop):
            try:
                return self.loop.run_until_complete(self._within(story))
            finally:
                self.loop.bury()

    async def _within(self, story):
        network = Network(timeout=30.0, proxy="none")
        async with (
            LoopClient("https://api.test", token=lambda: "token", network=network, clock=CLOCK) as client,
            FileHost("https://api.test", network=network, clock=CLOCK) as files,
        ):
            self.pools = [client._session.connector, files._direct.connector]
            return await story(client, files)


async def fetched(files, url=URL):
    async with files.open(SignedUrl(url)) as body:
        return b"".join([block async for block in body.blocks])


# ------------------------------------------------------------------------------------------- long and slow transfers


def test_a_transfer_of_ten_minutes_is_no_fault_if_it_is_not_too_slow():
    body = bytes(range(256)) * 8000
    pieces = [body[at : at + 64_000] for at in range(0, len(body), 64_000)]
    stage = Stage(*ok(body, *[act for piece in pieces for act in (Wait(20.0), Data(piece))]))
    assert stage.run(lambda _, files: fetched(files)) == body
    assert stage.loop.time() > 600


@pytest.mark.parametrize("every", [1.0, 29.0])
def test_a_transfer_that_only_drips_is_given_up(every):
    body = b"x" * 5000
    stage = Stage(*ok(body, Drip(body, every)))
    with pytest.raises(FileBroken, match="less than 1024 bytes a second"):
        stage.run(lambda _, files: fetched(files))
    assert stage.loop.time() < 120


# ------------------------------------------------------------------------------------------------------- broken IPv6


def test_a_black_hole_on_ipv6_does_not_hold_up_who_has_ipv4():
    stage = Stage(*ok(b"[]"), names={"files.test": [BLACK_HOLE, FILES], "api.test": [BLACK_HOLE, API]})

    async def story(client, files):
        return await client.get("1", None), await fetched(files)

    answer, body = stage.run(story)
    assert (answer.status, body) == ("Processing", b"[]")
    assert stage.loop.time() < 5


def test_a_host_with_nothing_but_black_holes_is_given_up():
    stage = Stage(names={"files.test": [BLACK_HOLE]})
    with pytest.raises(FileBroken, match="in time"):
        stage.run(lambda _, files: fetched(files))
    assert stage.loop.time() <= 11


# -------------------------------------------------------------------------------------------- cancelled at every await


@pytest.mark.parametrize("call", ["get", "create", "fetch"])
def test_cancelled_at_any_step_a_call_leaves_no_place_taken_and_nothing_open(call):
    body = b"[" + b" " * 200 + b"]"
    steps = 0
    finished = False
    while not finished:
        steps += 1
        assert steps < 2000, "the call never gets through"
        stage = Stage(*ok(body, Drip(body[:20], 0.01), Data(body[20:])))
        before = steps

        async def story(client, files, stage=stage, before=before):
            starts = {
                "get": lambda: client.get("1", None),
                "create": lambda: client.create({}, None),
                "fetch": lambda: fetched(files),
            }
            task = stage.loop.create_task(starts[call]())
            until = stage.loop.steps + before
            while not task.done() and stage.loop.steps < until:
                await _turn(stage.loop)
            cancelled = task.cancel()
            try:
                await task
            except BaseException as error:  # noqa: BLE001  looked at below
                assert "Cancelled" in type(error).__name__, repr(error)
            for _ in range(5):
                await _turn(stage.loop)
            assert [len(pool._acquired) for pool in stage.pools] == [0, 0]
            return not cancelled

        finished = stage.run(story)
        assert [one for one in stage.net.connections if one.transport and not one.transport.gone] == []
        assert stage.loop.complaints == []
        steps += 2
    assert steps > 20


async def _turn(loop):
    """One moment further in virtual time, so that timers come too."""
    turned = loop.create_future()
    loop.call_later(0.0005, turned.set_result, None)
    await turned


# -------------------------------------------------------------------------------------------------------------- fuzzing


def outcome(stage, url):
    try:
        return stage.run(lambda _, files: fetched(files, url))
    except (FileBroken, FileRefused) as error:
        assert "CANARY" not in f"{error} {error!r} {error.__cause__!r}"
        return error


_url_pieces = st.sampled_from((
    "https://", "http://", "file:///", "//", "files.test", "inner.test", "nowhere.test", "@", ":443", ":99999", ":x", "[::1]", "[", "]",
    "127.0.0.1", "169.254.169.254", "0x7f.1", "/", "\\", "..", "%2e", "%", "%zz", "?", "#", "é", "\n", "\0", " ", "xn--", "user:pw@", "CANARY",
))  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(_url_pieces, max_size=10).map("".join), st.text(max_size=30).map("https://files.test/".__add__)))  # fmt: skip
@example("https://files.test:80\n/")
@example("https://[::ffff:169.254.169.254]/x")
@example("https://files.test/" + "x" * 100_000)
def test_whatever_the_service_gives_as_a_url_only_declared_errors_come_out(url):
    stage = Stage(*ok(b"[]"))
    assert outcome(stage, url) == b"[]" or stage.host.heard == b"" or b"RF" not in stage.host.heard
    assert stage.net.strayed == []
    assert stage.api.heard == b"", "the API's host is not asked for files unless the URL names it"


@given(
    st.one_of(st.binary(max_size=60), st.lists(_url_pieces, max_size=10).map(lambda pieces: "".join(pieces).encode()))
)
@example(b"http://[")
@example(b"//inner.test/x")
@example(b"https:files.test")
@example(b"/\r\nAuthorization: x")
def test_wherever_a_redirect_leads_only_declared_errors_come_out(target):
    line = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target + b"\r\n\r\n"
    stage = Stage(Data(line))
    assert isinstance(outcome(stage, URL), FileBroken | FileRefused)
    assert stage.net.strayed == []
    assert b"Authorization" not in stage.host.heard


@given(st.binary(max_size=300), st.sampled_from((b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 429 x\r\nRetry-After: ")))  # fmt: skip
def test_whatever_bytes_answer_only_declared_answers_come_out(data, before):
    stage = Stage(Data(before + data), End(reset=False))
    stage.api.acts = stage.host.acts

    async def story(client, files):
        answers = await client.get("1", None), await client.create({}, None)
        try:
            return (*answers, await fetched(files))
        except (FileBroken, FileRefused) as error:
            return (*answers, error)

    told = [type(answer).__name__ for answer in stage.run(story)]
    assert told[0] in ("Status", "NotFound", "Throttled", "Denied", "Broken")
    assert told[1] in ("Accepted", "Throttled", "Denied", "Invalid", "Broken")
    assert stage.loop.complaints == []
