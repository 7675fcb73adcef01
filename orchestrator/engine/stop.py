"""Why a run stops before its work is done, and what its report says of that.

Whoever finds a reason parks the run; the loop sees that and winds up. The first reason counts; of errors, the one that the
contract ranks first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.engine.events import Parking
from orchestrator.engine.health import Health
from orchestrator.engine.ports import Clock, Observer
from orchestrator.errors import (
    JournalError,
    LeaseLostError,
    OrchestratorError,
    RefusedError,
    StorageError,
    UnreachableError,
)

if TYPE_CHECKING:
    from orchestrator.engine.result import Outcome

_OUTCOMES: tuple[tuple[type[OrchestratorError], Outcome], ...] = (
    (RefusedError, "refused"),
    (StorageError, "storage"),
    (JournalError, "storage"),
    (LeaseLostError, "storage"),
    (UnreachableError, "unreachable"),
)
"""What ends a run early, in the contract's order: the first is told when there are several."""


class Stop:
    def __init__(self, clock: Clock, observer: Observer, wake: Callable[[], None]) -> None:
        """`wake` has the loop look at it."""
        self._clock = clock
        self._observer = observer
        self._wake = wake
        self.reason: str | None = None
        """Why the run parks, for people; None while it does not."""
        self.until: float | None = None
        """Before when the next run would park again, seconds since the epoch."""
        self.on_time = False
        """The run parks because of the deadline: it has reckoned with the seconds that its end takes."""
        self.at_first_failure = False
        """It parks because an export failed, as it was asked to."""
        self.error: OrchestratorError | None = None
        self.bug: BaseException | None = None
        """An error of this program."""
        self.leased = True
        """No other run has taken the journal, and with it the manifest."""

    @property
    def is_asked(self) -> bool:
        """Nothing new is begun any more."""
        return self.reason is not None

    def park(self, reason: str, *, until: float | None = None) -> None:
        """Starts nothing new. `until` is the end of a pause that the next run would park for."""
        if until is not None:
            self.until = max(until, self.until or 0.0)
        if self.reason is None:
            self.reason = reason
            self._observer.tell(Parking(self._clock.now(), reason))
            self._wake()

    def halt(self, error: OrchestratorError) -> None:
        """Parks because of `error`."""
        self.leased = self.leased and not isinstance(error, LeaseLostError)
        if self.error is None or _rank(error) < _rank(self.error):
            self.error = error
        self.park(error.message)

    @contextmanager
    def taking_blame(self) -> Iterator[None]:
        """What goes wrong in here ends the run in order, and takes down nothing that is under way."""
        try:
            yield
        except OrchestratorError as error:
            self.halt(error)
        except Exception as bug:  # noqa: BLE001  whatever it is, it is told in the end
            self.bug = self.bug or bug
            self.park("an error of this program")

    def told(self, service: Health) -> str | None:
        """The reason; and if the service was silent meanwhile, that too, for the next run may meet the same."""
        if self.reason is None or self.error is not None or not service.down:
            return self.reason
        return f"{self.reason}; the service has not given a usable answer: {service.detail}"

    def outcome(self, counts: Mapping[str, int], *, only_submits: bool) -> Outcome:
        """What the report says of a run with these counts of exports. `only_submits`: it was not to bring any home."""
        if self.bug is not None:
            return "bug"
        if self.error is not None:
            return next(outcome for kind, outcome in _OUTCOMES if isinstance(self.error, kind))
        left = counts["pending"] and not self.at_first_failure
        if left and (self.is_asked or not only_submits):
            return "parked"
        return "failed" if counts["failed"] else "succeeded"


def _rank(error: OrchestratorError) -> int:
    return next(n for n, (kind, _) in enumerate(_OUTCOMES) if isinstance(error, kind))
