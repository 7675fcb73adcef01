"""YAML text to a tree of nodes that know their places.

Built from libyaml's events rather than by its composer: a loop with a stack, so that nesting can't exhaust ours, and
caps that hold while reading. YAML guesses nothing here: each plain scalar is text as written, and only an empty one,
`~` or `null` counts as nothing. So `NO`, `012`, `1.10`, `12:30:45` and `2024-13-01` stay what the author typed.

Refused: duplicate keys, tags, merge keys, several documents, more than `MAX_NODES` nodes after aliases are followed
(306 bytes of aliases can mean 387 million), more than `MAX_DEPTH` levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import yaml

from orchestrator.job.misfit import Misfit

MAX_NODES = 100_000
MAX_DEPTH = 50

_NOTHING = ("", "~", "null", "Null", "NULL")
_PLAIN_TAGS = (None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")
_AFTER_BRACES = re.compile(r"\{[\w-]*\}\s*$")
_GLUED = re.compile(r"[^\s,\[\]{}:]$")

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: lines and columns count from 1. An option of the command line has neither."""

    file: str
    line: int | None = None
    column: int | None = None


@dataclass(slots=True)
class Scalar:
    place: Place
    text: str
    plain: bool
    size: int = 1
    depth: int = 0

    @property
    def nothing(self) -> bool:
        return self.plain and self.text in _NOTHING


@dataclass(slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 0


@dataclass(slots=True)
class Mapping:
    place: Place
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    """Key → where the key stands, and what is behind it."""
    size: int = 1
    depth: int = 0


Node: TypeAlias = Scalar | Sequence | Mapping


class BadYaml(Exception):
    """The text is no YAML that a job could be read from. `faults` are pairs of a place and what is wrong there."""

    def __init__(self, *faults: tuple[Place, Misfit]) -> None:
        self.faults = faults


@dataclass(slots=True)
class _Open:
    """A collection that is being read. `key` is a mapping's key that waits for its value."""

    node: Sequence | Mapping
    anchor: str | None
    key: tuple[Place, str] | None = None


def read(text: str, file: str) -> tuple[Node | None, list[tuple[Place, Misfit]]]:
    """The tree (None if the text is empty), and faults that leave it readable, such as duplicate keys.

    Raises `BadYaml` for those that do not.
    """
    try:
        return _build(text, file)
    except yaml.reader.ReaderError as error:
        # libyaml counts the bytes before the character that it refuses.
        before = text.encode()[: error.position].decode("utf-8", "ignore")
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise BadYaml((place, Misfit("this is a control character, which YAML does not allow"))) from None
    except yaml.MarkedYAMLError as error:
        raise BadYaml(_syntax_fault(error, text, file)) from None


def _build(text: str, file: str) -> tuple[Node | None, list[tuple[Place, Misfit]]]:
    root: Node | None = None
    stack: list[_Open] = []
    anchors: dict[str, Node] = {}
    faults: list[tuple[Place, Misfit]] = []
    for event in _events(text):
        mark = event.start_mark
        assert mark is not None  # libyaml's events always have one
        place = Place(file, mark.line + 1, mark.column + 1)
        node: Node
        anchor: str | None = None
        match event:
            case yaml.DocumentStartEvent() if root is not None:
                raise BadYaml((place, Misfit("a second document begins here, and a job file holds one")))
            case yaml.ScalarEvent():
                node = Scalar(place, event.value, plain=not event.style and event.tag is None)
                anchor = event.anchor
                _refuse_tag(event.tag, place, faults)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                _refuse_tag(event.tag, place, faults)
                if stack and isinstance(stack[-1].node, Mapping) and stack[-1].key is None:
                    raise BadYaml((place, Misfit("a key is text, not a mapping or a list")))
                kind = Sequence if isinstance(event, yaml.SequenceStartEvent) else Mapping
                stack.append(_Open(kind(place), event.anchor))
                if len(stack) > MAX_DEPTH:
                    raise BadYaml((place, Misfit(f"this is nested more than {MAX_DEPTH} levels deep")))
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = stack.pop()
                node, anchor = closed.node, closed.anchor
            case yaml.AliasEvent():
                known = anchors.get(event.anchor or "")
                if known is None:
                    raise BadYaml(
                        (
                            place,
                            Misfit(
                                "this alias has no anchor before it", hint="put quotes around text that begins with *"
                            ),
                        )
                    )
                node = replace(known, place=place)
            case _:
                continue
        if anchor is not None:
            anchors[anchor] = node
        if stack:
            _put(stack[-1], node, faults)
        else:
            root = node
    return root, faults


def _events(text: str) -> Iterator[yaml.Event]:
    return yaml.parse(text, Loader=yaml.CSafeLoader)


def _put(into: _Open, node: Node, faults: list[tuple[Place, Misfit]]) -> None:
    holder = into.node
    if isinstance(holder, Mapping) and into.key is None:
        if not isinstance(node, Scalar):
            raise BadYaml((node.place, Misfit("a key is text, not a mapping or a list")))
        if node.text == "<<" and node.plain:
            faults.append((node.place, Misfit("merge keys (<<) are not supported", hint="write the keys out")))
        into.key = (node.place, node.text)
        return
    holder.size += node.size
    holder.depth = max(holder.depth, node.depth + 1)
    if holder.size > MAX_NODES or holder.depth > MAX_DEPTH:
        what = f"more than {MAX_NODES:,} values" if holder.size > MAX_NODES else f"more than {MAX_DEPTH} levels"
        raise BadYaml((node.place, Misfit(f"this makes {what}, counting what its aliases stand for")))
    if isinstance(holder, Sequence):
        holder.items.append(node)
        return
    assert into.key is not None
    place, key = into.key
    into.key = None
    if key in holder.entries:
        line = holder.entries[key][0].line
        faults.append((place, Misfit(f"the key {key!r} is there twice: first in line {line}", hint="keep one of them")))
    else:
        holder.entries[key] = (place, node)


def _refuse_tag(tag: str | None, place: Place, faults: list[tuple[Place, Misfit]]) -> None:
    if tag not in _PLAIN_TAGS:
        faults.append((place, Misfit("tags (!…) are not supported", hint="put quotes around text that begins with !")))


def _syntax_fault(error: yaml.MarkedYAMLError, text: str, file: str) -> tuple[Place, Misfit]:
    mark = error.problem_mark or error.context_mark
    assert mark is not None
    if error.problem == "could not find expected ':'" and error.context_mark is not None:
        mark = error.context_mark  # the key; the other mark is wherever libyaml gave up
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = _syntax_hint(error, before=line[: mark.column], char=line[mark.column : mark.column + 1])
    return Place(file, mark.line + 1, mark.column + 1), Misfit(f"this is not readable as YAML: {said}", hint=hint)


def _syntax_hint(error: yaml.MarkedYAMLError, before: str, char: str) -> str | None:
    """What probably happened, where libyaml stopped at `char` with `before` in front of it in its line."""
    context, problem = error.context or "", error.problem or ""
    opened = f"in line {error.context_mark.line + 1}" if error.context_mark is not None else ""
    if context.startswith("while parsing a") and any(quote in before for quote in "“”„‘’"):
        return "write plain quotes, not typographic ones"
    if context.startswith("while parsing a") and (
        (char == "{" and _GLUED.search(before)) or (char not in ("", "#") and _AFTER_BRACES.search(before))
    ):
        return "put quotes around it: {…} begins a mapping in YAML"
    if context.startswith("while parsing a flow"):
        return f"the {'[' if 'sequence' in context else '{'} {opened} is not closed, or a comma is missing before this"
    if context == "while scanning a quoted scalar":
        return f"the quote {opened} is not closed"
    if context in ("while scanning an alias", "while scanning an anchor"):
        return "put quotes around text that begins with * or &"
    if problem == "found character that cannot start any token":
        return "indent with spaces, not tabs" if char == "\t" else f"put quotes around text that begins with {char}"
    if problem == "found unknown escape character":
        return "put single quotes around it: within double quotes \\ has a meaning of its own"
    if problem == "could not find expected ':'":
        return "write `key: value`, with a space after the colon"
    if problem in ("mapping values are not allowed in this context", "did not find expected key"):
        return (
            "is this line indented like its neighbours, and is a space after each key's colon? "
            "text that holds a colon and a space needs quotes"
        )
    return None


# --------------------------------------------------------------------------------------------------------- the tree


def leaves(root: Node) -> dict[str, str]:
    """Dotted path of keys → what stands there, as it is written but for blanks and quotes. A list is one value.

    An empty mapping is one too.
    """
    found: dict[str, str] = {}

    def walk(node: Node, at: tuple[str, ...]) -> None:
        if isinstance(node, Mapping) and node.entries:
            for key, (_, entry) in node.entries.items():
                walk(entry, (*at, key))
        else:
            found[".".join(at)] = _flow(node)

    walk(root, ())
    return found


def _flow(node: Node) -> str:
    if isinstance(node, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(entry)}" for key, (_, entry) in node.entries.items()) + "}"
    if isinstance(node, Sequence):
        return "[" + ", ".join(map(_flow, node.items)) + "]"
    return node.text


