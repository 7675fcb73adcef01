"""From a job file to a `Job`: YAML, the environment and referenced files in; a model out, or all that is wrong with it.

    bytes → nodes (yaml_nodes) → `--set` overrides → values with references replaced → model

Nothing is raised until everything has been looked at. A message repeats what stands *in the file*, never what a
reference brought in, and nothing at all where a secret may stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.errors import JobError, Problem, said_by_system
from orchestrator.job import scalars, yaml_nodes
from orchestrator.job.axes import AXES, open_relative
from orchestrator.job.misfit import Misfit, did_you_mean, nearest
from orchestrator.job.model import AUTOMATIC, JobFile
from orchestrator.job.paths import Template
from orchestrator.job.references import interpolate
from orchestrator.job.yaml_nodes import BadYaml, Node, Place, Scalar

MAX_BYTES = 1 << 20
MAX_SHOWN = 60

_TOKEN = ("api", "token")
_LATER = {_TOKEN, ("hooks", "on_success"), ("hooks", "on_failure"), ("hooks", "on_parked")}
"""Where references stay as they are written: they are replaced when a run needs them."""
_UNSHOWN = {("api",), ("api", "base_url"), _TOKEN, ("network",), ("network", "proxy")}
"""Where a secret may stand, in its place or by mistake."""
_SET_QUOTES = "a value is read as YAML: quote text with braces twice, as in --set 'output.path=\"{window}.json\"'"
_REQUIRED = {
    "version": "version: 1",
    "name": "name: support-backfill",
    "api": 'api: {token: "${LOOP_API_TOKEN}"}',
    "token": 'token: "${LOOP_API_TOKEN}"',
    "matrix": "matrix: {window: {every: month, last: 1}}",
    "window": "window: {every: month, last: 1}",
    "every": "every: month",
    "output": "output: {to: ./exports}",
    "to": "to: ./exports",
}
"""What to write for a required key that is missing."""


@dataclass(frozen=True, slots=True)
class Job:
    """A valid job, and the means to say where in its file something stands."""

    model: JobFile
    file: Path
    folder: Path
    """The job file's folder: relative paths start there."""
    digest: str
    """SHA-256 of the file's bytes, in hex. Overrides and referenced files are not in it."""
    _root: Node = field(repr=False)

    def resolve(self, path: str) -> Path:
        """A path of the job file, relative to its folder; `~` is the user's home."""
        return self.folder / scalars.path(path)

    def place(self, path: Sequence[str | int]) -> Place:
        """Where the value at that path of keys stands; what is not written there, by the nearest that holds it."""
        return yaml_nodes.place_of(self._root, tuple(path))

    @property
    def written(self) -> dict[str, str]:
        """Dotted path of keys → what stands there, overrides included, references as references."""
        return yaml_nodes.leaves(self._root)

    def problem(
        self,
        path: Sequence[str | int],
        message: str,
        *,
        hint: str | None = None,
        code: str = "job.invalid",
    ) -> Problem:
        """A problem at that path of keys."""
        return _problem(self.place(path), tuple(path), Misfit(message, hint=hint), code=code)

    def order(self, problem: Problem) -> tuple[bool, int, int]:
        """For sorting problems: those of the job file first, as it runs."""
        return _order(problem, str(self.file))

    def misfit(self, path: Sequence[str | int], misfit: Misfit) -> Problem:
        """The problem that a misfit at that path of keys is."""
        return _placed(self._root, (*path, *misfit.at), misfit)


def load_job(
    path: str | Path,
    environ: Mapping[str, str],
    overrides: Sequence[tuple[str, str]] = (),
) -> Job:
    """Reads and checks a job file. `overrides` are the pairs (`key.path`, value) of `--set`, read as YAML.

    Raises JobError with every problem found, in the file's order. `api.token` stays a reference: its variable or file
    need not exist yet.
    """
    file = Path(path)
    data = _read(file)
    text = _decode(data, str(path))
    problems: list[Problem] = []
    root = _tree(text, str(path), overrides, problems)
    folder = file.absolute().parent
    broken: set[str] = set()

    def value_of(node: Node, at: tuple[str | int, ...]) -> Any:
        if isinstance(node, yaml_nodes.Mapping):
            return {key: value_of(entry, (*at, key)) for key, (_, entry) in node.entries.items()}
        if isinstance(node, yaml_nodes.Sequence):
            return [value_of(entry, (*at, n)) for n, entry in enumerate(node.items)]
        if node.nothing:
            return None
        if at[:2] in _LATER:
            return node.text
        try:
            return interpolate(node.text, environ, folder)
        except Misfit as misfit:
            problems.append(_placed(root, at, misfit))
            broken.add(f"{problems[-1].key}.")
            return ""

    values = value_of(root, ())
    model: JobFile | None = None
    try:
        model = JobFile.model_validate(values, context={"files": open_relative(folder)})
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
        misspelt = _misspelt(findings)
        for found in findings:
            if found["type"] == "missing" and found["loc"] in misspelt:
                continue
            told = _told(root, found["loc"], found["type"], found["msg"], found.get("ctx", {}).get("error"))
            # What stands in for a reference that can't be replaced is no fault of its own.
            problems += [each for each in told if not f"{each.key}.".startswith(tuple(broken))]
    problems += _across(root, values)
    if problems or model is None:
        raise JobError(*sorted(problems, key=lambda problem: _order(problem, str(path))))
    return Job(model, file, folder, hashlib.sha256(data).hexdigest(), root)


