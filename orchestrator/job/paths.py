r"""Where a file goes: a template and a cell's labels make a relative path that every system can hold.

A label never adds a segment, and what some system could not store in a name becomes `_`:

    < > : " / \ | ? * and invisible characters      a/b  → a_b
    dots and spaces at the end of a segment         a.   → a_      ..  → __
    the names that Windows keeps for itself         con  → con_    com1.json → com1_.json

Two labels may meet that way; the expander compares all paths of a plan by `collision_key` and refuses both cells, so
nothing is ever overwritten silently. What the *template* itself says is never mended but refused.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.job.axes import AXES
from orchestrator.job.misfit import Misfit, did_you_mean, nearest

MAX_NAME_BYTES = 223
"""Of one segment: file systems allow 255, and a temporary name adds up to 32."""
MAX_PATH_BYTES = 1024
RESERVED = ("manifest.json", ".orchestrator")
"""Ours, at the top of the output folder, however they are spelled."""
PLACEHOLDERS = (*AXES, "ext", "name", "key")

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_WINDOWS = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE)
_PIECE = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")


@functools.lru_cache(maxsize=4096)
def portable_value(value: str) -> str:
    """`value` without characters that would add a segment or that some system refuses in a name; NFC."""
    value = _UNSAFE.sub("_", unicodedata.normalize("NFC", value))
    if value.isprintable():
        return value
    return "".join("_" if unicodedata.category(char) in _INVISIBLE else char for char in value)


@functools.lru_cache(maxsize=4096)
def portable_segment(segment: str) -> str:
    """`segment`, whose characters are all safe, as a name that every system keeps as it is."""
    segment = unicodedata.normalize("NFC", segment)
    kept = segment.rstrip(". ")
    segment = kept + "_" * (len(segment) - len(kept)) or "_"
    return _WINDOWS.sub(r"\1_", segment, count=1) if _WINDOWS.match(segment) else segment


def collision_key(path: str) -> str:
    """Equal for two paths that a file system without case, or with other Unicode forms, takes for one."""
    if path.isascii():
        return path.lower()
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).casefold())


def check(path: str) -> None:
    """Raises `Misfit` if the relative path is not portable, too long, or one of ours."""
    segments = path.split("/")
    if any(portable_segment(portable_value(segment)) != segment for segment in segments):
        raise Misfit(f"{path!r} is no portable relative path")
    _check_lengths(path, segments)


def _check_lengths(path: str, segments: Iterable[str]) -> None:
    first = path.partition("/")[0]
    if collision_key(first) in RESERVED:
        raise Misfit(
            f"{first!r} is a name of our own in the output folder", hint="put a folder before it, or another name"
        )
    if len(path) * 4 <= MAX_NAME_BYTES:
        return
    for segment in segments:
        size = len(segment.encode())
        if size > MAX_NAME_BYTES:
            raise Misfit(
                f"the name {segment[:40]!r}… has {size} bytes, and at most {MAX_NAME_BYTES} are portable",
                hint="shorten the label",
            )
    size = len(path.encode())
    if size > MAX_PATH_BYTES:
        raise Misfit(
            f"the path has {size} bytes, and at most {MAX_PATH_BYTES} are portable",
            hint="shorten labels or output.path",
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A path template, read. `segments` hold (placeholder, literal) pieces, one of the two empty."""

    text: str
    segments: tuple[tuple[tuple[str, str], ...], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises `Misfit` for an unknown placeholder, a brace astray, or a literal part that is not portable."""
        return cls(text, tuple(_segment(part) for part in unicodedata.normalize("NFC", text).split("/")))

    @classmethod
    def default(cls, axes: Iterable[str]) -> Template:
        """Every axis of the matrix in turn."""
        return cls.parse("/".join(f"{{{axis}}}" for axis in axes) + ".{ext}")

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(name for segment in self.segments for name, _ in segment if name)

    def check(self, axes: Iterable[str]) -> None:
        """Raises `Misfit` if a placeholder names an axis that the matrix lacks."""
        known = list(axes)
        for name in sorted(self.placeholders.intersection(AXES).difference(known)):
            raise Misfit(f"the matrix has no axis {name!r}", hint=did_you_mean(name, [*known, "ext", "name", "key"]))

    def render(self, values: Mapping[str, str]) -> str:
        """The relative path, with `/` between segments. Raises `Misfit` if it is too long or one of our own names."""
        segments = [
            portable_segment("".join([literal or portable_value(values[name]) for name, literal in segment]))
            for segment in self.segments
        ]
        path = "/".join(segments)
        _check_lengths(path, segments)
        return path


def _segment(part: str) -> tuple[tuple[str, str], ...]:
    if not part:
        raise Misfit(
            "a relative path is due here: no slash at either end, and no two in a row",
            hint="files go below output.to; change that to put them elsewhere",
        )
    pieces = []
    for name, literal, astray in _PIECE.findall(part):
        if astray or (not literal and name not in PLACEHOLDERS):
            raise Misfit(
                "placeholders are " + ", ".join(f"{{{known}}}" for known in PLACEHOLDERS), hint=_brace_hint(name)
            )
        if portable_value(literal) != literal:
            raise Misfit(
                "a path of portable characters is due here", hint='none of < > : " \\ | ? * and nothing invisible'
            )
        pieces.append((name, literal))
    last = pieces[-1][1]
    only = last if len(pieces) == 1 else ""
    if last.endswith((".", " ")) or (only and portable_segment(only) != only):
        raise Misfit(
            "no segment may be `.` or `..`, end with a dot or a space, or have a name that Windows keeps for itself",
            hint="files go below output.to; change that to put them elsewhere",
        )
    return tuple(pieces)


def _brace_hint(name: str) -> str | None:
    if not name:
        return "a placeholder is a name between one { and one }"
    near = nearest(name, PLACEHOLDERS)
    return f"did you mean {{{near}}}?" if near else None
