"""Calls to the disk that can be made to fail: those of the program's own rooms, each by its caller, and SQLite's.

A label is `disk.CALL.CALLER` (`disk.rename.place`), or `disk.sqlite.CALL.WHAT` with what is being journalled. What fails once
fails from then on as such a disk does: a full one takes nothing new, a read-only one no change, a broken one nothing at all.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
NEEDS_ROOM = frozenset({"create", "mkdir", "write", "write_text", "sqlite.open", "sqlite.write"})
CHANGES = NEEDS_ROOM | {"rename", "unlink", "ftruncate", "fchmod", "chmod", "sqlite.ftruncate", "sqlite.unlink"}
ONCE = "once"


class Disk:
    """Whether a call fails. `strikes` says of a label that its turn has come."""

    def __init__(self, strikes: Callable[[str], bool]) -> None:
        self._strikes = strikes
        self._errno = 0
        self._once = False
        self._broken = False
        self._room = False
        self.writing: list[str] = []
        """What the journal writes just now."""

    def arm(self, fault: str) -> None:
        """`fault` is the name of an error, `-once` behind it if only one call is to fail."""
        name, _, how = fault.partition("-")
        self._errno, self._once = getattr(errno, name), how == ONCE

    def failing(self, call: str, caller: str, path: object = None) -> int:
        """The error to fail with; 0 if all is well."""
        if self._strikes(f"disk.{call}.{caller}"):
            self._broken = not self._once
            return self._errno
        if self._errno in FULL and call == "unlink" and str(path).endswith("reserve"):
            self._room = True  # the journal's own: the little that this gives is for SQLite alone
        return self._errno if self._broken and self._lasts(call) else 0

    def _lasts(self, call: str) -> bool:
        if self._errno in FULL:
            return call in NEEDS_ROOM and not (self._room and call.startswith("sqlite."))
        return self._errno != errno.EROFS or call in CHANGES


def install(disk: Disk) -> None:
    for name in ("mkdir", "rename", "unlink", "fsync", "write", "pwrite", "writev", "ftruncate", "fchmod", "chmod"):
        _wrap(disk, os, name, lambda name, _args, _kwargs: "write" if name in ("pwrite", "writev") else name)
    _wrap(disk, os, "open", _kind_of_open)
    _wrap(disk, os, "listdir", lambda *_: "look")
    _wrap(disk, Path, "write_text", lambda name, *_: name)
    _wrap_sqlite(disk)


def _kind_of_open(_name: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> str:
    flags = args[1]
    if flags & os.O_CREAT and (flags & os.O_EXCL or str(args[0]).endswith("reserve")):
        return "create"
    return "open"


def _wrap(disk: Disk, owner: Any, name: str, kind: Callable[[str, tuple[Any, ...], dict[str, Any]], str]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        caller = _caller(sys._getframe(1))
        if caller is not None:
            number = disk.failing(kind(name, args, kwargs), caller, args[0])
            if number:
                raise OSError(number, os.strerror(number))
        return original(*args, **kwargs)

    setattr(owner, name, call)


def _caller(frame: types.FrameType | None) -> str | None:
    """The function of the program that calls, whoever helps it (`pathlib`, a point of `killpoints.py`)."""
    for _ in range(4):
        if frame is None:
            return None
        room = str(frame.f_globals.get("__name__", ""))
        if room.startswith(("orchestrator.storage", "orchestrator.journal")):
            return frame.f_code.co_name
        frame = frame.f_back
    return None


# --------------------------------------------------------------------------------------------- the calls SQLite makes

_POINTER, _INT, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
_CALLS = {
    "open": (_INT, (_TEXT, _INT, _INT)),
    "write": (ctypes.c_ssize_t, (_INT, _POINTER, _SIZE)),
    "pwrite": (ctypes.c_ssize_t, (_INT, _POINTER, _SIZE, ctypes.c_int64)),
    "pwrite64": (ctypes.c_ssize_t, (_INT, _POINTER, _SIZE, ctypes.c_int64)),
    "ftruncate": (_INT, (_INT, ctypes.c_int64)),
    "unlink": (_INT, (_TEXT,)),
}
"""Calls that SQLite lets others take over (`xSetSystemCall`, its own way to test full disks), and their C types."""


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = (
        ("version", _INT), ("file_size", _INT), ("path_size", _INT), ("next", _POINTER), ("name", _TEXT),
        ("data", _POINTER), ("methods", _POINTER * 12), ("time64", _POINTER),
        ("set_call", ctypes.CFUNCTYPE(_INT, _POINTER, _TEXT, _POINTER)),
        ("get_call", ctypes.CFUNCTYPE(_POINTER, _POINTER, _TEXT)),
    )  # fmt: skip


_KEPT: list[Any] = []
"""Functions that C code holds a pointer to."""


def _wrap_sqlite(disk: Disk) -> None:
    """Does nothing where Python carries a SQLite of its own whose names it hides."""
    import _sqlite3  # noqa: PLC0415  what it is linked with is the library that matters

    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        return
    find.restype = ctypes.POINTER(_Vfs)
    vfs = find(None)
    for name, (result, arguments) in _CALLS.items():
        address = vfs.contents.get_call(vfs, name.encode())
        if not address:
            continue
        kind = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)
        taken = kind(
            functools.partial(_sqlite_call, disk, f"sqlite.{name.removesuffix('64').lstrip('p')}", kind(address))
        )
        _KEPT.append(taken)
        vfs.contents.set_call(vfs, name.encode(), ctypes.cast(taken, _POINTER))


def _sqlite_call(disk: Disk, call: str, original: Callable[..., int], *args: Any) -> int:
    changes = call != "sqlite.open" or args[1] & (os.O_WRONLY | os.O_RDWR)
    number = disk.failing(call, disk.writing[0] if disk.writing else "file") if changes else 0
    if number:
        ctypes.set_errno(number)
        return -1
    return original(*args)