# ---------------------------------------------------------------------------------------------------------- reading


def _read(file: Path) -> bytes:
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise _unreadable(
                file,
                "a pipe or a device can't be a job file",
                "write it into a file, and name that",
                "paths in a job file start at its folder, and later commands read it again",
            )
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(file, "there is no such job file", _instead_of(file)) from None
    except IsADirectoryError:
        raise _unreadable(file, "this is a folder, not a job file", "name the YAML file in it") from None
    except (OSError, ValueError) as error:
        cause = said_by_system(error) if isinstance(error, OSError) else "it is not a path"
        hint = "see to its permissions, or name another file"
        raise _unreadable(file, "the job file can't be read", hint, cause) from None
    if len(data) > MAX_BYTES:
        raise _unreadable(
            file, "the job file is larger than 1 MiB", "long lists go into a CSV: team: file:inboxes.csv#id,name"
        )
    return data


def _instead_of(file: Path) -> str:
    """What to name where there is no such file: one beside it of nearly that name, or else a new one."""
    try:
        beside = [each.name for each in file.parent.iterdir() if each.suffix in (".yaml", ".yml")]
    except OSError:
        beside = []
    near = nearest(file.name, beside)
    return f"did you mean `{file.with_name(near)}`?" if near else "`orchestrator init FILE` writes one"


def _unreadable(file: Path, message: str, hint: str, cause: str | None = None) -> JobError:
    return JobError(Problem(message, code="job.unreadable", file=str(file), hint=hint, cause=cause))


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        problem = Problem(
            "the job file is not UTF-8 text",
            code="job.unreadable",
            file=file,
            line=line,
            column=column,
            hint="save it as UTF-8",
        )
        raise JobError(problem) from None


def _spelled_out(root: Node | None, steps: Sequence[str]) -> Node | None:
    """The tree, with `limits: auto` as the keys that it stands for if `steps` lead to one of them."""
    limits = None if root is None else yaml_nodes.at(root, ("limits",))
    if steps[0] != "limits" or len(steps) == 1 or not isinstance(limits, Scalar) or limits.text != "auto":
        return root
    keys: dict[str, tuple[Place, Node]] = dict.fromkeys(AUTOMATIC, (limits.place, limits))
    return yaml_nodes.replaced(root, ["limits"], yaml_nodes.Mapping(limits.place, keys))


def _tree(text: str, file: str, overrides: Iterable[tuple[str, str]], problems: list[Problem]) -> Node:
    """The file's tree with the overrides in it. Faults that leave it readable are added to `problems`."""
    try:
        root, faults = yaml_nodes.read(text, file)
    except BadYaml as error:
        raise JobError(*(_problem(place, (), misfit, code="job.syntax") for place, misfit in error.faults)) from None
    problems += [_problem(place, (), misfit) for place, misfit in faults]
    for key, value in overrides:
        place = Place(f"--set {key}")
        try:
            f"{key}{value}".encode()  # bytes of a command line that are no UTF-8 have come as surrogates
            node, faults = yaml_nodes.read(value, place.file)
            steps = key.split(".")
            if not all(steps):
                raise Misfit("a path of keys is due here", hint="write --set limits.unfinished=8")
            put = _elsewhere(node or Scalar(place, "", plain=True), place)
            root = yaml_nodes.replaced(_spelled_out(root, steps), steps, put)
        except BadYaml as error:
            faults = [(at, Misfit(misfit.message, hint=misfit.hint or _SET_QUOTES)) for at, misfit in error.faults]
        except UnicodeEncodeError:
            faults = [(place, Misfit("this is not UTF-8 text", hint="write it in UTF-8, as the job file is"))]
        except Misfit as misfit:
            faults = [(place, misfit)]
        problems += [_problem(place, tuple(key.split(".")), misfit) for _, misfit in faults]
    if root is None:
        raise _unreadable(Path(file), "the job file is empty", "`orchestrator init FILE` writes one to begin with")
    if not isinstance(root, yaml_nodes.Mapping):
        raise JobError(
            _problem(root.place, (), Misfit("a mapping is due here: version, name, api, matrix, …"), code="job.syntax")
        )
    return root


def _elsewhere(node: Node, place: Place) -> Node:
    """The same nodes, all at `place`: an option of the command line has no lines."""
    node.place = place
    if isinstance(node, yaml_nodes.Mapping):
        node.entries = {key: (place, _elsewhere(entry, place)) for key, (_, entry) in node.entries.items()}
    elif isinstance(node, yaml_nodes.Sequence):
        node.items = [_elsewhere(entry, place) for entry in node.items]
    return node


