"""What is known of one error code: enough for a person who meets it at night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ends = Literal["wrong", "refused", "locked", "storage", "unreachable", "bug", "export", "none"]
"""How a run ends that meets the error: `export` fails that export alone, `none` changes nothing (it is tried again, or told).
The exit statuses that these lead to are the command line's."""


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table. `code` is stable across versions; the words may get better."""

    code: str
    ends: Ends
    means: str
    """One sentence."""
    causes: tuple[str, ...]
    """What usually stands behind it, the likeliest first."""
    do: tuple[str, ...]
    """What to do about it, in the order in which a person would."""

    @property
    def usually(self) -> str:
        """Its causes in one line, to be told with an error of which nobody knows more: `usually this; or that`."""
        return f"usually {'; or '.join(cause[0].lower() + cause[1:].removesuffix('.') for cause in self.causes)}"

    @property
    def group(self) -> str:
        """What stands before the dot; the whole of a code that has none."""
        return self.code.partition(".")[0]
