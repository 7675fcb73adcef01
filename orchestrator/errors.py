"""Every error this program declares, in one tree.

An error says what happened and where (`message`), under a stable `code`, why, where that is known (`cause`), and what
a person can do about it (`hint`). `orchestrator.codes` tells more of each code. None of them knows an exit status: that
table is the command line's. None of them may carry a secret: whoever raises one from a foreign exception writes the text
anew and raises `from None`.

    OrchestratorError
      JobError          the job file or the command line is wrong; carries all problems found, each with its place
      LockedError       another run of this job holds the lock
      JournalError      the journal can't be used (newer version, not writable)
      StorageError      the place for the files refused: full, read-only, no permission, a symlink in the way
      RunStopped        what ends a run early, told as one of the classes below
        RefusedError      the service refused the account
        UnreachableError  a host could not be reached or trusted
        LeaseLostError    somebody else took the journal over
      ContentError      a file's bytes are not what they should be
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Any


def said_by_system(error: OSError) -> str | None:
    """What the system calls an error, fit for `cause`: `Permission denied (EACCES)`. Its own text may hold paths and URLs."""
    if not error.errno:
        return None
    name = errno.errorcode.get(error.errno)
    return os.strerror(error.errno) + (f" ({name})" if name else "")


class OrchestratorError(Exception):
    """The root: `code` is stable across versions, `message` says what happened, `hint` what to do about it.

    `cause` is what the system, a library or the service said of it, short and without secrets; None if nobody knows.
    """

    code = "error"

    def __init__(
        self, message: str, *, hint: str | None = None, code: str | None = None, cause: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cause = cause
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        """Message and cause, for whoever meets the error as an exception."""
        return f"{self.message} ({self.cause})" if self.cause else self.message

    def as_json(self) -> dict[str, Any]:
        """The `error` object of reports."""
        return {"code": self.code, "message": self.message, "cause": self.cause, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a job file or a command line, and where.

    `line` and `column` count from 1; they are None when the problem has no place in a file (an option, a digest).
    `key` is the dotted path of the key. `message` says what was found and what is allowed, never a secret's content.
    `cause` and `hint` are those of `OrchestratorError`.
    """

    message: str
    code: str = "job.invalid"
    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None
    hint: str | None = None
    cause: str | None = None

    @property
    def place(self) -> str | None:
        """`file:line:column` as editors understand it, or the file alone, or None."""
        if self.file is None or self.line is None:
            return self.file
        return f"{self.file}:{self.line}:{self.column or 1}"

    def __str__(self) -> str:
        """`job.yaml:3:7: api.tokn: unknown key 'tokn' [job.invalid] (hint: did you mean `token`?)`."""
        where = "".join(f"{part}: " for part in (self.place, self.key) if part)
        more = "; ".join(f"{name}: {text}" for name, text in (("cause", self.cause), ("hint", self.hint)) if text)
        return f"{where}{self.message} [{self.code}]{f' ({more})' if more else ''}"

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "cause": self.cause,
            "hint": self.hint,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "key": self.key,
        }


class JobError(OrchestratorError):
    """The job file or the command line is wrong. `problems` holds every one that was found, in the file's order."""

    code = "job.invalid"

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{first.message}{more}", hint=first.hint, code=first.code, cause=first.cause)

    def __str__(self) -> str:
        """All problems, a line each: in the log of whoever does not catch the error there is nothing else to go by."""
        return "\n".join(map(str, self.problems))

    def __reduce__(self) -> tuple[type[JobError], tuple[Problem, ...]]:
        """Errors of worker processes come to their caller pickled."""
        return type(self), self.problems


class LockedError(OrchestratorError):
    """Another run of this job is alive and holds its lock."""

    code = "run.locked"


class JournalError(OrchestratorError):
    """The journal can't be used: a newer version wrote it, or its folder refuses."""

    code = "journal.unusable"


class StorageError(OrchestratorError):
    """The place for the files refused. What was stored stays."""

    code = "storage.refused"


class RunStopped(OrchestratorError):
    """Ends a run early. What was journalled stays true; the next run goes on from it."""

    code = "run.stopped"


class RefusedError(RunStopped):
    """The service refused the account: the token, its rights or its verification."""

    code = "account.refused"


class UnreachableError(RunStopped):
    """A host could not be reached, or could not be trusted."""

    code = "host.unreachable"


class LeaseLostError(RunStopped):
    """The journal belongs to somebody else now; nothing may be written to it any more."""

    code = "journal.lease-lost"


class ContentError(OrchestratorError):
    """A file's bytes are not what they should be: torn, not of the format, or an error page in disguise."""

    code = "content.invalid"