# ---------------------------------------------------------------------------------------------------------- telling


def _told(root: Node, at: tuple[str | int, ...], kind: str, message: str, error: object) -> list[Problem]:
    """One of pydantic's findings as problems. Its own texts are never used for what may hold a value."""
    if kind == "extra_forbidden":
        key = str(at[-1])
        homes = [".".join(home) for home in _SECTIONS if key in _keys(home)]
        allowed = _keys(at[:-1])
        home = f"`{key}` belongs under {' or '.join(homes)}" if homes else None
        near = did_you_mean(key, allowed) if home is None or nearest(key, allowed) else None
        hint = "; ".join(each for each in (near, home) if each) or None
        misfit = Misfit(f"unknown key {key[:MAX_SHOWN]!r}", hint=hint)
        return [_problem(yaml_nodes.key_of(root, at), at, misfit)]
    if hasattr(error, "all"):
        return [_placed(root, (*at, *misfit.at), misfit) for misfit in error.all]
    if kind == "missing":
        hint = f"write {_REQUIRED[str(at[-1])]}"
        return [_placed(root, at, Misfit(f"{at[-1]!r} is missing and required", hint=hint, show=False))]
    if kind == "model_type":
        auto = "auto, or " if at == ("limits",) else ""
        return [
            _placed(root, at, Misfit(f"{auto}a mapping of keys is due here", hint=f"its keys: {', '.join(_keys(at))}"))
        ]
    return [_placed(root, at, Misfit(message))]


def _misspelt(findings: Iterable[Mapping[str, Any]]) -> set[tuple[str | int, ...]]:
    """The keys that unknown ones beside them were meant to be: they are misspelt, and not missing."""
    unknown = [found["loc"] for found in findings if found["type"] == "extra_forbidden"]
    near = [(at[:-1], nearest(str(at[-1]), _keys(at[:-1]))) for at in unknown]
    return {(*above, key) for above, key in near if key is not None}


_SECTIONS = (
    *((section,) for section in JobFile.model_fields if section not in ("version", "name")),
    ("matrix", "window"),
)
"""Where keys are; one that lost its indentation is looked for in all of them."""


def _keys(at: tuple[str | int, ...]) -> list[str]:
    """The keys that the model allows at that path."""
    model: type[BaseModel] = JobFile
    for step in at:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        inner = fields[str(step)].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _across(root: Node, values: Any) -> list[Problem]:
    """What several places must agree on, looked at even if something else is wrong: the axes that others speak of."""
    matrix, output = values.get("matrix"), values.get("output")
    if not isinstance(matrix, dict):
        return []
    # A misspelt axis is told already; whoever speaks of the one that was meant is right.
    axes = [axis for axis in (key if key in AXES else nearest(key, AXES) for key in matrix) if axis is not None]
    found: list[Problem] = []
    for name in ("exclude", "include"):
        entries = matrix.get(name)
        for n, entry in enumerate(entries if isinstance(entries, list) else ()):
            for axis in entry if isinstance(entry, dict) else ():
                if axis in AXES and axis not in axes:
                    misfit = Misfit(
                        f"the matrix has no axis {axis!r}", hint=did_you_mean(axis, axes), show=False, on_key=True
                    )
                    found.append(_placed(root, ("matrix", name, n, axis), misfit))
    template = output.get("path") if isinstance(output, dict) else None
    if isinstance(template, str):
        try:
            read = Template.parse(template)
        except Misfit:  # told already, by the model
            return found
        try:
            read.check(axes)
        except Misfit as misfit:
            found.append(_placed(root, ("output", "path"), misfit))
    return found


def _placed(root: Node, at: tuple[str | int, ...], misfit: Misfit) -> Problem:
    """The misfit with its place and, unless a secret may stand there, what was found."""
    if misfit.file is not None:
        return _problem(Place(misfit.file, misfit.line, 1), at, misfit)
    at = yaml_nodes.written(root, at)
    node = yaml_nodes.at(root, at)
    message = misfit.message
    if misfit.show and at not in _UNSHOWN and isinstance(node, Scalar) and not node.nothing and node.text:
        shown = node.text if len(node.text) <= MAX_SHOWN else node.text[:MAX_SHOWN] + "…"
        message = f"{message}; found {shown!r}"
    place = yaml_nodes.key_of(root, at) if misfit.on_key else yaml_nodes.place_of(root, at)
    return _problem(place, at, Misfit(message, hint=misfit.hint))


def _order(problem: Problem, file: str) -> tuple[bool, int, int]:
    return problem.file != file, problem.line or 0, problem.column or 0


def _problem(place: Place, at: tuple[str | int, ...], misfit: Misfit, code: str = "job.invalid") -> Problem:
    return Problem(
        misfit.message,
        code=code,
        file=place.file,
        line=place.line,
        column=place.column,
        key=".".join(map(str, at)) or None,
        hint=misfit.hint,
    )
