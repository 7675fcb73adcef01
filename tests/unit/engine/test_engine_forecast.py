"""What a plan will take, as far as earlier exports tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import START, make_export
from test_engine_plan import record_of

from orchestrator.engine.durations import size_of
from orchestrator.engine.forecast import forecast
from orchestrator.engine.plan import Action, Item
from orchestrator.engine.policy import Limits, Policy, Polling
from orchestrator.engine.ports import Found, Lesson
from orchestrator.engine.states import State
from orchestrator.job.windows import Window

MONTH = 30 * 86_400
AMPLE = Limits(unfinished=10, requests_per_second=100.0, downloads=4)


def export_of(n, team="a", seconds=MONTH):
    window = Window(f"w{n}", int(START) - seconds, int(START))
    return replace(make_export(n), coordinates=(("team", team), ("window", f"w{n}")), window=window)


def item_of(export, action=Action.RUN, **more):
    return Item(export.key, export.coordinates, export.path, action, "why", export, **more)


def items(n, **how):
    return [item_of(export_of(k, **how)) for k in range(n)]


def lessons(n, low, high, size=None, since=0.0):
    return [Lesson(size_of((0, MONTH)) if size is None else size, since + k, low, high) for k in range(n)]


def foreseen(plan, records=(), *, limits=AMPLE, polling=None, **known):
    policy = Policy(limits=limits, polling=polling or Polling())
    return forecast(plan, {record.key: record for record in records}, policy=policy, **known)


def stored(export, size, **how):
    """A record of an export whose file has so many bytes."""
    record = record_of(export, **how)
    (part,) = record.parts
    part = replace(part, stored=replace(part.stored, bytes=size), request=export.request)
    return replace(record, parts=(part,), coordinates=dict(export.coordinates))


@pytest.mark.parametrize("action", [Action.SKIP, Action.WAIT, Action.REFUSED, Action.MOVE, Action.NOT_IN_JOB])
def test_what_the_service_would_not_notice_takes_nothing(action):
    assert foreseen([item_of(export_of(0), action)]) is None
    assert foreseen([]) is None


@pytest.mark.parametrize(
    ("state", "posts", "collected"),
    [
        (None, 1, 0),
        (State.WAITING, 1, 0),
        (State.CREATING, 1, 0),
        (State.FAILED, 1, 0),
        (State.GENERATING, 0, 1),
        (State.READY, 0, 1),
        (State.VERIFIED, 0, 1),
    ],
)
def test_what_is_under_way_is_not_created_again(state, posts, collected):
    export = export_of(0)
    records = [record_of(export, state, stored=False, live=1)] if state else []
    found = foreseen([item_of(export)], records)
    assert (found.posts, found.collected) == (posts, collected)
    assert (found.polls.high == 0) == (state is State.VERIFIED)


@pytest.mark.parametrize("state", [State.GENERATING, State.READY, State.CREATING, State.WAITING])
def test_what_is_left_over_is_collected_and_never_created(state):
    record = record_of(export_of(0), state, stored=False, live=1)
    left = Item(record.key, tuple(record.coordinates.items()), record.path, Action.LEFT_OVER, "why", collect=True)
    found = foreseen([left], [record])
    assert (found.posts, found.collected) == (0, 1)


def test_places_set_the_pace_where_requests_are_ample():
    found = foreseen(items(40), lessons=lessons(100, 19.0, 21.0))
    assert found.lessons == 100
    assert found.same_length
    assert 65 < found.seconds.low < 85 < found.seconds.high < 110, "four waves of twenty seconds"
    twice = foreseen(items(80), lessons=lessons(100, 19.0, 21.0))
    assert twice.seconds.low == pytest.approx(2 * found.seconds.low, rel=0.1)


def test_requests_set_the_pace_where_they_are_few():
    few = foreseen(items(40), limits=replace(AMPLE, requests_per_second=0.2), lessons=lessons(100, 0.9, 1.1))
    assert few.seconds.high >= few.seconds.low >= 40 * 2 / 0.2 * 0.9, "a creation and a question each"
    assert few.polls.low < few.polls.high


def test_nothing_learned_is_a_guess_and_a_wide_one():
    guess = foreseen(items(40), polling=Polling(first=20.0))
    known = foreseen(items(40), polling=Polling(first=20.0), lessons=lessons(100, 19.0, 21.0))
    assert guess.lessons == 0
    assert not guess.same_length
    assert guess.seconds.low < known.seconds.low
    assert guess.seconds.high > 2 * known.seconds.high
    assert guess.polls.low < known.polls.low <= known.polls.high < guess.polls.high


def test_ages_at_which_nobody_finishes_don_t_count():
    """The estimate leaves a little probability everywhere, up to five hours."""
    found = foreseen(items(10), polling=Polling(first=0.1), lessons=lessons(12, 0.1, 0.2))
    assert 0.1 < found.seconds.low < found.seconds.high < 0.5


def test_few_lessons_leave_more_open_than_many_of_the_same_kind():
    pattern = [lesson for low in (5.0, 15.0, 40.0) for lesson in lessons(1, low, low + 1)]
    few, many = (foreseen(items(400), lessons=pattern * times).seconds for times in (1, 50))
    assert few.high / few.low > 1.4 * many.high / many.low


def test_the_latest_lessons_count():
    old = lessons(150, 199.0, 201.0)
    found = foreseen(items(40), lessons=[*lessons(150, 19.0, 21.0, since=1000.0), *old])
    assert found.lessons == 150
    assert found.seconds.high < 110


def test_lessons_of_other_windows_tell_less():
    other = lessons(100, 19.0, 21.0, size=size_of((0, 86_400)))
    found = foreseen(items(40), lessons=other)
    same = foreseen(items(40), lessons=lessons(100, 19.0, 21.0))
    assert found.lessons == 100
    assert not found.same_length
    assert found.seconds.high > 1.5 * same.seconds.high
    assert found.seconds.low < same.seconds.low


def test_limits_that_find_themselves_open_the_range_until_they_are_found():
    auto = Limits(unfinished=256, unfinished_start=4, requests_per_second=100.0, requests_start=2.0)
    learned = lessons(100, 19.0, 21.0)
    there = foreseen(items(200), limits=auto, lessons=learned)
    assert there.limits == "open"
    assert there.seconds.high > 800, "four at a time, for ever"
    assert there.seconds.low < 200, "twice as many with each wave"
    found = foreseen(items(200), limits=auto, lessons=learned, found=Found(per_second=50.0, unfinished=20))
    assert found.limits == "found"
    assert 160 < found.seconds.low < 200 < found.seconds.high < 280
    given = foreseen(items(200), limits=replace(AMPLE, unfinished=20), lessons=learned)
    assert given.limits == "given"
    assert given.seconds == found.seconds


def test_what_was_found_never_lifts_the_ceiling_of_the_job():
    found = foreseen(items(40), lessons=lessons(100, 19.0, 21.0), found=Found(unfinished=1000, per_second=1000.0))
    assert found.seconds.low > 65


@pytest.mark.parametrize(
    ("polling", "polls"),
    [(Polling(policy="steady", every=10.0, jitter=0.0), 6.0), (Polling(policy="backoff", first=10.0, every=10.0, jitter=0.0, max=60.0), 4.0)],
)  # fmt: skip
def test_fixed_policies_ask_as_often_as_they_say(polling, polls):
    found = foreseen(items(10), polling=polling, lessons=lessons(150, 56.0, 57.0))
    assert found.polls.low <= 10 * polls <= found.polls.high
    assert found.polls.high < 10 * polls * 1.5
    assert found.requests.low == found.polls.low + 10


def test_exports_of_the_length_that_the_vendor_speaks_of_are_asked_about_as_often_as_it_says():
    found = foreseen(items(10), lessons=lessons(150, 29.0, 31.0))
    assert 10 <= found.polls.low <= found.polls.high < 40


def test_sizes_come_from_the_same_row_by_the_length_of_the_window():
    records = [stored(export_of(n, "a"), 1000 + n) for n in range(8)]
    records += [stored(export_of(n + 10, "b"), 50) for n in range(8)]
    found = foreseen([item_of(export_of(20, "a", 2 * MONTH))], records)
    assert found.files == 16
    assert 2000 < found.bytes.low < found.bytes.high < 2020
    assert foreseen([item_of(export_of(20, "b"))], records).bytes.high == pytest.approx(50)


def test_a_row_that_has_stored_too_little_goes_by_all_rows():
    records = [stored(export_of(n, "a"), 1000) for n in range(6)] + [stored(export_of(9, "b"), 100)]
    assert foreseen([item_of(export_of(20, "b"))], records).bytes.low == pytest.approx(1000)


def test_sizes_of_another_format_don_t_count_to_a_row():
    export = export_of(0, "a")
    xlsx = [stored(replace(export_of(n, "a"), format="xlsx"), 10) for n in range(6)]
    json = [stored(export_of(n + 10, "a"), 1000) for n in range(6)]
    assert foreseen([item_of(export)], [*xlsx, *json]).bytes.low == pytest.approx(1000)


def test_without_a_stored_file_no_size_is_invented():
    partial = stored(export_of(1), 1000, partial=True)
    found = foreseen(items(1), [partial])
    assert found.bytes is None
    assert found.files == 0


def test_downloads_that_took_long_are_reckoned_with():
    slow = [stored(export_of(n), 1000) for n in range(50, 58)]
    slow = [
        replace(record, parts=(replace(record.parts[0], ready_at=START, stored_at=START + 300),)) for record in slow
    ]
    found = foreseen(items(40), slow, lessons=lessons(100, 19.0, 21.0))
    assert found.seconds.low == pytest.approx(40 * 300 / 4)


def test_how_many_more_than_one_question_each_takes_is_chance():
    learned = lessons(150, 19.0, 41.0)
    few, many = (foreseen(items(count), lessons=learned).polls for count in (3, 3000))
    assert few.low / 3 < 0.8 * many.low / 3000
    assert few.high / 3 > 1.2 * many.high / 3000
    assert many.low > 1.2 * 3000
