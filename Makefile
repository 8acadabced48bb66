# `make demo` and `make test` set up what they need; there is no other installation step.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test lint lab bench clean

demo: $(VENV)/.installed
	@$(BIN)/magicoder-kit run offline

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_repository.py

lab: $(VENV)/.installed-lab
	$(BIN)/jupyter lab notebooks/01_snippet_sampling.ipynb

bench: $(VENV)/.installed
	for script in benchmarks/*.py; do $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing; on Debian or Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

# torch first and alone: where the index offers a CPU build of the pinned version, this takes it.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing the kit into $(VENV) (a few minutes, once)"
	@$(PIP) install -q -c constraints.txt torch
	@$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.installed-lab: $(VENV)/.installed
	@$(PIP) install -q -c constraints.txt -e '.[lab]'
	@touch $@
