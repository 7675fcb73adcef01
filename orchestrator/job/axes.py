"""The values of an axis: from a mapping, from a list, or from a CSV file."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.job.misfit import Key, Misfit, Misfits, did_you_mean, gather
from orchestrator.job.scalars import choice, text

AXES = ("window", "team", "tag", "teammate", "customer", "impersonate", "format")
FORMATS = ("json", "xlsx")
MAX_FILE_BYTES = 16 << 20
MAX_FILE_PROBLEMS = 20

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_FILE = re.compile(r"file:(?P<path>.+)#(?P<id>[^,#]+)(?:,(?P<label>[^,#]+))?")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an axis: the label that people and paths use, and the ids that are asked for together, sorted."""

    label: str
    ids: tuple[str, ...]


def ids(value: object) -> tuple[str, ...]:
    """Sorted, unique ids. The service takes them as a set, so their order must not make another question of it."""
    return tuple(sorted(set(gather(enumerate(_list(value, "a list of ids")), _an_id))))


def many(value: object, files: Callable[[str], tuple[str, bytes]] | None = None) -> tuple[Value, ...]:
    """`label: id`, `label: [ids]`, a list of ids, or `file:PATH#id,label`. `files` reads a file and tells its name."""
    if isinstance(value, str) and value.startswith("file:") and files is not None:
        return _from_file(value, files)
    if isinstance(value, Mapping):
        return _axis(value.items(), lambda label, entry: Value(_label(label), _ids_of(entry)))
    due = "`label: id`, a list of ids, or file:PATH#id,label"
    if isinstance(value, str) and value.lower().endswith(".csv"):
        raise Misfit(f"{due} is due here", hint="for a file write file:inboxes.csv#id,name")
    return _axis(enumerate(_list(value, due)), lambda _, one: Value(_label(one), (_an_id(0, one),)))


def single(value: object) -> tuple[Value, ...]:
    """The impersonated users: `label: e-mail`, or a list of e-mail addresses."""
    due = "an e-mail address"
    if isinstance(value, Mapping):
        return _axis(value.items(), lambda label, entry: Value(_label(label), (text(entry, due),)))
    return _axis(
        enumerate(_list(value, f"`label: {due}` or a list")), lambda _, one: Value(_label(one), (text(one, due),))
    )


def formats(value: object) -> tuple[Value, ...]:
    """The formats of the files: a list of json and xlsx."""
    read = choice(*FORMATS)
    return _axis(enumerate(_list(value, "a list of formats")), lambda _, one: Value(read(one), (read(one),)))


def _axis(entries: Iterable[tuple[Key, object]], read: Callable[[Key, object], Value]) -> tuple[Value, ...]:
    seen: set[str] = set()

    def once(key: Key, entry: object) -> Value:
        value = read(key, entry)
        if value.label in seen:
            raise Misfit("the same label is there twice")
        seen.add(value.label)
        return value

    found = gather(entries, once)
    if not found:
        raise Misfit("this axis is empty: give it at least one value, or leave it out", show=False)
    return tuple(found)


def _list(value: object, due: str) -> Iterable[object]:
    if isinstance(value, list | tuple):
        return value
    single = isinstance(value, str | int | float)
    raise Misfit(f"{due} is due here", hint="a single one is a list too: put [ ] around it" if single else None)


def _label(value: object) -> str:
    if isinstance(value, Mapping) and None not in value.values():
        raise Misfit("a label is due here, not a mapping", hint="write {support: ID, sales: ID}, all in one mapping")
    # NFC, so that a label typed on one system matches the pattern typed on another.
    return unicodedata.normalize("NFC", text(value, "a label"))


def _an_id(_: int, value: object) -> str:
    return text(value, "an id")


def _ids_of(entry: object) -> tuple[str, ...]:
    if not isinstance(entry, list | tuple):
        return (text(entry, "an id or a list of ids"),)
    if not entry:
        raise Misfit("at least one id is due here: an empty list would ask for everything", show=False)
    return ids(entry)


# ---------------------------------------------------------------------------------------------------------- CSV files


def _from_file(reference: str, files: Callable[[str], tuple[str, bytes]]) -> tuple[Value, ...]:
    found = _FILE.fullmatch(reference)
    if found is None:
        raise Misfit(
            "a file with the name of its columns is due here", hint="write file:inboxes.csv#id,name (id, then label)"
        )
    shown, data = files(found["path"])
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Misfit(
            "this is not UTF-8 text", hint="save it as UTF-8 (CSV UTF-8 in Excel)", file=shown, line=line
        ) from None
    return read_csv(content, shown, id_column=found["id"].strip(), label_column=(found["label"] or found["id"]).strip())


def read_csv(content: str, shown: str, *, id_column: str, label_column: str) -> tuple[Value, ...]:
    """The values in a CSV file with a header. `shown` is its name in errors. Raises `Misfits`, each at its line."""
    rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    wrong: list[Misfit] = []
    lines: dict[str, int] = {}
    found: list[Value] = []

    def misfit(message: str, hint: str | None = None) -> None:
        wrong.append(Misfit(message, hint=hint, show=False, file=shown, line=max(rows.line_num, 1)))

    try:
        header = [cell.strip() for cell in next(rows, [])]
        if len(header) == 1 and header[0] not in (id_column, label_column):
            separator = next((name for char, name in _SEPARATORS.items() if char in header[0]), None)
            if separator is not None:
                raise Misfits([_other_separator(shown, separator)])
        for column in dict.fromkeys((id_column, label_column)):
            if header.count(column) != 1:
                what = "there is no column" if column not in header else "there are two columns"
                misfit(
                    f"{what} {column!r}",
                    did_you_mean(column, header) if any(header) else "the first line names the columns",
                )
        if wrong:
            raise Misfits(wrong)
        id_at, label_at = header.index(id_column), header.index(label_column)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = [row[at].strip() if at < len(row) else "" for at in (id_at, label_at)]
            try:
                one, label = text(cells[0], f"column {id_column!r}: an id"), _label(cells[1])
            except Misfit as error:
                misfit(error.message)
            else:
                if label in lines:
                    misfit(
                        f"the label {label!r} is there twice: first in line {lines[label]}",
                        "give each row a label of its own",
                    )
                lines.setdefault(label, rows.line_num)
                found.append(Value(label, (one,)))
            if len(wrong) >= MAX_FILE_PROBLEMS:
                break
    except csv.Error as error:
        misfit(f"this is not readable as CSV: {error}")
    if not found and not wrong:
        misfit("there is no row below the header")
    if wrong:
        raise Misfits(wrong)
    return tuple(found)


def _other_separator(shown: str, separator: str) -> Misfit:
    return Misfit(
        f"columns are separated by commas, and this header has {separator}",
        hint="save it again with commas",
        file=shown,
        line=1,
    )


def open_relative(folder: Path) -> Callable[[str], tuple[str, bytes]]:
    """A reader of files named in a job, relative to its folder. Raises `Misfit` for what can't be read."""

    def read(name: str) -> tuple[str, bytes]:
        try:
            path = folder / Path(name).expanduser()
            with path.open("rb") as source:
                data = source.read(MAX_FILE_BYTES + 1)
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise Misfit("this file can't be read: " + reason, hint="paths are relative to the job file") from None
        if len(data) > MAX_FILE_BYTES:
            raise Misfit("this file is larger than 16 MiB")
        return str(path), data

    return read
