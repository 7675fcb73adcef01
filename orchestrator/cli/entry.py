"""The first lines of the program: the platform and the signals, before anything else is imported.

A pipeline may be cancelled in the first tenth of a second; loading the command line takes as long as that.
"""

from __future__ import annotations

import gc
import json
import sys
from typing import NoReturn

PLATFORMS = ("linux", "darwin")
PARKING = frozenset({"run", "submit", "collect", "demo"})
"""Commands that a signal parks; any other it just ends."""
GARBAGE = 10_000
"""New objects after which Python looks for rings of those that nobody else holds. A run makes tens of thousands that live and
hardly any rings, so to look after each 700, as Python does by itself, took a twentieth of the processor's time.
"""


def main() -> NoReturn:
    """The console script. Ends the process with a status of `exits`."""
    if not sys.platform.startswith(PLATFORMS):
        _refuse_platform()
    gc.set_threshold(GARBAGE)
    try:
        from orchestrator.cli.signals import SIGNALS

        if PARKING.intersection(sys.argv[1:2]):
            SIGNALS.install()
        from orchestrator.cli import last_words
        from orchestrator.cli.main import run_program

        last_words.install()
        status = run_program(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _refuse_platform() -> NoReturn:
    message = f"orchestrator runs on Linux and macOS, not on {sys.platform}"
    hint = "On Windows use WSL."
    sys.stderr.write(f"error: {message} [platform]\n  hint: {hint}\n")
    if "--json" in sys.argv:
        error = {"code": "platform", "message": message, "hint": hint}
        sys.stdout.write(json.dumps({"schema": "orchestrator.error/1", "errors": [error]}) + "\n")
    sys.exit(2)
