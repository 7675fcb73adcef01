"""Whoever looks for secrets finds them, wherever they begin."""

import base64
import random
import urllib.parse

import pytest
from secrets_hunt import files_below, hunt

SECRET = "canary-/+=_é-5b1f"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, bytes.hex, bytes])
def test_a_secret_is_found_in_the_middle_of_anything(encode):
    chance = random.Random(1)
    for _ in range(200):
        around = [chance.randbytes(chance.randrange(9)) for _ in range(2)]
        data = encode(around[0] + SECRET.encode() + around[1])
        data = data if isinstance(data, bytes) else data.encode()
        assert {(secret, place) for secret, place, _ in hunt({"here": data, "there": b""}, [SECRET])} == {
            (SECRET, "here")
        }


def test_a_secret_is_found_percent_encoded():
    every = "".join(f"%{byte:02X}" for byte in SECRET.encode())
    for text in (urllib.parse.quote(SECRET, safe=""), every, every.lower()):
        assert hunt({"here": f"?a={text}&b".encode()}, [SECRET])


def test_what_is_no_secret_is_not_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(random.Random(1).randbytes(10_000))
    seen = files_below(tmp_path)
    assert len(seen) == 1
    assert not hunt(seen, [SECRET])
