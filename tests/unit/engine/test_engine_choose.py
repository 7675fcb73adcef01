"""The next action out of all wants, the budgets and the time."""

from __future__ import annotations

import math

import pytest

from orchestrator.engine.choose import Budgets, Go, Wait, Wants, choose
from orchestrator.engine.ports import SignedUrl
from orchestrator.engine.step import Create, Fetch, Place, Poll

FREE = -math.inf
URL = SignedUrl("https://files.test/1")
A, B, C, D = (("a", 0), ("b", 0), ("c", 0), ("d", 0))


def budgets(**changes):
    return Budgets(**{"request_at": FREE, "create_at": FREE, "fetch_at": FREE, "poll_first": True, **changes})


def wants(**parts):
    made = Wants()
    for name, these in parts.items():
        made.put((name, 0), these)
    return made


EVERYTHING = {
    "a": (Create(0.0),),
    "b": (Poll(0.0, "r1"),),
    "c": (Fetch(0.0, "r2", URL),),
    "d": (Place(0.0),),
}


@pytest.mark.parametrize(
    ("left_out", "given", "ref"),
    [
        ("", {}, D),
        ("d", {}, C),
        ("cd", {}, B),
        ("cd", {"poll_first": False}, A),
        ("d", {"fetch_at": 50.0}, B),
        ("cd", {"create_at": math.inf, "poll_first": False}, B),
    ],
)
def test_the_order_of_what_is_due(left_out, given, ref):
    parts = {name: these for name, these in EVERYTHING.items() if name not in left_out}
    choice = choose(wants(**parts), budgets(**given), 10.0)
    assert isinstance(choice, Go)
    assert choice.ref == ref


@pytest.mark.parametrize(
    ("parts", "given", "until"),
    [
        ({}, {}, math.inf),
        ({"a": (Create(30.0),)}, {}, 30.0),
        ({"a": (Create(0.0),)}, {"request_at": 25.0}, 25.0),
        ({"a": (Create(0.0),)}, {"create_at": math.inf}, math.inf),
        ({"a": (Create(30.0),), "b": (Poll(20.0, "r"),)}, {}, 20.0),
        ({"c": (Fetch(0.0, "r", URL),), "b": (Poll(20.0, "r"),)}, {"fetch_at": math.inf}, 20.0),
    ],
)
def test_when_to_look_again(parts, given, until):
    assert choose(wants(**parts), budgets(**given), 10.0) == Wait(until)


@pytest.mark.parametrize(
    ("early", "lost_at", "request_at", "choice"),
    [
        pytest.param(5.0, 9.0, FREE, Go(B, Poll(20.0, "r", early=5.0)), id="a turn would be lost"),
        pytest.param(5.0, 12.0, FREE, Wait(12.0), id="a turn can be kept for a while"),
        pytest.param(15.0, 9.0, FREE, Wait(15.0), id="it is too early for that"),
        pytest.param(5.0, 9.0, 13.0, Wait(13.0), id="the host wants silence"),
        pytest.param(5.0, math.inf, FREE, Wait(20.0), id="no turn is ever lost"),
        pytest.param(math.inf, 9.0, FREE, Wait(20.0), id="it has a time of its own"),
    ],
)
def test_a_poll_goes_early_with_a_turn_that_would_be_lost(early, lost_at, request_at, choice):
    made = wants(b=(Poll(20.0, "r", early=early),))
    assert choose(made, budgets(lost_at=lost_at, request_at=request_at), 10.0) == choice


def test_the_earliest_of_a_kind_goes_first():
    made = wants(a=(Poll(5.0, "late"),), b=(Poll(3.0, "early"),))
    assert choose(made, budgets(), 10.0) == Go(B, Poll(3.0, "early"))


def test_only_what_a_part_wanted_last_counts():
    made = wants(a=(Poll(1.0, "r1"), Poll(2.0, "r2")), b=(Poll(7.0, "r3"),))
    made.put(A, (Poll(8.0, "r1"),))
    assert made.first(Poll, 9.0) == (B, Poll(7.0, "r3"))
    made.put(B, ())
    assert made.first(Poll, 9.0) == (A, Poll(8.0, "r1"))
    made.put(A, ())
    assert made.first(Poll, 9.0) is None


def signed(expires):
    return SignedUrl(f"https://files.test/1?Expires={expires}&Signature=s")


def test_the_url_that_dies_first_is_fetched_first():
    later = Fetch(9.0, "r3", signed(100))
    made = wants(a=(Fetch(1.0, "r1", signed(300)),), b=(Fetch(2.0, "r2", signed(200)),), c=(later,))
    made.put(D, (Fetch(0.0, "r4", URL),))  # that does not say when it dies
    order = []
    for _ in range(3):
        go = choose(made, budgets(), 5.0)
        assert isinstance(go, Go)
        order.append(go.ref)
        made.put(go.ref, ())
    assert order == [B, A, D]
    assert choose(made, budgets(), 5.0) == Wait(9.0)
    assert choose(made, budgets(), 9.0) == Go(C, later)


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("?Expires=1700000000&Signature=x", 1.7e9),
        ("?Signature=x&Expires=5", 5.0),
        ("?Expires=soon", math.inf),
        ("", math.inf),
        ("?NotExpires=5", math.inf),
        ("?Expires=" + "9" * 400, math.inf),
    ],
)
def test_a_signed_url_says_when_it_dies(query, at):
    assert SignedUrl("https://files.test/1" + query).expires_at == at


def test_what_was_begun_before_is_created_before_what_was_not():
    first, again = Create(0.0), Create(20.0, again=True)
    made = wants(a=(first,), b=(again,), c=(Create(0.0),))
    assert choose(made, budgets(), 10.0) == Go(A, first)
    assert choose(made, budgets(), 20.0) == Go(B, again)
    made.put(B, ())
    assert choose(made, budgets(), 20.0) == Go(A, first)


def test_how_many_parts_want_to_be_created_is_known():
    made = wants(a=(Create(0.0),), b=(Poll(0.0, "r"), Create(9.0)), c=(Poll(0.0, "r"),))
    assert made.creations == 2
    made.put(A, ())
    assert made.creations == 1
