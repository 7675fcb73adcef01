"""References to the environment and to files: `${NAME}` and `${file:PATH}`, and the one kept unresolved, the token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import JobError, Problem
from orchestrator.job.misfit import Misfit

MAX_BYTES = 1 << 20

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<inner>[^}]*)(?P<close>\}?))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def interpolate(text: str, environ: Mapping[str, str], folder: Path) -> str:
    """`text` with its references replaced and `$$` made `$`. Raises `Misfit`, which names no content."""

    def replaced(found: re.Match[str]) -> str:
        return "$" if found["dollar"] else _look_up(_inner(found), environ, folder)

    return _REFERENCE.sub(replaced, text) if "$" in text else text


def check(text: str) -> None:
    """Raises `Misfit` for a reference that can't be one, without looking anything up."""
    for found in _REFERENCE.finditer(text):
        if not found["dollar"]:
            _check_name(_inner(found))


def _inner(found: re.Match[str]) -> str:
    if not found["close"]:
        raise Misfit("a `${` is not closed", hint="write ${NAME} or ${file:PATH}; for a plain dollar write $$")
    return found["inner"]


def _check_name(inner: str) -> None:
    if not inner.startswith("file:") and _NAME.fullmatch(inner) is None:
        raise Misfit(
            "a reference names a variable, ${NAME}, or a file, ${file:PATH}",
            hint="names are letters, digits and _; for a plain dollar write $$",
        )


def _look_up(inner: str, environ: Mapping[str, str], folder: Path) -> str:
    _check_name(inner)
    if inner.startswith("file:"):
        return _read(inner.removeprefix("file:"), folder)
    value = environ.get(inner)
    if value is None:
        raise Misfit(f"the environment variable {inner} is not set", hint=f"export {inner}=…", show=False)
    return _checked(value, f"the environment variable {inner}")


def _read(name: str, folder: Path) -> str:
    what = f"the file {name!r}"
    if not name.strip() or "\0" in name:
        raise Misfit("${file:PATH} needs a path")
    try:
        with (folder / Path(name).expanduser()).open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Misfit(f"{what} is missing", hint="paths are relative to the job file", show=False) from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise Misfit(f"{what} can't be read: {reason}", show=False) from None
    if len(data) > MAX_BYTES:
        raise Misfit(f"{what} is larger than 1 MiB", show=False)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Misfit(f"{what} is not UTF-8 text", show=False) from None
    return _checked(re.sub(r"\r?\n\Z", "", text), what)


def _checked(value: str, what: str) -> str:
    # Undecodable bytes of the environment arrive as lone surrogates, which no request and no file name can carry.
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise Misfit(f"{what} is not UTF-8 text", show=False)
    return value


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by reference, `${NAME}` or `${file:PATH}`. All that it shows of itself is that text."""

    reference: str

    @classmethod
    def parse(cls, value: object) -> SecretRef:
        """Raises `Misfit` unless the whole of `value` is one reference; a literal secret is never repeated."""
        if isinstance(value, SecretRef):
            return value
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        inner = found["inner"] if found is not None and found["close"] else None
        if inner is None or not (_NAME.fullmatch(inner) or inner.removeprefix("file:").strip() not in ("", inner)):
            raise Misfit(
                "a reference is due here, `${NAME}` or `${file:PATH}`: a secret never stands in a job file",
                hint='write token: "${LOOP_API_TOKEN}" and set that variable',
                show=False,
            )
        return cls(str(value))

    def resolve(self, environ: Mapping[str, str], base_dir: Path) -> str:
        """The secret itself, read anew at each call. Relative paths start at `base_dir`.

        Raises JobError (`token.unresolved`) that names the variable or file, never what it holds.
        """
        try:
            value = _look_up(self.reference[2:-1], environ, base_dir)
        except Misfit as misfit:
            raise self._unusable(misfit.message, self._hint(misfit)) from None
        if not value:
            raise self._unusable(
                f"{self.reference} is empty", f"{self._put}; in a pipeline, is the secret passed to this step?"
            )
        if value.casefold().startswith("bearer "):
            # Without its blank: whatever follows `Bearer` and a blank is taken for a token, and not shown to people.
            raise self._unusable(
                f"{self.reference} begins with the word `Bearer`", f"{self._put}, without the word `Bearer`"
            )
        if not all("!" <= char <= "~" for char in value):
            raise self._unusable(
                f"{self.reference} holds a space, a line break or a character that no token has",
                "was it copied whole, and nothing else with it?",
            )
        return value

    @property
    def variable(self) -> str | None:
        """The environment variable that it names; None if it names a file."""
        inner = self.reference[2:-1]
        return None if inner.startswith("file:") else inner

    @property
    def _put(self) -> str:
        """What to do about a token that is not there."""
        where = (
            f"export {self.variable}=…" if self.variable else f"write the file {self.reference[len('${file:') : -1]}"
        )
        return f"{where} with a token from Loop's web settings"

    def _hint(self, misfit: Misfit) -> str:
        if self.variable is not None:
            return f"{self._put}; in a pipeline, pass the secret to this step"
        return (
            f"{misfit.hint}; {self._put}"
            if misfit.hint
            else "that file holds the token alone, as text that this user may read"
        )

    def _unusable(self, message: str, hint: str | None) -> JobError:
        return JobError(Problem(message, code="token.unresolved", key="api.token", hint=hint))

    def __repr__(self) -> str:
        return f"SecretRef({self.reference!r})"

    def __str__(self) -> str:
        return self.reference
