"""JSON bodies to feed in: valid ones of every style, and what becomes of them when somebody meddles."""

import json
import random

from hypothesis import strategies as st

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None))  # lone surrogates too
    | st.sampled_from(["},{", "]", '"', "\\", "},", '{"id":', "[{", "\u2028", "é", "😀"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)
arrays_of_rows = st.lists(
    st.dictionaries(st.sampled_from(["id", "a", "{", "]"]) | st.text(max_size=5), values, max_size=6)
)
STYLES = (
    {"indent": 2},
    {"separators": (",", ":")},
    {"separators": (" ,\r\n", "\t: ")},
    {"separators": ("\n,", ":")},
    {},
)

SPICE = [
    b",",
    b"]",
    b"[",
    b"{",
    b"}",
    b'"',
    b"\\",
    b":",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\n",
    b"\x0b",
    b"0",
    b"-",
    b".",
    b"e1",
    b"NaN",
    b"{},",
    b"},{",
    b"\\u12",
    b'"a":1,',
    b"null",
    b"tru",
    b"\xef\xbb\xbf",
    b"\xe2\x80",
    b"1",
    b"<html>",
    b"/**/",
    b" ",
]


@st.composite
def bodies(draw):
    """A valid body and its rows."""
    rows = draw(arrays_of_rows)
    text = json.dumps(rows, ensure_ascii=draw(st.booleans()), **draw(st.sampled_from(STYLES)))
    lead, tail = draw(st.sampled_from(["", " ", "\r\n\t"])), draw(st.sampled_from(["", "\n", " \r\n\t "]))
    return (lead + text + tail).encode("utf-8", "replace"), len(rows)


def mutated(data: bytes, seed: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(seed.randint(1, 3)):
        at, to = sorted((seed.randint(0, len(out)), seed.randint(0, len(out))))
        match seed.randint(0, 4):
            case 0:
                out[at:at] = seed.choice(SPICE)
            case 1:
                out[at : at + 1] = seed.choice(SPICE)
            case 2:
                del out[at : at + 1]
            case 3:
                out[at:at] = out[at:to]
            case _:
                del out[at:to]
    return bytes(out)


def nested(depth: int) -> bytes:
    """An array of one row, which is nested so many levels deep with the array itself."""
    inner = depth - 2
    return b'[{"a":' + b"[" * inner + b"]" * inner + b"}]"
