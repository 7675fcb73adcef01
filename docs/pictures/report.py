"""Makes the pictures of the report that the docs show: `.venv/bin/python docs/pictures/report.py`. Takes some minutes.

Two real runs against the simulated service, 24 exports and 2,016, each with a few of the things that go wrong; their pages
are photographed by Chromium, one in light and one in dark.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import async_playwright

from orchestrator.simulator.scenario import Scenario
from orchestrator.simulator.server import Simulator

SMALLER = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.78);
}"""
"""A picture as WebP, which takes less than half of what PNG takes."""
HERE = Path(__file__).parent
TEAMS = (
    "support", "sales", "billing", "partners", "feedback", "onboarding", "trust", "legal", "returns", "vip", "press", "hr",
)  # fmt: skip
JOB = """
version: 1
name: {name}
api: {{base_url: "{url}", token: "${{LOOP_API_TOKEN}}"}}
request: {{timezone: Europe/Ljubljana}}
matrix:
  window: {{every: month, from: {first}, to: {last}}}
  team: {{{teams}}}
limits: {{unfinished: {unfinished}, requests_per_second: {rate}, downloads: {downloads}}}
polling: {{first: 1s, every: 1s, max: 5s}}
retry: {{base: 0.2s, max: 2s, exports: 2}}
output: {{to: ./out}}
"""


def _begin(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=ZoneInfo("Europe/Ljubljana")).timestamp())


SMALL = {
    "seed": 11,
    "rate_limit": {"per_second": 8, "burst": 8, "retry_after": 3},
    "max_unfinished": 10,
    "pending": 0.6,
    "duration": {"median": 3, "sigma": 0.6},
    "rows": {"min": 500, "max": 9000},
    "download_rate": 900_000,
    "faults": [
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-sales", "nth": 5}},
        {"on": "create", "do": "failed", "match": {"team": "id-billing"}, "times": 9},
        {"on": "create", "do": "reset_after", "match": {"nth": 9}, "times": 1},
        {"on": "download", "do": "truncate", "after": 0.6, "match": {"nth": 3}, "times": 1},
    ],
}
LARGE = {
    "seed": 5,
    "rate_limit": {"per_second": 45, "burst": 45, "retry_after": 6},
    "max_unfinished": 60,
    "duration": {"median": 2.5, "sigma": 0.5},
    "rows": {"min": 20, "max": 400},
    "faults": [
        *(
            {"on": "create", "do": "failed", "match": {"team": "id-legal", "start": _begin(2022, month)}}
            for month in range(3, 9)
        ),
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-hr-2", "start": _begin(2020, 6)}},
        {"on": "create", "do": "status", "code": 400, "match": {"team": "id-hr-2", "start": _begin(2023, 2)}},
        {"on": "create", "do": "failed", "match": {"probability": 0.01}},
    ],
}


async def run(scenario: dict[str, Any], folder: Path, *before: str, **job: Any) -> str:
    """The page of a run; of the second one, if there are options for one `before` it."""
    async with Simulator(Scenario(**scenario)) as sim:
        (folder / "job.yaml").write_text(JOB.format(url=sim.base_url, **job))
        first = [("run", "job.yaml", "--quiet", *before)] if before else []
        for arguments in (*first, ("run", "job.yaml", "--quiet"), ("report", "job.yaml", "--html", "report.html")):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "orchestrator",
                *arguments,
                cwd=folder,
                env={"LOOP_API_TOKEN": "rehearsal", "LANG": "C.UTF-8"},
            )
            await process.wait()
    return (folder / "report.html").as_uri()


async def photograph(url: str, name: str, scheme: Any, height: int) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(color_scheme=scheme, viewport={"width": 1000, "height": 800})
        await page.goto(url)
        clip: Any = {"x": 0, "y": 0, "width": 1000, "height": height}
        picture = base64.b64encode(await page.screenshot(full_page=True, clip=clip)).decode()
        await page.goto("about:blank")
        small = await page.evaluate(SMALLER, f"data:image/png;base64,{picture}")
        (HERE / name).write_bytes(base64.b64decode(small.partition(",")[2]))
        await browser.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        teams = ", ".join(f"{team}: id-{team}" for team in TEAMS[:3])
        url = await run(
            SMALL,
            Path(small),
            name="support-backfill",
            first="2024-01",
            last="2024-08",
            teams=teams,
            unfinished=12,
            rate=10,
            downloads=3,
        )
        await photograph(url, "report-24.webp", "light", 1270)
        teams = ", ".join(f"{team}: id-{team}" for team in (*TEAMS, *(f"{team}-2" for team in TEAMS)))
        url = await run(
            LARGE,
            Path(large),
            "--to",
            "2018-06",
            name="seven-years",
            first="2018-01",
            last="2024-12",
            teams=teams,
            unfinished=70,
            rate=60,
            downloads=8,
        )
        await photograph(url, "report-2000.webp", "dark", 1500)


if __name__ == "__main__":
    asyncio.run(main())
