"""How long the rest of a run may take: from what is learned, and corrected by what is seen. Pure.

A run is a line of three stations, and the narrowest one sets its pace: places among the unfinished exports, each taken for as long as
an export takes; requests a second, of which each export needs one creation and its polls; and downloads. While exports wait to
be created that pace counts; in the end it is how long the last ones take. What the run has done lately outweighs
the reckoning as soon as there is enough of it, for it knows what no reckoning does: other runs, refusals, an odd hour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

BELIEVED = 20
"""Exports that must have finished lately for the run's own pace to count in full."""
_LEAST = 0.25
"""What is left of an export that takes longer than it should, as a share of what it should have taken."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What a run has still to do, and what is known of how it goes. Durations are seconds."""

    waiting: int
    """Exports that are still to be created."""
    ages: Sequence[float]
    """Of the exports that are at work on the service."""
    coming: int
    """Generated, and not yet stored."""
    places: int
    per_second: float
    downloads: int
    seconds: float
    """An export takes so long on the service, on average."""
    longest: float
    """95 % of them take no longer."""
    requests: float
    """Requests that an export needs."""
    fetching: float
    """A download takes so long, on average."""
    finished: int = 0
    """Exports that were finished lately."""
    pace: float = 0.0
    """Of these, in a second."""


def remaining(rest: Rest) -> float:
    """Seconds until everything is stored."""
    reckoned = min(rest.places / max(rest.seconds, 1e-3), rest.per_second / rest.requests)
    believed = min(1.0, rest.finished / BELIEVED) if rest.pace else 0.0
    pace = math.pow(reckoned, 1 - believed) * math.pow(rest.pace or 1.0, believed)
    creating = rest.waiting / pace
    fetching = (rest.waiting + len(rest.ages) + rest.coming) * rest.fetching / rest.downloads
    return max(creating + _last(rest), fetching) + (rest.fetching if rest.waiting or rest.ages else 0.0)


def _last(rest: Rest) -> float:
    """How long those take that finish last: of many, one will be slow."""
    many = min(len(rest.ages) + rest.waiting, rest.places)
    if not many:
        return 0.0
    slow = rest.seconds + (max(rest.longest, rest.seconds) - rest.seconds) * min(1.0, math.log2(many) / 4)
    if rest.waiting:
        return slow
    return max(slow - min(rest.ages), _LEAST * rest.seconds)
