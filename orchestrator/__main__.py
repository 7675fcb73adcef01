"""`python -m orchestrator` is the same as `orchestrator`."""

from orchestrator.cli.entry import main

main()
