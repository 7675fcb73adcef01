"""Codes of what is in a file. Each is met first as a trouble: the file is fetched anew three times, then exported anew."""

from __future__ import annotations

from orchestrator.codes.code import Code

_ANEW = "The file was not stored. Run again to fetch and, if need be, export it anew."
_SUPPORT = "If it stays so, tell Loop's support the report ids."
_PROXY = "Look at `network.proxy` and at what this machine reaches: a login page, a filter, an error page?"
_CUT = ("The transfer was cut in a way that looks like an end.", "The host keeps half a file.")
_WRONG = ("The service wrote it so.", "Something between here and the host alters bodies.")

CONTENT = (
    Code("content.empty", "export", "The file is empty, not even an empty array.", _CUT, (_ANEW, _SUPPORT)),
    Code(
        "content.page",
        "export",
        "An HTML or XML page came in the file's place.",
        ("A proxy, a login page, or an error page of the host.",),
        (_PROXY, _ANEW),
    ),
    Code(
        "content.other",
        "export",
        "The file is something else than the format that was asked for.",
        _WRONG,
        ("The message says what it is.", _ANEW, _SUPPORT),
    ),
    Code(
        "content.json", "export", "The file is not valid JSON; the message names the byte.", _WRONG, (_ANEW, _SUPPORT)
    ),
    Code(
        "content.rows",
        "export",
        "The file is JSON, but not an array of row objects.",
        ("The service changed its format.",),
        ("Look for a newer orchestrator.", _SUPPORT),
    ),
    Code("content.truncated", "export", "The file ends before it is whole.", _CUT, (_ANEW, _SUPPORT)),
    Code(
        "content.trailing",
        "export",
        "More data stands behind the end of the file.",
        ("An error page glued to it.", "Two files in one."),
        (_ANEW, _SUPPORT),
    ),
    Code(
        "content.encoding",
        "export",
        "The transport encoding can't be undone: it is damaged, or one that nobody asked for.",
        ("Something between here and the host compresses.", "The body was damaged on its way."),
        (_PROXY, _ANEW),
    ),
    Code(
        "content.bomb",
        "export",
        "The file swells out of all proportion when it is unpacked.",
        ("It is not an export.",),
        ("Nothing was stored. Report it to the service; look at what stands between here and the host.",),
    ),
    Code(
        "content.workbook",
        "export",
        "The workbook is damaged, encrypted, or can't be read through.",
        _WRONG,
        (_ANEW, _SUPPORT),
    ),
)
