"""Windows: labels, ends, and the promise that they tile in every zone."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.job.misfit import Misfit, Misfits
from orchestrator.job.periods import KINDS, Every, span
from orchestrator.job.windows import midnight, window, window_range, windows, zone, zone_names

UTC_ZONE = zone("UTC")
NOW = datetime(2024, 3, 15, 12, tzinfo=UTC).timestamp()


def epoch(text):
    return int(datetime.fromisoformat(text).timestamp())


def labels(every, first=None, last=None, now=NOW, tz=UTC_ZONE, **more):
    kind = every if isinstance(every, Every) else Every(every)
    return [w.label for w in windows(window_range(kind, first, last, **more), tz, now)]


@pytest.mark.parametrize(
    ("every", "first", "last", "expected"),
    [
        ("month", "2023-11", "2024-01", ["2023-11", "2023-12", "2024-01"]),
        ("week", "2020-W52", "2021-W01", ["2020-W52", "2020-W53", "2021-W01"]),
        ("quarter", "2023-Q4", "2024-Q1", ["2023-Q4", "2024-Q1"]),
        ("year", "2023", "2024", ["2023", "2024"]),
        ("day", "2024-02-28", "2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (
            Every("days", 10),
            "2024-01-15",
            "2024-01-25..2024-02-03",
            ["2024-01-15..2024-01-24", "2024-01-25..2024-02-03"],
        ),
        (Every("days", 10), "2024-01-15..2024-01-24", "2024-01-24", ["2024-01-15..2024-01-24"]),
        ("month", "2024-01-01", "2024-02-29", ["2024-01", "2024-02"]),
        ("week", "2024-01-29", "2024-02-04", ["2024-W05"]),
    ],
)
def test_both_ends_are_included_as_labels_or_dates_on_boundaries(every, first, last, expected):
    assert labels(every, first, last) == expected


@pytest.mark.parametrize(
    ("every", "key", "text", "two"),
    [
        ("month", "from", "2024-01-15", ["2024-01 (2024-01-01)", "2024-02 (2024-02-01)"]),
        ("month", "to", "2024-01-15", ["2023-12 (2023-12-31)", "2024-01 (2024-01-31)"]),
        ("month", "to", "2024-02-01", ["2024-01 (2024-01-31)", "2024-02 (2024-02-29)"]),
        ("month", "from", "2024-13", ["2024-12", "2025-01"]),
        ("month", "to", "2024-13", ["2024-12", "2025-01"]),
        ("month", "from", "2024-00", ["2023-12", "2024-01"]),
        ("month", "to", "2024-00", ["2023-12", "2024-01"]),
        ("day", "from", "2024-02-30", ["2024-02-29", "2024-03-01"]),
        ("week", "from", "2024-01-31", ["2024-W05", "2024-W06"]),
        ("week", "from", "2021-W53", ["2021-W52", "2022-W01"]),
        ("quarter", "from", "2024-02", ["2024-Q1", "2024-Q2"]),
        ("month", "from", "2024", ["2024-01", "2024-02"]),
        ("year", "from", "2024-05-01", ["2024 (2024-01-01)", "2025 (2025-01-01)"]),
    ],
)
def test_an_end_off_the_boundary_names_the_two_nearest(every, key, text, two):
    ends = {"from": Every(every).label(Every(every).floor(date(2020, 6, 1))), "to": None} | {key: text}
    with pytest.raises(Misfits) as caught:
        window_range(Every(every), ends["from"], ends["to"])
    (misfit,) = caught.value.all
    assert misfit.at == (key,)
    for name in two:
        assert name in misfit.message


@pytest.mark.parametrize("every", KINDS)
@pytest.mark.parametrize("key", ["from", "to"])
@pytest.mark.parametrize(
    "text",
    ["9999-12", "9999-Q4", "9999-W52", "9999", "9999-12-31", "9999-13", "9999-Q5", "9999-W53", "9999-12-32", "0001-00"],
)
def test_an_end_where_the_calendar_ends_is_told_what_is_allowed(every, key, text):
    ends = {"from": Every(every).label(Every(every).floor(date(2020, 6, 1))), "to": None} | {key: text}
    with pytest.raises(Misfits) as caught:
        window_range(Every(every), ends["from"], ends["to"])
    (misfit,) = caught.value.all
    assert misfit.at == (key,)
    assert "between 1970 and 9900" in misfit.message


@pytest.mark.parametrize(
    ("label", "first"),
    [("9999-12", date(9999, 12, 1)), ("9999-Q4", date(9999, 10, 1)), ("9999-W52", date(9999, 12, 27))],
)
def test_the_calendar_s_last_labels_name_days_as_the_others_do(label, first):
    found = span(label)
    assert found is not None
    assert (found.first, found.last) == (first, date.max)


@pytest.mark.parametrize(
    ("every", "text", "hint"),
    [
        ("day", "2024-1-5", "write 2024-01-05"),
        ("day", "2024/01/05", "write 2024-01-05"),
        ("day", "20240105", "write 2024-01-05"),
        ("day", "5.1.2024", "write 2024-01-05"),
        ("day", "2024-01-05T00:00:00Z", "write 2024-01-05"),
        ("month", "2024-1", "write 2024-01"),
        ("month", "2024-1-1", "write 2024-01-01"),
        ("week", "2024-w5", "write 2024-W05"),
        ("quarter", "Q1 2024", "write 2024-Q1"),
        ("quarter", "2024q1", "write 2024-Q1"),
        ("day", "01/02/2024", "write it as 2024-01-15"),
        ("day", "2024-13-5", None),
    ],
)
def test_an_end_written_in_another_way_is_understood(every, text, hint):
    with pytest.raises(Misfits) as caught:
        window_range(Every(every), text, None)
    (misfit,) = caught.value.all
    assert misfit.hint == hint


def test_what_was_meant_but_is_no_boundary_names_its_two_nearest():
    with pytest.raises(Misfits, match=r"nearest are 2024-01 \(2024-01-01\) and 2024-02"):
        window_range(Every("month"), "2024-1-5", None)


@pytest.mark.parametrize(("text", "hint"), [("2024-1-5", "write 2024-01-05"), ("soon", "write it like that")])
def test_periods_of_days_begin_on_any_day(text, hint):
    with pytest.raises(Misfits, match="such as 2024-01-15") as caught:
        window_range(Every("days", 10), text, None)
    assert caught.value.all[0].hint == hint


@pytest.mark.parametrize(
    "text", ["Jan 2024", "2024-1", "", "24", "२०२४", "0000", "9999-01", "1969-12", "2024-01-01T00:00"]
)
def test_what_is_no_label_is_refused(text):
    with pytest.raises(Misfits):
        window_range(Every("month"), text, None)


def test_both_ends_are_told_at_once_and_to_before_from_is_refused():
    with pytest.raises(Misfits) as caught:
        window_range(Every("month"), "2024-01-15", "x")
    assert [m.at for m in caught.value.all] == [("from",), ("to",)]
    with pytest.raises(Misfits, match="before `from`"):
        window_range(Every("month"), "2024-02", "2024-01")


def test_from_is_required_unless_last_which_stands_alone():
    with pytest.raises(Misfit, match="`from` is missing"):
        window_range(Every("month"), None, None)
    with pytest.raises(Misfit, match="alone"):
        window_range(Every("month"), "2024-01", None, count=2)


def test_days_refuse_a_label_of_another_length_and_an_end_off_the_grid():
    with pytest.raises(Misfits, match="10 days"):
        window_range(Every("days", 10), "2024-01-15..2024-01-20", None)
    with pytest.raises(Misfits) as caught:
        window_range(Every("days", 10), "2024-01-15", "2024-01-20")
    assert "2024-01-05..2024-01-14" in caught.value.all[0].message


def test_without_to_the_last_closed_window_ends_the_range():
    assert labels("month", "2024-01") == ["2024-01", "2024-02"]
    assert labels("month", "2024-01", include_current=True) == ["2024-01", "2024-02", "2024-03"]
    assert labels("month", "2024-03") == ["2024-03"]
    assert labels("month", "2025-01") == ["2025-01"]


def test_last_counts_closed_windows():
    assert labels("month", count=2) == ["2024-01", "2024-02"]
    assert labels("month", count=1, include_current=True) == ["2024-02", "2024-03"]
    assert labels(Every("days", 7), count=1) == labels(Every("days", 7), count=1, now=NOW + 60)
    edge = epoch("2024-04-01T00:00:00+00:00")
    assert labels("month", count=1, now=edge - 1) == ["2024-02"]
    assert labels("month", count=1, now=edge) == ["2024-03"]


def test_last_that_reaches_before_the_epoch_is_refused():
    with pytest.raises(Misfit, match="1970"):
        labels("year", count=100)


def test_a_window_knows_where_it_stands():
    (one,) = windows(window_range(Every("month"), "2024-03", "2024-03"), UTC_ZONE, NOW)
    assert (one.start, one.end) == (epoch("2024-03-01T00:00:00+00:00"), epoch("2024-04-01T00:00:00+00:00"))
    assert [one.state(t) for t in (one.start - 1, one.start, one.end - 1, one.end)] == [
        "future",
        "open",
        "open",
        "closed",
    ]


@pytest.mark.parametrize(
    ("name", "day", "instant"),
    [
        ("Europe/Ljubljana", date(2024, 4, 1), "2024-03-31T22:00:00+00:00"),
        ("Africa/Cairo", date(2014, 8, 1), "2014-07-31T22:00:00+00:00"),  # 00:00 is skipped: begins at 01:00
        ("America/Havana", date(2015, 11, 1), "2015-11-01T04:00:00+00:00"),  # 00:00 comes twice: the first
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00+00:00"),  # jumps from 23:30 to 00:30
        ("America/Scoresbysund", date(2024, 3, 31), "2024-03-31T01:00:00+00:00"),
    ],
)
def test_local_midnights(name, day, instant):
    assert midnight(day, zone(name)) == epoch(instant)


def test_a_day_that_never_was_is_no_window():
    apia = zone("Pacific/Apia")
    got = list(windows(window_range(Every("day"), "2011-12-29", "2011-12-31"), apia, NOW))
    assert [w.label for w in got] == ["2011-12-29", "2011-12-31"]
    assert got[0].end == got[1].start
    with pytest.raises(Misfit, match="never was"):
        window(Every("day"), "2011-12-30", apia)


def test_last_steps_over_a_day_that_never_was():
    now = epoch("2011-12-31T10:00:00+00:00")  # local midnight after the 31st
    assert labels("day", count=2, now=now, tz=zone("Pacific/Apia")) == ["2011-12-29", "2011-12-31"]


def test_an_unknown_zone_has_a_hint():
    with pytest.raises(Misfit) as caught:
        zone("europe/lubljana")
    assert caught.value.hint == "did you mean `Europe/Ljubljana`?"
    with pytest.raises(Misfit):
        zone("../../etc/passwd")


@st.composite
def ranges(draw):
    kind = draw(st.sampled_from([*KINDS, "days"]))
    first = draw(st.dates(date(1971, 1, 1), date(2090, 1, 1)))
    every = Every("days", draw(st.integers(1, 100)), first) if kind == "days" else Every(kind)
    first = every.floor(first)
    last = first
    for _ in range(draw(st.integers(0, 40))):
        last = every.following(last)
    return every, first, last


@given(ranges(), st.sampled_from(sorted(zone_names())))
def test_windows_tile_and_labels_round_trip(one, name):
    every, first, last = one
    tz = zone(name)
    got = list(windows(window_range(every, every.label(first), every.label(last)), tz, NOW))
    assert all(w.start < w.end for w in got)
    assert all(a.end == b.start for a, b in itertools.pairwise(got))
    if got:
        assert got[0].start == midnight(first, tz)
        assert got[-1].end == midnight(every.following(last), tz)
    for w in got:
        named = span(w.label)
        assert every.label(named.first) == w.label
        assert every.begin(w.label) == named.first
        assert every.end(w.label) == named.first
        assert every.last_day(named.first) == named.last
        assert window(every, w.label, tz) == w


def test_ten_thousand_days():
    got = labels("day", "1990-01-01", (date(1990, 1, 1) + timedelta(9_999)).isoformat())
    assert len(got) == 10_000
