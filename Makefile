# make demo trains three models and compares them; make test runs the tests. Both set up .venv first, once.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin

.PHONY: env demo test test-slow test-all lint

env: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -m venv .venv || { echo "error: $(PYTHON) needs the venv module (on Debian: apt install python3-venv)"; exit 2; }
	@echo "installing into .venv (once; torch is large)"
	@"$(BIN)/pip" install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/dev: .venv/ready
	@"$(BIN)/pip" install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: .venv/ready
	@PATH="$(BIN):$$PATH" runs/demo.sh

test: .venv/dev
	@"$(BIN)/python" -m pytest -q -m "not slow"

test-slow: .venv/dev
	@"$(BIN)/python" -m pytest -q -m slow

test-all: test test-slow

lint: .venv/dev
	@"$(BIN)/ruff" check .