def place_of(root: Node, path: Path) -> Place:
    """Where the value at `path` stands: a scalar itself, a collection by its key. Else the nearest that holds it."""
    place, node = root.place, root
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            key, node = node.entries[step]
            place = node.place if isinstance(node, Scalar) and node.text else key
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return place


def key_of(root: Node, path: Path) -> Place:
    """Where the last key of `path` stands."""
    holder = at(root, path[:-1])
    if isinstance(holder, Mapping) and path[-1] in holder.entries:
        return holder.entries[str(path[-1])][0]
    return place_of(root, path)


def at(root: Node, path: Path) -> Node | None:
    """The node at `path`, if there is one."""
    node: Node | None = root
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            node = node.entries[step][1]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def written(root: Node, path: Path) -> Path:
    """`path` as the document has it: one value may stand where a list of one is meant, and then has no index."""
    if path and path[-1] == 0 and isinstance(at(root, path[:-1]), Scalar):
        return path[:-1]
    return path


def replaced(node: Node | None, path: list[str], value: Node) -> Node:
    """The tree with `value` at `path`; mappings on the way are made where nothing stands. Shared nodes stay as they are.

    Raises `Misfit` if the path leads through text, or beyond a list's end.
    """
    if not path:
        return value
    step, rest = path[0], path[1:]
    if node is None or (isinstance(node, Scalar) and node.nothing):
        node = Mapping(value.place)
    if isinstance(node, Mapping):
        place, old = node.entries.get(step, (value.place, None))
        return replace(node, entries={**node.entries, step: (place, replaced(old, rest, value))})
    if isinstance(node, Sequence):
        if not step.isdecimal() or int(step) >= len(node.items):
            raise Misfit(
                f"{step!r} names no entry of this list, which has {len(node.items)}", hint="entries count from 0"
            )
        items = list(node.items)
        items[int(step)] = replaced(items[int(step)], rest, value)
        return replace(node, items=items)
    raise Misfit(f"there is no key {step!r} here: the job file has text in its place")
