"""How much is fuzzed, and the odd things that several tests feed in.

Every property plays QUICK examples, the same ones each time, so that a pull request is judged by its own changes. With
FUZZ_EXAMPLES in the environment it plays that many, and others each time: `FUZZ_EXAMPLES=100000 pytest -k fuzz`.
"""

import copy
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

QUICK = 150
_ASKED = os.environ.get("FUZZ_EXAMPLES")

settings.register_profile(
    "orchestrator",
    max_examples=int(_ASKED or QUICK),
    derandomize=_ASKED is None,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("orchestrator")

LARGE = _ASKED is not None

costly = settings(max_examples=-(-settings.default.max_examples // 5))
"""For properties whose examples open databases or sockets."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
"""What a JSON document can hold, NaN and all."""


@st.composite
def spoilt(draw, document, values=json_values):
    """The JSON document with one to three of its values left out, or replaced by something else or by one of its like."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(("replace", "leave out", "copy"))):
            case "replace":
                holder[key] = copy.deepcopy(draw(values))
            case "leave out":
                del holder[key]
            case _:
                alike = [place for place in places if place[1] == key or place[0] is holder]
                other, at = alike[draw(st.integers(0, len(alike) - 1))]
                holder[key] = copy.deepcopy(other[at])
    return document


def _places(value):
    """Each place of the document, as the object or list that holds it and its key or index there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield value, key
        yield from _places(entry)
