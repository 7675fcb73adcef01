"""A row on the edge of two windows is in exactly one file, whichever way the service counts its ends."""

from __future__ import annotations

import pytest

from orchestrator.job.expand import expand

NOW = 2_000_000_000.0
EVERY = {
    "day": ("2023-03-20", "2023-03-31"),
    "week": ("2023-W10", "2023-W15"),
    "month": ("2023-01", "2023-12"),
    "quarter": ("2023-Q1", "2024-Q4"),
    "year": ("2020", "2024"),
    "{days: 10}": ("2023-03-20", "2023-04-08"),
}


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Ljubljana", "America/Havana", "Asia/Kathmandu"])
@pytest.mark.parametrize("end", ["exclusive", "inclusive"])
def test_each_row_on_or_beside_an_edge_is_in_exactly_one_export(job, every, zone, end):
    first, last = EVERY[every]
    asked = expand(
        job(
            f"request: {{timezone: {zone}, end: {end}}}\n"
            f"matrix: {{window: {{every: {every}, from: '{first}', to: '{last}'}}}}\n"
        ),
        NOW,
    )
    exports = list(asked)
    edges = {export.window.start for export in exports} | {exports[-1].window.end}
    rows = sorted({edge + beside for edge in edges for beside in (-1, 0, 1)})

    def held(row, export):
        """As the service holds it, by its own idea of `end`."""
        return export.start <= row <= export.end if end == "inclusive" else export.start <= row < export.end

    for row in rows:
        inside = exports[0].window.start <= row < exports[-1].window.end
        assert sum(held(row, export) for export in exports) == inside
