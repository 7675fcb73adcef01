"""The grid of a run that is watched: which mark each export of the plan has at the moment."""

from __future__ import annotations

from rich.text import Text

from orchestrator.engine.events import ExportChanged, RunStarted, Standing, Told
from orchestrator.engine.states import Record, State
from orchestrator.progress.grid import FAILED, IN_FLIGHT, NOT_SETTLED, REFUSED, REPLACE, STORED, TO_RUN, Grid, Mark

FEWEST = 4
"""Exports below which a grid shows nothing that the counts do not."""
READY = Mark("coming", "▾", "v", "bold", 65)
"""Generated, and on its way."""

_BEGUN = {
    State.WAITING: TO_RUN,
    State.CREATING: IN_FLIGHT,
    State.GENERATING: IN_FLIGHT,
    State.READY: READY,
    State.VERIFIED: READY,
    State.STORED: STORED,
    State.FAILED: FAILED,
    State.SUPERSEDED: TO_RUN,
}


class Cells:
    """Observer of a run."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._grid: Grid | None = None
        self._place: dict[str, int] = {}
        self._painted: dict[tuple[int, int, bool], list[Text]] = {}
        """The grid as it was painted last: most looks find it unchanged."""

    @property
    def worth_showing(self) -> bool:
        return self._grid is not None

    def lines(self, width: int, height: int, *, ascii_only: bool) -> list[Text]:
        """The grid, at most so wide and high; empty if it is not worth showing."""
        if self._grid is None:
            return []
        asked = width, height, ascii_only
        if asked not in self._painted:
            self._painted = {asked: self._grid.lines(self.marks, width, height, ascii_only=ascii_only)[:height]}
        return self._painted[asked]

    def tell(self, told: Told) -> None:
        match told:
            case RunStarted():
                self._lay_out(told)
            case ExportChanged(record=record) if record.key in self._place:
                place, mark = self._place[record.key], mark_of(record)
                if self.marks[place] is not mark:
                    self.marks[place] = mark
                    self._painted = {}
            case _:
                pass

    def _lay_out(self, told: RunStarted) -> None:
        axes = tuple(axis for axis, _ in told.exports[0].coordinates) if told.exports else ()
        # What the job no longer names may have had other axes.
        shown = [each for each in told.exports if tuple(axis for axis, _ in each.coordinates) == axes]
        self.marks = [_at_first(each) for each in shown]
        self._place = {each.key: n for n, each in enumerate(shown)}
        self._painted = {}
        self._grid = Grid(each.coordinates for each in shown) if len(shown) >= FEWEST else None


def mark_of(record: Record) -> Mark:
    """Of an export that a run works on."""
    return _BEGUN[record.state]


def _at_first(standing: Standing) -> Mark:
    record = standing.record
    if standing.todo:
        return REPLACE if record is not None and record.stored else TO_RUN if record is None else _again(record)
    if record is not None and record.stored:
        return STORED
    return REFUSED if record is not None and record.state is State.FAILED else NOT_SETTLED


def _again(record: Record) -> Mark:
    return TO_RUN if record.state is State.FAILED else mark_of(record)
