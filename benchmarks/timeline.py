"""The picture of a run: a bar for each export, in the order of creation, coloured by what it was waiting for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from benchmarks.service import Life
from benchmarks.svg import Chart

STAGES = ("in the queue", "made by the service", "finished, not noticed yet", "transfer")
_ROOM = 600


def timeline(title: str, lives: Sequence[Life]) -> Chart:
    """The four stages of each export, against seconds since the first request to create one."""
    thickness = max(0.8, min(8.0, _ROOM / len(lives)))
    height = int(thickness * len(lives)) + 110
    end = max(life.fetched for life in lives)
    chart = Chart(title, "seconds", "export", right=end, top=len(lives), size=(860, height), downwards=True)
    for n, life in enumerate(lives):
        edges = (0.0, life.posted, life.finished, life.noticed, life.fetched)
        for colour, (left, right) in enumerate(itertools.pairwise(edges)):
            chart.bar(left, right, n + 0.5, thickness * 0.9, colour)
    chart.legend(list(enumerate(STAGES)))
    return chart
