"""All codes, and how to find one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from orchestrator.codes.asked import ASKED
from orchestrator.codes.code import Code
from orchestrator.codes.content import CONTENT
from orchestrator.codes.service import SERVICE
from orchestrator.codes.state import STATE
from orchestrator.codes.storage import STORAGE

GROUPS: Mapping[str, tuple[Code, ...]] = {
    "What was asked": ASKED,
    "The service": SERVICE,
    "What is in a file": CONTENT,
    "The disk": STORAGE,
    "The job's state": STATE,
}
CODES: Mapping[str, Code] = {code.code: code for codes in GROUPS.values() for code in codes}


def find(name: str) -> tuple[Code, ...]:
    """The code of that name, or all codes of a group (`storage`, `storage.` or `storage.*`); none if there is neither."""
    if name in CODES:
        return (CODES[name],)
    group = name.removesuffix("*").removesuffix(".")
    return tuple(code for code in CODES.values() if code.group == group)


def near(name: str) -> list[str]:
    """Codes and groups that somebody who wrote `name` may have meant, the likeliest first."""
    groups = {code.group for code in CODES.values()}
    known = {known.lower(): known for known in (*CODES, *groups)}
    ends = [code for code in CODES if code.partition(".")[2] == name.lower()]
    return (ends + [known[close] for close in difflib.get_close_matches(name.lower(), known, n=3)])[:3]
