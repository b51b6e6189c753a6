# Each target works on a machine that has Python 3.11+ and make, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test install check bench clean

# SMFLEET_NATIVE=no keeps the hot path interpreted (see simulator/native.py). TESTS="tests/n40" runs some of the tests only.

run: install
	$(BIN)/smfleet run

test: install
	$(BIN)/python -m pytest $(TESTS)

install: $(INSTALLED)
	@$(BIN)/python -m simulator.native

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "smfleet needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(INSTALLED)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m tests.performance.bench

clean:
	find . -name '*.so' -not -path './$(VENV)/*' -delete
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
