from __future__ import annotations

import collections
import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.content.decoding import PIECE, Decoder
from orchestrator.errors import ContentError


def decode(raw: bytes, encoding: str | None = "gzip", *, size: int = 10**9, guess: bool = True) -> bytes:
    decoder = Decoder(encoding, guess=guess)
    out = b"".join(b"".join(decoder.feed(raw[at : at + size])) for at in range(0, len(raw), size))
    return out + decoder.finish()


def refusal(raw: bytes, encoding: str | None = "gzip", *, size: int = 10**9) -> ContentError:
    with pytest.raises(ContentError) as caught:
        decode(raw, encoding, size=size)
    assert caught.value.hint
    return caught.value


@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 50))
def test_members_are_decoded_however_they_are_cut(members, size):
    raw = b"".join(gzip.compress(member) for member in members)
    assert decode(raw, size=size) == b"".join(members)
    assert decode(raw, None, size=size) == b"".join(members)


@given(
    data=st.binary(max_size=300),
    at=st.floats(0, 1),
    cut=st.integers(0, 12),
    scribble=st.binary(max_size=12),
    size=st.integers(1, 50),
)
def test_what_was_damaged_is_never_taken_for_other_data(data, at, cut, scribble, size):
    raw = gzip.compress(data, mtime=0)
    start = round(at * len(raw))
    damaged = raw[:start] + scribble + raw[start + cut :]
    with contextlib.suppress(ContentError):
        assert decode(damaged, size=size) == (data if damaged else b"")


@given(st.binary(max_size=200), st.sampled_from([None, "gzip", "identity"]) | st.text(max_size=10), st.integers(1, 50))
@example(gzip.compress(b"x")[:-1] + b"\0", "gzip", 1)
def test_whatever_bytes_and_name_come_only_content_errors_come_out(raw, encoding, size):
    for body in (raw, b"\x1f\x8b\x08" + raw):
        with contextlib.suppress(ContentError):
            decode(body, encoding, size=size)


@pytest.mark.parametrize("size", [1, 10**9])
def test_cut_at_every_byte_it_is_truncated(size):
    one = gzip.compress(b'[{"a":1}]')
    raw = one + gzip.compress(b"[]")
    for end in range(1, len(raw)):
        if end != len(one):
            assert refusal(raw[:end], size=size).code == "content.truncated"


def test_a_body_that_was_never_sent_is_empty_and_not_torn():
    assert decode(b"") == b""


def test_every_flipped_byte_of_data_and_trailer_is_noticed():
    raw = gzip.compress(bytes(range(256)) * 4, mtime=0)
    for at in range(10, len(raw)):
        torn = raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]
        assert refusal(torn).code in ("content.encoding", "content.truncated", "content.trailing")


@pytest.mark.parametrize("tail", [b"<html>", b"\0\0", b"\x1f<", b"x"])
def test_nothing_but_members_may_follow(tail):
    raw = gzip.compress(b"[]") + tail
    for size in (1, 10**9):
        assert refusal(raw, size=size).code in ("content.trailing", "content.encoding")


def test_a_body_that_only_calls_itself_gzip_is_refused():
    assert refusal(b"[{}]").code == "content.encoding"


@pytest.mark.parametrize("name", [None, "", "identity", "Identity", " identity , identity"])
def test_identity_passes_everything_through(name):
    decoder = Decoder(name, guess=False)
    assert decoder.identity
    assert list(decoder.feed(b"\x1f\x8bwhatever")) == [b"\x1f\x8bwhatever"]
    assert list(decoder.feed(b"")) == []
    assert decoder.finish() == b""


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_gzip_has_several_spellings(name):
    assert decode(gzip.compress(b"rows"), name) == b"rows"


@pytest.mark.parametrize("name", ["br", "zstd", "deflate", "gzip, br", "gzip, gzip", "gzip, x-gzip", "\x1b[31mbr"])
def test_other_encodings_are_refused_by_name(name):
    error = refusal(b"", name)
    assert error.code == "content.encoding"
    assert "\x1b" not in error.message


def test_a_guess_waits_for_two_bytes_and_changes_what_resuming_means():
    decoder = Decoder(None, guess=True)
    assert decoder.identity
    assert list(decoder.feed(b"\x1f")) == []
    assert not decoder.identity
    assert list(decoder.feed(b"\x8b")) == []
    assert not decoder.identity


def test_a_lone_first_byte_of_the_magic_is_given_back():
    assert decode(b"\x1f", None) == b"\x1f"
    assert decode(b"\x1f[", None, size=1) == b"\x1f["


def test_a_bomb_is_stopped_and_never_in_memory():
    packer = zlib.compressobj(9, wbits=31)
    raw = b"".join(packer.compress(b"\0" * PIECE) for _ in range(100)) + packer.flush()
    decoder = Decoder("gzip", guess=False)
    tracemalloc.start()
    with pytest.raises(ContentError) as caught:
        collections.deque(decoder.feed(raw), maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "content.bomb"
    assert peak < 6 * PIECE


def test_what_swells_much_but_honestly_is_taken_in_pieces():
    data = b'[{"id": 1, "subject": "the same"}]' * 400_000
    decoder = Decoder("gzip", guess=False)
    pieces = list(decoder.feed(gzip.compress(data)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE


def test_thousands_of_tiny_members():
    assert decode(gzip.compress(b"x") * 20_000) == b"x" * 20_000
