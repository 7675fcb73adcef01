"""What is wrong with a value, told by code that knows neither files nor lines.

The pure modules of this room raise a `Misfit`; the loader and the expander know where the value stands, add the place
and what was written there, and make a `JobError` of it. What was *found* is added only there, from the text of the
file, so that the content of a variable or of a secret file never reaches a message.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TypeVar

Key = TypeVar("Key", str, int)
Entry = TypeVar("Entry")
Read = TypeVar("Read")


class Misfit(ValueError):
    """A value that can't be. A ValueError, so that pydantic collects it beside its own findings.

    `at` leads from the value that was being read to the part that is wrong. `show` is False where the text as written
    must not be repeated (it may be a secret) or would add nothing. `file` and `line` are set when the fault lies in
    another file than the job's, `on_key` when it is the key that can't be, not what stands behind it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        at: tuple[str | int, ...] = (),
        show: bool = True,
        file: str | None = None,
        line: int | None = None,
        on_key: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at
        self.show = show
        self.file = file
        self.line = line
        self.on_key = on_key

    @property
    def all(self) -> tuple[Misfit, ...]:
        return (self,)

    def below(self, *at: str | int) -> Misfit:
        """The same fault, seen from a value that holds this one at `at`."""
        self.at = (*at, *self.at)
        return self


class Misfits(ValueError):
    """Several at once, so that a person mends them in one go."""

    def __init__(self, found: Iterable[Misfit]) -> None:
        self.all = tuple(found)
        super().__init__(self.all[0].message)


def gather(entries: Iterable[tuple[Key, Entry]], read: Callable[[Key, Entry], Read]) -> list[Read]:
    """What `read` makes of each entry. Raises `Misfits` with all that it refused, each below its key."""
    found: list[Read] = []
    wrong: list[Misfit] = []
    for key, entry in entries:
        try:
            found.append(read(key, entry))
        except (Misfit, Misfits) as error:
            wrong += [misfit.below(key) for misfit in error.all]
    if wrong:
        raise Misfits(wrong)
    return found


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that `word` was probably meant to be."""
    by_fold = {name.casefold(): name for name in allowed}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """A hint: the nearest allowed word, if one is near, and all of them if they are few; None if neither."""
    names = list(allowed)
    near = nearest(word, names)
    parts = []
    if near is not None:
        parts.append(f"did you mean `{near}`?")
    if len(names) <= 12:
        parts.append(f"allowed: {', '.join(names)}" if names else "nothing is allowed here")
    return " ".join(parts) or None
