"""The order of renames: none writes over a file that is still to move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.memory import aside
from orchestrator.engine.moves import in_order
from orchestrator.engine.plan import Action, Item


def moves(pairs):
    return [Item(f"k-{source}", (), target, Action.MOVE, "", source=source) for source, target in pairs]


def carry_out(pairs):
    files = {source: source for source, _ in pairs}
    steps = 0
    for _, source, target in in_order(moves(pairs)):
        assert target not in files, "nothing is written over"
        files[target] = files.pop(source)
        steps += 1
    return files, steps


def test_a_chain_begins_at_its_free_end():
    assert carry_out([("a", "b"), ("b", "c"), ("c", "d")]) == ({"d": "c", "c": "b", "b": "a"}, 3)


def test_a_ring_is_opened_by_moving_one_aside():
    steps = [(source, target) for _, source, target in in_order(moves([("a", "b"), ("b", "a")]))]
    waits = aside("b", "k-a")
    assert steps == [("a", waits), ("b", "a"), (waits, "b")]


def test_where_a_file_waits_is_no_other_files_place():
    assert aside("b", "k1-0123456789") != aside("b", "k1-1123456780")


@given(st.permutations(list("abcdefg")), st.integers(0, 7))
def test_any_mix_of_chains_and_rings(targets, free):
    pairs = list(zip("abcdefg", targets, strict=True))
    pairs = [(source, f"new-{target}" if n < free else target) for n, (source, target) in enumerate(pairs)]
    pairs = [(source, target) for source, target in pairs if source != target]
    files, steps = carry_out(pairs)
    assert files == {target: source for source, target in pairs}
    assert steps <= len(pairs) * 1.5
