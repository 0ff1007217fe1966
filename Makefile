# Every target installs what it needs into .venv first; this is a no-op when nothing has changed.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/quick.yaml

.DEFAULT_GOAL := help
.PHONY: help install league app test test-slow test-cluster check format bench examples clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Install everything into .venv with the versions in poetry.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and was not found: install one, or run make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) scripts/bootstrap.py

league: install ## Train a league for five minutes, rank it, export the best (CONFIG=configs/quick.yaml)
	@run=runs/$(basename $(notdir $(CONFIG)))-$$(date +%Y%m%d-%H%M%S) && \
	$(BIN)/connectfour train --config $(CONFIG) --run-dir $$run && \
	$(BIN)/connectfour rank $$run && \
	$(BIN)/connectfour export-onnx $$run --output $$run/model.onnx

app: install ## Play against the newest run in the browser
	@$(BIN)/connectfour app

test: install ## Run the tests
	@$(BIN)/python -m pytest -m "not slow and not cluster" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: install ## Run the tests that take more than some seconds: whole runs, lost processes, populations
	@$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --timeout=900

test-cluster: install ## Run the tests that start Ray nodes, servers or installations of their own
	@$(BIN)/python -m pytest -m cluster

check: install ## Check lint, types, dependencies and architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/deptry --no-ansi connectfour heuristics callbacks
	@$(BIN)/deptry --no-ansi --ignore DEP002,DEP004 tests benchmarks examples scripts
	@$(BIN)/python -m pytest -q tests/test_architecture.py

format: install ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install ## Measure speed
	@$(BIN)/python -m benchmarks.game_core
	@$(BIN)/python -m benchmarks.ranking
	@$(BIN)/python -m benchmarks.inference
	@$(BIN)/python -m benchmarks.replay
	@$(BIN)/python -m benchmarks.overlap
	@$(BIN)/python -m benchmarks.speed
	@$(BIN)/python -m benchmarks.games

examples: install ## Run the examples: a maze, and CartPole with Ape-X
	@mkdir -p runs
	@$(BIN)/python examples/maze.py --gif runs/maze.gif
	@$(BIN)/python examples/apex_cartpole.py --output runs/cartpole.png

clean: ## Remove .venv and caches; keep runs
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dist
