"""A file that is hashed on its way to the disk."""

import hashlib
import os

import pytest

from orchestrator.storage.hashing import HashingFile

PIECES = [b"%d" % n * (n % 700) for n in range(3000)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "f"


@pytest.fixture
def file(path):
    with HashingFile(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)) as made:
        yield made


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_many_pieces_arrive_in_their_order_and_are_hashed(file, path):
    file.writelines(PIECES)
    file.write(b"the end")
    data = b"".join(PIECES) + b"the end"
    assert path.read_bytes() == data
    assert file.sha256 == sha256(data)


@pytest.mark.parametrize("most", [1, 699, 5000])
def test_a_write_that_takes_only_a_part_goes_on(file, path, monkeypatch, most):
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, pieces: real(fd, [b"".join(pieces)[:most]]))
    pieces = PIECES[:50]
    file.writelines(pieces)
    assert path.read_bytes() == b"".join(pieces)
    assert file.sha256 == sha256(b"".join(pieces))


def test_only_what_was_taken_is_hashed():
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    data = os.urandom(1024 * 1024)
    with HashingFile(writing) as file, os.fdopen(reading, "rb", buffering=0) as pipe:
        with pytest.raises(BlockingIOError):
            file.writelines([data[:5], data[5:]])
        taken = pipe.read()
        assert 5 < len(taken) < len(data)
        assert taken == data[: len(taken)]
        assert file.sha256 == sha256(taken)


def test_a_file_that_was_emptied_is_a_new_one(file, path):
    file.write(b"old and long")
    file.empty()
    file.write(b"new")
    assert file.sha256 == sha256(b"new")
    assert path.read_bytes() == b"new"
