"""Commands that a job file names, for hooks: words, never a line for a shell.

References in them (`${NAME}`, `${file:PATH}`) are replaced when a run begins, not when the file is read: they may stand for
secrets that only the run has, and a frozen plan must not hold them. What they stand for stays within its word.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.job import scalars
from orchestrator.job.misfit import Misfit, gather
from orchestrator.job.references import check, interpolate

_HINT = 'write [notify, --channel, "#exports"], or one text, which is split at blanks as a shell would'


def words(value: object) -> tuple[str, ...]:
    """A command's words from a list of them, or from one text with a shell's quoting; references stay as they are."""
    if isinstance(value, list | tuple):
        found = gather(enumerate(value), _word)
    else:
        text = scalars.text(value, "a command")
        try:
            found = shlex.split(text)
        except ValueError:
            raise Misfit(
                "a command is due here, and a quote in this one is not closed", hint=_HINT, show=False
            ) from None
        check(text)
    if not found or not found[0]:
        raise Misfit("a command is due here, and this one has no words", hint=_HINT, show=False)
    return tuple(found)


def _word(_n: int, value: object) -> str:
    found = scalars.scalar(value, "a word of a command")
    if "\0" in found:
        raise Misfit("a word of a command holds no NUL", show=False)
    check(found)
    return found


def resolve(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> list[str]:
    """The words with their references replaced. Raises `Misfit`, which names no content."""
    return [interpolate(word, environ, folder) for word in command]
