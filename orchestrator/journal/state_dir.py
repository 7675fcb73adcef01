"""The folder that holds a job's state: journal, lock, temporary files. Ours alone, so nobody else may look in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from orchestrator.errors import StorageError
from orchestrator.journal.refusals import OWN_NAME, disk_refusal, symlink


def prepare_state(path: Path) -> None:
    """Makes sure that `path` is a folder of our own, 0700.

    A folder that exists under another name than the default one was chosen by a person and keeps its permissions: it
    may hold more than our files. A new folder keeps itself out of git. Raises `StorageError`, also for a symbolic link.
    """
    try:
        try:
            found = path.lstat()
        except FileNotFoundError:
            try:
                path.mkdir(mode=0o700, parents=True)
            except FileExistsError:  # another run has just made it; the lock will tell which of the two works
                found = path.lstat()
            else:
                path.joinpath(".gitignore").write_text("*\n", encoding="utf-8")
                return
        if stat.S_ISLNK(found.st_mode):
            raise symlink(path)
        if not stat.S_ISDIR(found.st_mode):
            raise StorageError(
                f"{path} is a file, and the job's state needs a folder of that name",
                code="storage.in-the-way",
                hint="Move the file away, or name another folder with `--state DIR`.",
            )
        if path.name == OWN_NAME and found.st_mode & 0o077 and found.st_uid == os.geteuid():
            path.chmod(0o700)
    except NotADirectoryError:
        file = next(parent for parent in path.parents if parent.exists() and not parent.is_dir())
        raise StorageError(
            f"{file} is a file, and a folder of that name is needed",
            code="storage.in-the-way",
            hint="Move the file away, or change `output.to`; then run again.",
        ) from None
    except OSError as error:
        raise disk_refusal(error, path) from None
