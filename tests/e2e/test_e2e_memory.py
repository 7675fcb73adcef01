"""Memory stays flat, however large a file is."""

import re
import sys

import pytest

MIB = 1024 * 1024
MOST = 120_000_000
# Starts the program and says, after its end, how much memory it had at most: a process's own figure would be its parent's
# too, as it stood at the fork, so the parent is a small one.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run([sys.executable, *sys.argv[1:]]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("size", "encoding"),
    [
        (64, "identity"),
        (64, "gzip"),
        pytest.param(1024, "identity", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_a_large_result_passes_through_in_little_memory(stage, size, encoding):
    row_bytes = 4096
    async with stage(rows=size * MIB // row_bytes, row_bytes=row_bytes, encoding=encoding) as it:
        it.job(months=1)
        ended = await it.run("run", "job.yaml", "--json", python=["-c", MEASURE])
        assert ended.status == 0, str(ended)
        assert ended.json["bytes"] == size * MIB + 1
        peak = int(re.search(r"peak (\d+)", ended.err)[1]) * (1 if sys.platform == "darwin" else 1024)
        assert peak < MOST
        if size <= 64:
            it.check_stored(1)
