"""The same job as the vendor's documentation suggests: create, wait 10 s, ask every 10 s, download with `requests`.

usage: vendor_loop.py BASE_URL STARTS THREADS

STARTS is a file with the first second of each window, a day long, one a line. With one thread the exports are made one
after the other; with more, each thread of a pool sees one export through after another. Files are stored as they come.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

DAY = 86_400
PAUSE = 10.0
HEADERS = {"Authorization": "Bearer benchmark"}


def export(base_url: str, start: int) -> None:
    body: dict[str, str | int] = {"timezone": "UTC", "start": start, "end": start + DAY, "resultFormat": "Json"}
    answer = requests.post(f"{base_url}/api/v1/report/export", json=body, headers=HEADERS, timeout=60)
    answer.raise_for_status()
    report = answer.json()
    while report["status"] != "Completed":
        time.sleep(PAUSE)
        url = f"{base_url}/api/v1/report/exports/{report['id']}"
        answer = requests.get(url, headers=HEADERS, timeout=60)
        answer.raise_for_status()
        report = answer.json()
    file = requests.get(report["url"], timeout=60)
    file.raise_for_status()
    Path(f"{start}.json").write_bytes(file.content)


def main() -> None:
    base_url, starts = sys.argv[1], Path(sys.argv[2]).read_text(encoding="ascii").split()
    with ThreadPoolExecutor(int(sys.argv[3])) as pool:
        for _ in pool.map(lambda start: export(base_url, int(start)), starts):
            pass


main()
