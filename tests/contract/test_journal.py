"""Every journal keeps the promises of `ports.Journal`."""

import asyncio
from collections.abc import Callable

import pytest

from orchestrator.engine.ports import Journal
from orchestrator.engine.states import Adopted, Created, Failed, File, IllegalMove, Intended, Planned, State, Unanswered
from orchestrator.errors import LeaseLostError
from orchestrator.journal.memory import Disk, MemoryJournal
from orchestrator.journal.sqlite import SqliteJournal


class FixedClock:
    def now(self):
        return 1_700_000_000.25


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path) -> Callable[[], Journal]:
    """Each call gives another process's view of the same place."""
    disk = Disk()
    return (lambda: MemoryJournal(disk)) if request.param == "memory" else lambda: SqliteJournal(tmp_path, FixedClock())


def planned(key="k1-a", **changes):
    values = {
        "coordinates": {"team": "podpora 💌", "window": "2024-01"},
        "path": "podpora/2024-01.json",
        "impersonate": None,
        "window": (1704067200, 1706745600),
        "requests": ({"timezone": "UTC", "start": 1704067200, "end": 1706745600, "teamIds": ["x"]},),
    }
    return Planned(key=key, at=1.5, **{**values, **changes})


async def reopened(journal, make):
    await journal.close()
    again = make()
    snapshot = await again.open()
    await again.close()
    return snapshot


async def test_a_new_journal_knows_nothing(make):
    journal = make()
    snapshot = await journal.open()
    assert dict(snapshot.records) == {}
    assert snapshot.last_run is None
    await journal.close()


async def test_what_was_appended_is_there_again(make):
    journal = make()
    await journal.open()
    file = File("r-2", 12, "ab" * 32, 3, 4.0, partial=True, path="podpora/2024-01.json")
    await journal.append([planned(), planned("k1-b"), Intended("k1-a", 2.0, n=1)])
    await journal.append([Created("k1-a", 3.0, n=1, report_id="r-1")])
    await journal.append([Adopted("k1-b", 5.0, file=file)])
    records = (await reopened(journal, make)).records
    assert list(records) == ["k1-a", "k1-b"]
    assert records["k1-a"].state is State.GENERATING
    assert records["k1-a"].parts[0].reports[0].id == "r-1"
    assert records["k1-a"].coordinates == {"team": "podpora 💌", "window": "2024-01"}
    assert list(records["k1-a"].coordinates) == ["team", "window"]
    assert records["k1-a"].window == (1704067200, 1706745600)
    assert records["k1-b"].stored == (file,)


async def test_a_label_that_is_no_unicode_survives(make):
    journal = make()
    await journal.open()
    await journal.append([planned(coordinates={"team": "caf\udce9"})])
    assert (await reopened(journal, make)).records["k1-a"].coordinates == {"team": "caf\udce9"}


async def test_an_illegal_move_writes_nothing_of_its_caller(make):
    journal = make()
    await journal.open()
    await journal.append([planned()])
    with pytest.raises(IllegalMove):
        await journal.append([Intended("k1-a", 2.0, n=1), planned("k1-b"), Created("k1-b", 3.0, n=1, report_id="r")])
    records = (await reopened(journal, make)).records
    assert records["k1-a"].state is State.WAITING
    assert "k1-b" not in records


async def test_an_illegal_move_fails_its_caller_alone(make):
    journal = make()
    await journal.open()
    await journal.append([planned(f"k1-{n}") for n in range(20)])
    events = [Intended(f"k1-{n}", 2.0, n=1) if n % 5 else Unanswered(f"k1-{n}", 2.0, n=1) for n in range(20)]
    answers = await asyncio.gather(*(journal.append([event]) for event in events), return_exceptions=True)
    assert [isinstance(answer, IllegalMove) for answer in answers] == [n % 5 == 0 for n in range(20)]
    records = (await reopened(journal, make)).records
    assert [records[f"k1-{n}"].state is State.CREATING for n in range(20)] == [n % 5 != 0 for n in range(20)]


async def test_callers_of_one_export_see_each_others_events(make):
    journal = make()
    await journal.open()
    await journal.append([planned()])
    intents = (journal.append([Intended("k1-a", 2.0, n=1)]) for _ in range(5))
    answers = await asyncio.gather(*intents, return_exceptions=True)
    assert [answer for answer in answers if answer is None] == [None]
    assert sum(isinstance(answer, IllegalMove) for answer in answers) == 4
    await journal.close()


async def test_a_cancelled_caller_finds_all_or_nothing(make):
    journal = make()
    await journal.open()
    await journal.append([planned()])
    task = asyncio.create_task(journal.append([Intended("k1-a", 2.0, n=1), Created("k1-a", 3.0, n=1, report_id="r")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.append([planned("k1-b")])
    records = (await reopened(journal, make)).records
    assert records["k1-a"].state in (State.WAITING, State.GENERATING)
    assert "k1-b" in records


async def test_nothing_to_append_is_no_error(make):
    journal = make()
    await journal.open()
    await journal.append([])
    await journal.close()


async def test_the_last_run_is_kept(make):
    journal = make()
    await journal.open()
    for n in range(25):
        await journal.finish_run({"schema": "orchestrator.run/1", "run_id": str(n), "counts": {"stored": n}})
    assert (await reopened(journal, make)).last_run == {
        "schema": "orchestrator.run/1",
        "run_id": "24",
        "counts": {"stored": 24},
    }


async def test_who_opens_it_takes_it_over(make):
    first, second = make(), make()
    await first.open()
    await first.append([planned()])
    snapshot = await second.open()
    assert list(snapshot.records) == ["k1-a"]
    for _ in range(2):
        with pytest.raises(LeaseLostError) as raised:
            await first.append([Failed("k1-a", 9.0, code="x", message="y")])
        assert "another run" in raised.value.message
    with pytest.raises(LeaseLostError):
        await first.finish_run({"run_id": "1"})
    await second.append([Intended("k1-a", 2.0, n=1)])
    await first.close()
    assert (await reopened(second, make)).records["k1-a"].state is State.CREATING


async def test_a_journal_that_was_not_closed_goes_on(make):
    journal = make()
    await journal.open()
    await journal.append([planned()])
    again = make()
    assert list((await again.open()).records) == ["k1-a"]
    await again.append([Intended("k1-a", 2.0, n=1)])
    await again.close()
    await journal.close()


async def test_no_call_may_follow_close(make):
    journal = make()
    await journal.open()
    await journal.close()
    with pytest.raises(RuntimeError):
        await journal.append([planned()])
