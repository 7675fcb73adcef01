"""Whether a record read from a journal is one that this program can have written.

Its JSON may have every field and still tell what nobody can go on from: a number for a path, a failure without its words.
Such a journal is damaged, and to find that out when it is opened is the only time at which something can be done about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from orchestrator.engine.states import Part, Record, State
from orchestrator.journal.account import is_time


def sound(key: str, record: Record) -> Record:
    """`record`, which the journal keeps under `key`. Raises `ValueError` if it is none that could have been written."""
    if not _is_record(record) or record.key != key or not record.parts or not all(map(_is_whole, record.parts)):
        raise ValueError(f"the record of {str(key)[:60]!r} makes no sense")
    return record


def _is_whole(part: Part) -> bool:
    """The part has what its state says that it has."""
    return (
        (part.state is State.CREATING) == (part.intended_at is not None)
        and (part.state is State.VERIFIED) == (part.file is not None)
        and (part.state is State.FAILED) == (part.failure is not None)
        and (part.state is not State.STORED or part.stored is not None)
        and (part.state not in (State.GENERATING, State.READY) or bool(part.live))
    )


def _test(kind: Any) -> Callable[[Any], bool]:
    """A test of values against an annotation. All floats of a record are times."""
    origin, inner = get_origin(kind), [_test(each) for each in get_args(kind) if each is not Ellipsis]
    if kind is Any:
        return _anything
    if kind is float:
        return is_time
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if origin is UnionType:  # in a record: this or nothing
        return lambda value: value is None or inner[0](value)
    if origin is tuple and len(inner) == 1:
        return lambda value: all(map(inner[0], value))
    if origin is tuple:
        return lambda value: all(test(each) for test, each in zip(inner, value, strict=True))
    if origin is Mapping:
        return lambda value: isinstance(value, dict) and (inner[1] is _anything or all(map(inner[1], value.values())))
    if is_dataclass(kind):
        return _dataclass_test(kind)
    return lambda value: isinstance(value, kind)


def _anything(_: Any) -> bool:
    return True


def _dataclass_test(kind: Any) -> Callable[[Any], bool]:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    values, tests = attrgetter(*names), [_test(hints[name]) for name in names]

    def holds(value: Any) -> bool:
        if not isinstance(value, kind):
            return False
        for test, each in zip(tests, values(value), strict=True):  # noqa: SIM110  a loop: it is run for every record
            if not test(each):
                return False
        return True

    return holds


_is_record = _test(Record)
