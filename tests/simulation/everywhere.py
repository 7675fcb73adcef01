"""Whether a seed is the same run in every process: what a piece of code prints under several hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HASH_SEEDS = ("0", "1", "4711")


def printed(code: str) -> set[str]:
    """The different things that `code`, run beside the simulation's modules in a process for each hash seed, prints."""
    return {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in HASH_SEEDS
    }
