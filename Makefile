# Pilotlight for its developers. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The first seed of `make soak`, and how many.
SEEDS ?= 0
SEED_COUNT ?= 10000
.DEFAULT_GOAL := help
.PHONY: help install demo test soak check bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Pilotlight needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: $(VENV)/installed ## make .venv and install the platform in it

demo: install ## watch a function wake, scale with a burst and sleep again; then an order go through a broker
	$(BIN)/pilotlight demo

test: $(VENV)/installed-dev ## install what the tests need and run them all
	tests/support/need.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

soak: $(VENV)/installed-dev ## ten thousand seeds of faults, three times (make soak SEEDS=7 SEED_COUNT=1 plays one again)
	$(BIN)/python -m tests.scenarios.test_event_log $(SEEDS) $(SEED_COUNT)
	$(BIN)/python -m tests.scenarios.test_events $(SEEDS) $(SEED_COUNT)
	$(BIN)/python -m tests.scenarios.test_triggers $(SEEDS) $(SEED_COUNT)

check: $(VENV)/installed-dev ## lint, format and type rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev ## measure against the yardsticks; prints a table, writes benchmarks/results/
	$(BIN)/python -m benchmarks

clean: ## remove what the targets above made
	rm -rf $(VENV) build *.egg-info benchmarks/results
