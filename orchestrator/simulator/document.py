"""A YAML file with the place of each of its values, so that an error can name the line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from orchestrator.errors import JobError, Problem, said_by_system

Path_ = tuple[str | int, ...]
MAX_DEPTH = 50


class _Loader(yaml.CSafeLoader):
    """YAML without its guesses: `on` is a text, and so are dates, 012 and 12:30."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|false|False", "tTfF"),
    ("null", r"~|null|Null|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


class Document(NamedTuple):
    """What a file says (`value`), and where: (line, column) from 1, by the path of keys and indexes that leads there.

    A key of a mapping is placed at the key; an item of a list at its beginning.
    """

    file: str
    value: Any
    places: dict[Path_, tuple[int, int]]

    def place(self, path: Path_) -> tuple[int, int] | tuple[None, None]:
        """The place of `path`, or of the nearest part of it that the file has."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None, None


def read_document(path: Path) -> Document:
    """Read a YAML file. Raises JobError: not readable, not YAML, a key twice, an alias (`*name`) or a tag."""
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = said_by_system(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = "look at the path after --scenario: it is relative to the folder in which the command is started"
        raise JobError(
            Problem("the scenario can't be read", code="scenario.unreadable", file=name, hint=hint, cause=cause)
        ) from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """As read_document, of a text that is at hand. `name` is what errors call it."""
    places: dict[Path_, tuple[int, int]] = {}
    problems: list[Problem] = []

    def complain(at: yaml.Node | yaml.Event, message: str) -> None:
        line, column = _place(at)
        problems.append(Problem(message, code="scenario.invalid", file=name, line=line, column=column))

    def walk(node: yaml.Node, path: Path_) -> None:
        places.setdefault(path, _place(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                inner = (*path, str(key.value))
                if inner in places:
                    complain(key, f"the key {key.value!r} stands here twice")
                places[inner] = _place(key)
                walk(item, inner)

    loader = _Loader(text)
    try:
        _refuse_what_is_too_much(text, complain)
        root = None if problems else loader.get_single_node()
        if root is not None:
            walk(root, ())
        if problems:
            raise JobError(*problems)
        # The loader builds mappings of hashable keys only; its own complaint about others is a YAMLError as well.
        value = {} if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        problem = Problem(
            f"not YAML: {error.problem}", code="scenario.invalid", file=name, line=place[0], column=place[1]
        )
        raise JobError(problem) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise JobError(Problem(f"not YAML: {reason}", code="scenario.invalid", file=name)) from None
    finally:
        loader.dispose()
    return Document(name, value, places)


def _refuse_what_is_too_much(text: str, complain: Callable[[yaml.Event, str], None]) -> None:
    """Tags and aliases, and nesting so deep that it would overrun the stack of libyaml's composer."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            complain(event, f"this is nested more than {MAX_DEPTH} deep")
            return
        if isinstance(event, yaml.AliasEvent):
            complain(event, "an alias (*name) is not allowed here: write the value out")
        elif getattr(event, "tag", None) not in (None, "!"):
            complain(event, "a tag (!name) is not allowed here: write the value alone")


def _place(at: yaml.Node | yaml.Event) -> tuple[int, int]:
    mark = at.start_mark
    assert mark is not None, "libyaml marks everything"
    return mark.line + 1, mark.column + 1
