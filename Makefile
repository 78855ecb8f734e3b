PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test check format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## make .venv with all that the tests need

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet -e '.[dev]'
	touch $@

demo: install  ## extend the shipped base to four times its length, and show what that did
	$(BIN)/ctxext train -m +method=rope_interp,yarn trainer.steps=30 evaluation.lengths=[128,256,512,1024]

test: install  ## run the whole test suite
	$(BIN)/python -m pytest -n 2

check: install  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install  ## time the kernels against PyTorch's own, side by side in one run
	$(BIN)/python scripts/bench.py

clean:  ## remove .venv, outputs and caches
	rm -rf .venv outputs dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
