"""`explain`: what an error's code means, what stands behind it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.codes.code import Code
from orchestrator.codes.table import CODES, GROUPS, find, near
from orchestrator.errors import JobError, Problem


@click.command()
@click.argument("codes", metavar="[CODE]...", nargs=-1)
@options.option("--markdown", is_flag=True, help="Print docs/errors.md: all codes, for a browser.")
@options.AS_JSON
def explain(*, codes: tuple[str, ...], markdown: bool, as_json: bool) -> None:
    """Say more about an error: its code, or a group of codes (`storage`). Without one, list all codes."""
    found = _found(codes)
    if markdown:
        say.result("\n".join(_page()))
    elif as_json:
        say.document({"schema": "orchestrator.explain/1", "codes": [_entry(code) for code in found]})
    elif not codes:
        for line in _list():
            say.result(line)
    else:
        say.result("\n\n".join("\n".join(_told(code)) for code in found))


def _found(names: tuple[str, ...]) -> Iterable[Code]:
    if not names:
        return CODES.values()
    found: dict[str, Code] = {}
    unknown = []
    for name in names:
        bare = name.strip("[]")  # as it stands in an error
        unknown += [] if find(bare) else [bare]
        found |= {code.code: code for code in find(bare)}
    if unknown:
        raise JobError(
            *(Problem(f"there is no code {name!r}", code="explain.unknown", hint=_hint(name)) for name in unknown)
        )
    return found.values()


def _hint(name: str) -> str:
    meant = near(name)
    if not meant:
        return "`orchestrator explain` lists all codes"
    return f"did you mean {' or '.join(meant)}? `orchestrator explain` lists all codes"


def _entry(code: Code) -> dict[str, Any]:
    return {
        "code": code.code,
        "means": code.means,
        "causes": list(code.causes),
        "do": list(code.do),
        "ends": code.ends,
        "exit": exits.ENDS.get(code.ends),
    }


def ending(code: Code) -> str:
    """How a run ends that meets it, in words."""
    if code.ends == "none":
        return "It changes no exit status."
    if code.ends == "export":
        return f"It fails that export alone; the others go on, and the run exits {exits.FAILED}."
    return f"It ends the command with exit {exits.ENDS[code.ends]}{_NOTHING if code.ends == 'wrong' else ''}."


_NOTHING = "; nothing was contacted"


def _told(code: Code) -> Iterable[str]:
    yield code.code
    yield say.hanging(code.means, indent=2, hang=0)
    yield say.hanging(ending(code), indent=2, hang=0)
    for name, lines in (("causes", code.causes), ("to do", code.do)):
        head = f"{name}: "
        for n, line in enumerate(lines):
            yield say.hanging(f"{' ' * len(head) if n else head}{line}", indent=2, hang=len(head))


def _list() -> Iterable[str]:
    widest = max(map(len, CODES))
    for title, codes in GROUPS.items():
        yield f"{title}:"
        for code in codes:
            yield say.hanging(f"{code.code:<{widest}}  {code.means}", indent=2, hang=widest + 2)


def _page() -> Iterable[str]:
    yield _HEAD
    for title, codes in GROUPS.items():
        yield f"\n## {title}"
        for code in codes:
            yield f"\n### `{code.code}`\n\n{code.means} {ending(code)}\n"
            yield from (f"- cause: {cause}" for cause in code.causes)
            yield from (f"- hint: {hint}" for hint in code.do)


_HEAD = """\
# Errors

Every error says what happened and where, `cause:` where the system or the service gave a reason, `hint:` what to do, and has a
code that stays the same from version to version. `orchestrator explain CODE` says in a terminal what this page says;
`orchestrator explain storage` tells all codes of a group, `--json` makes it one document (`orchestrator.explain/1`).

```
exports/support: error: no permission [storage.permission]
  cause: Permission denied (EACCES)
  hint: Give this user the right to write in the output folder, or change `output.to`.
More: orchestrator explain storage.permission
```

In JSON an error is `{"code", "message", "cause", "hint"}`, in job files with its `file`, `line`, `column` and `key`. `orchestrator doctor JOB` looks for
most of what stands here before anything is created. This page is printed by `orchestrator explain --markdown`."""
