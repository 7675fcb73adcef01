"""The job's lock, its folder, and which file system they are on."""

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestrator.errors import LockedError, StorageError
from orchestrator.journal import lock
from orchestrator.journal.filesystem import filesystem_type
from orchestrator.journal.lock import JobLock
from orchestrator.journal.refusals import disk_refusal
from orchestrator.journal.state_dir import prepare_state


class FixedClock:
    def now(self):
        return 1_700_000_000.0


def lock_in(folder):
    return JobLock(folder, FixedClock())


HOLDER = """
    import sys
    from pathlib import Path
    from orchestrator.journal.lock import JobLock

    class Clock:
        def now(self):
            return 1_700_000_000.0

    with JobLock(Path(sys.argv[1]), Clock()):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_holds_it_is_told(tmp_path, holder):
    with pytest.raises(LockedError) as raised, lock_in(tmp_path):
        pass
    assert f"pid {holder.pid} on " in raised.value.message
    assert "since 2023-11-14 22:13:20 UTC" in raised.value.message
    assert f"kill {holder.pid}" in raised.value.hint


def test_a_kill_frees_it(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with lock_in(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_who_only_looks_sees_the_holder_while_there_is_one(tmp_path, holder):
    assert lock.holder(tmp_path).startswith(f"pid {holder.pid} on ")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.holder(tmp_path) is None
    with lock_in(tmp_path):
        assert lock.holder(tmp_path).startswith(f"pid {os.getpid()} on ")
    assert lock.holder(tmp_path) is None
    assert lock.holder(tmp_path / "none") is None


def test_it_is_free_again_after_the_block(tmp_path):
    for _ in range(2):
        with lock_in(tmp_path), pytest.raises(LockedError, match=f"pid {os.getpid()}"):
            lock_in(tmp_path).acquire()
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_holder_without_a_name_yet(tmp_path):
    with lock_in(tmp_path):
        (tmp_path / "lock").write_bytes(b"")
        with pytest.raises(LockedError) as raised:
            lock_in(tmp_path).acquire()
    assert raised.value.message == "another run of this job is active"


def test_release_without_acquire_is_harmless(tmp_path):
    lock_in(tmp_path).release()


def test_a_lock_file_that_vanished_meanwhile_guards_nothing(tmp_path, monkeypatch):
    """Somebody removes the folder's content between our opening the file and locking it."""
    flock, opened = fcntl.flock, []

    def removing(fd, how):
        opened.append(fd)
        if len(opened) == 1:
            (tmp_path / "lock").unlink()
        flock(fd, how)

    monkeypatch.setattr("orchestrator.journal.lock.fcntl.flock", removing)
    with lock_in(tmp_path):
        assert len(opened) == 2
        assert (tmp_path / "lock").exists()


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOLCK, "storage.no-locks"), (errno.EOPNOTSUPP, "storage.no-locks"), (errno.EIO, "storage.io")],
)
def test_a_file_system_without_locks(tmp_path, monkeypatch, number, code):
    def refusing(fd, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("orchestrator.journal.lock.fcntl.flock", refusing)
    with pytest.raises(StorageError) as raised:
        lock_in(tmp_path).acquire()
    assert raised.value.code == code
    assert "--state DIR" in raised.value.hint


def test_a_symlink_for_a_lock_is_refused_and_its_target_untouched(tmp_path):
    target = tmp_path / "precious"
    target.write_text("content")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(StorageError) as raised:
        lock_in(tmp_path).acquire()
    assert raised.value.code == "storage.symlink"
    assert target.read_text() == "content"


@pytest.mark.parametrize("name", [".orchestrator", "chosen"])
def test_a_new_state_folder_is_ours_alone_from_its_first_moment(tmp_path, name):
    state = tmp_path / "out" / name
    for _ in range(2):
        prepare_state(state)
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert (state / ".gitignore").read_text() == "*\n"


def test_a_wider_folder_of_our_name_is_closed_but_not_one_that_a_person_chose(tmp_path):
    for name, mode in ((".orchestrator", 0o700), ("shared", 0o755)):
        folder = tmp_path / name
        folder.mkdir()
        folder.chmod(0o755)
        prepare_state(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == mode


def test_a_folder_that_another_run_makes_meanwhile_is_taken(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def twice(self, *args, **kwargs):
        mkdir(self, mode=0o700)
        mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", twice)
    prepare_state(tmp_path / "state")
    assert (tmp_path / "state").is_dir()


def test_a_symlink_or_a_file_is_no_state_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    codes = {"link": "storage.symlink", "file": "storage.in-the-way", "file/below": "storage.in-the-way"}
    for name, code in codes.items():
        with pytest.raises(StorageError) as raised:
            prepare_state(tmp_path / name)
        assert (name, raised.value.code) == (name, code)
        assert raised.value.hint


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage.full"),
        (errno.EDQUOT, "storage.full"),
        (errno.EROFS, "storage.read-only"),
        (errno.EACCES, "storage.permission"),
        (errno.EIO, "storage.io"),
    ],
)
def test_a_disk_that_refuses_says_how(tmp_path, monkeypatch, number, code):
    def refusing(path, mode=0o777):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.mkdir", refusing)
    with pytest.raises(StorageError) as raised:
        prepare_state(tmp_path / "new")
    assert raised.value.code == code
    assert str(tmp_path / "new") in raised.value.message
    assert "--state DIR" in raised.value.hint


@pytest.mark.parametrize(("number", "verb"), [(errno.EROFS, "Mount it writable"), (errno.EACCES, "the right to write")])
def test_another_state_folder_is_named_only_where_it_would_help(tmp_path, monkeypatch, number, verb):
    inner, error = tmp_path / ".orchestrator" / "lock", OSError(number, os.strerror(number))
    for writable, named in ((True, "--state DIR"), (False, "`output.to`")):
        monkeypatch.setattr(os, "access", lambda *_, writable=writable: writable)
        hint = disk_refusal(error, inner).hint
        assert verb in hint
        assert named in hint
        assert "--state DIR" in disk_refusal(error, tmp_path / "elsewhere").hint


def test_the_file_system_is_found_by_its_device(tmp_path):
    device = os.stat(tmp_path).st_dev
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "21 1 0:999 / /other rw shared:1 - ext4 /dev/other rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / /mnt rw shared:2 master:3 - nfs4 server:/x rw,vers=4.2\n"
    )
    assert filesystem_type(tmp_path, mountinfo) == "nfs4"
    mountinfo.write_text("21 1 0:999 / /other rw - ext4 /dev/other rw\n")
    assert filesystem_type(tmp_path, mountinfo) is None
    assert filesystem_type(tmp_path, tmp_path / "none") is None
