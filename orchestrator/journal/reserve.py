"""Room kept for the last words of a run whose disk has become full.

When the disk is full, what has already happened on the service must still be journalled (an id that is not written is
an export nobody collects). So a file of random bytes holds some room while a run is on, and is given up for that.
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.journal.refusals import disk_refusal

SIZE = 1024 * 1024


class Reserve:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"

    def make(self) -> None:
        """Raises `StorageError` if there is no room even for it: a run should not start then."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(os.urandom(SIZE))  # random, for some file systems keep zeros in no room at all
                file.flush()
                os.fsync(fd)  # only now has every file system found the room
        except OSError as error:
            self.release()
            raise disk_refusal(error, self._path) from None

    def release(self) -> bool:
        """Gives the room back; false if there was none to give."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
