# Each target makes what it needs: a virtual environment in .venv with exactly the versions of uv.lock.
# Needed beforehand: Python 3.11 or newer with pip, and make. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
# The tests start the program a thousand times: compiled once, it starts in a fraction of the time.
export UV_COMPILE_BYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check docs bench format clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 20

$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("orchestrator needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync --quiet --locked --extra dev --inexact
	@touch $@

demo: $(READY) ## A whole backfill against a simulated service; no account needed
	@$(BIN)/orchestrator demo

test: $(READY) ## All tests that a pull request needs (a few minutes on two cores)
	@$(BIN)/pytest -n 2 -m "not long"

test-long: $(READY) ## The same with large figures: all zones and months, 1 GB files, much fuzzing
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/pytest -n 2 --timeout 1800

check: $(READY) ## Linters, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(READY) ## Build the documentation site into site/
	@$(BIN)/uv sync --quiet --locked --extra docs --inexact
	@$(BIN)/zensical build --strict --clean

bench: $(READY) ## Measure, and write benchmarks/RESULTS.md (15 minutes; two hours with ARGS="--full --rounds 3")
	@$(BIN)/python -m benchmarks.run $(ARGS)

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

clean: ## Remove everything that the targets above have made
	rm -rf $(VENV) benchmarks/.venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .cache demo dist site
