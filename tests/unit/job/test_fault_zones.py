"""Midnights that are missing or come twice, in every zone there is; and a machine that has no zone data."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from orchestrator.job.periods import Every
from orchestrator.job.windows import window_range, windows, zone, zone_names

ZONES = sorted(zone_names())
JOB = """\
version: 1
name: zones
api: {token: "${LOOP_API_TOKEN}"}
matrix: {window: {every: month, from: 2014-07, to: 2014-09}}
output: {to: ./exports}
"""
WITHOUT_TZDATA = "import sys; sys.modules['tzdata'] = None; from orchestrator.cli.entry import main; main()"


def kind_of_midnight(day, tz):
    """`missing` or `double` by PEP 495, which the code under test does not go by; None for nearly all days."""
    wall = datetime(day.year, day.month, day.day, tzinfo=tz)
    if wall.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != wall.replace(tzinfo=None):
        return "missing"
    return "double" if wall.utcoffset() != wall.replace(fold=1).utcoffset() else None


def tile(names, kind, first, last):
    """Holds the windows of these zones to the calendar; gives how many there were, and how many odd midnights they met."""
    met = {"windows": 0, "missing": 0, "double": 0}
    for name in names:
        tz = zone(name)
        got = list(windows(window_range(Every(kind), first, last), tz, 0))
        for one, following in itertools.pairwise(got):
            assert one.end == following.start, (name, one, following)
        for one in got:
            assert one.start < one.end, (name, one)
            day = date.fromisoformat(f"{one.label}-01" if kind == "month" else one.label)
            # The first instant of the day: its own date, and the second before is still another day's.
            assert datetime.fromtimestamp(one.start, tz).date() == day, (name, one)
            assert datetime.fromtimestamp(one.start - 1, tz).date() < day, (name, one)
            odd = kind_of_midnight(day, tz)
            if odd:
                met[odd] += 1
        met["windows"] += len(got)
    return met


def test_every_zone_tiles_over_456_months():
    met = tile(ZONES, "month", "2000-01", "2037-12")
    assert met["windows"] == len(ZONES) * 456
    assert len(ZONES) > 590
    assert met["missing"] > 20
    assert met["double"] > 5


def test_days_tile_where_clocks_are_odd():
    odd = ["Africa/Cairo", "America/Havana", "Pacific/Apia", "Pacific/Kwajalein", "America/Asuncion", "Asia/Beirut"]
    met = tile(odd, "day", "1990-01-01", "2026-12-31")
    assert met["windows"] == len(odd) * 13_514 - 2  # Apia and Kwajalein each lost a day to the date line
    assert min(met.values()) > 20


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_zone_tiles_over_all_days():
    met = tile(ZONES, "day", "2000-01-01", "2037-12-31")
    assert met["missing"] > 200
    assert met["double"] > 50


def planned(folder, python, **environ):
    (folder / "job.yaml").write_text(JOB)
    return subprocess.run(
        [sys.executable, *python, "plan", "job.yaml", "--json", "--set", "request.timezone=Africa/Cairo"],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_zones_of_the_machine_and_with_wrong_ones_a_plan_is_the_same(tmp_path):
    utc = (tmp_path / "zones" / "Africa" / "Cairo").resolve()
    utc.parent.mkdir(parents=True)
    utc.write_bytes(b"TZif2" + b"\0" * 15 + b"\0" * 24 + b"TZif2" + b"\0" * 15 + b"\0" * 24 + b"\nUTC0\n")
    plans = [
        planned(tmp_path, ("-m", "orchestrator"), PYTHONTZPATH=path) for path in ("", str(tmp_path / "zones"), "/none")
    ]
    assert {done.returncode for done in plans} == {0}, plans[0].stderr
    cells = [[cell["window"] for cell in json.loads(done.stdout)["exports"]] for done in plans]
    assert cells[0] == cells[1] == cells[2]
    assert cells[0][1]["start"] == 1_406_844_000, "00:00 does not exist in Cairo on 2014-08-01"


@pytest.mark.parametrize("command", ["plan", "validate", "run"])
def test_without_the_package_it_fails_before_anything_is_planned_and_says_why(tmp_path, command):
    (tmp_path / "job.yaml").write_text(JOB)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TZDATA, command, "job.yaml", "--json"],
        cwd=tmp_path,
        env={**os.environ, "LOOP_API_TOKEN": "a-token-of-some-length"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (error,) = json.loads(done.stdout)["errors"]
    assert error["code"] == "zones.missing"
    assert "tzdata" in error["message"]
    assert "pip install" in error["hint"]
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["job.yaml"]
