"""What the vendor's documentation suggests, as a program: POST, GET every second, download whole, `json.loads`.

usage: whole_file_client.py BASE_URL TARGET
The yardstick of `run.py`: it does what most scripts do, and stores the file with its sha256 and row count.
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

import aiohttp

MONTH = {"timezone": "UTC", "start": 1735689600, "end": 1738368000, "resultFormat": "Json"}


async def fetch(base_url: str) -> bytes:
    headers = {"Authorization": "Bearer benchmark"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        async with session.post(f"{base_url}/api/v1/report/export", json=MONTH, headers=headers) as answer:
            report = await answer.json()
        while report["status"] != "Completed":
            await asyncio.sleep(0.3)
            async with session.get(f"{base_url}/api/v1/report/exports/{report['id']}", headers=headers) as answer:
                report = await answer.json()
        async with session.get(report["url"]) as answer:
            return await answer.read()


data = asyncio.run(fetch(sys.argv[1]))
rows = len(json.loads(data))
Path(sys.argv[2]).write_bytes(data)
print(rows, hashlib.sha256(data).hexdigest())
