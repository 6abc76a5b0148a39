# Everything starts here: `make run` and `make test` do all that they need by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4
INSTALLED := $(VENV)/.installed
INSTALLED_FOR_TESTS := $(VENV)/.installed-for-tests

.PHONY: run test check format bench screenshots clean help

help:
	@echo "make run      install into $(VENV) and start the gateway on port 3000"
	@echo "make test     install what tests need and run all of them"
	@echo "make check    format, lint, types, layers"
	@echo "make format   put the code into its form"
	@echo "make bench    measure, against a bare server in the same run"
	@echo "make screenshots   take pictures of every view of the page, into build/screenshots"
	@echo "make clean    remove what was made"

run: $(INSTALLED)
	$(BIN)/ironclaw run

# Several at a time, but few browsers; those that look at the clock run alone. What fails, in the crowd or by the clock, is
# run once more, quietly, and has to pass there; a run that breaks off has failed.
AGAIN = status=$$?; test $$status -eq 0 || { test $$status -eq 1 && $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }
test: $(INSTALLED_FOR_TESTS)
	$(BIN)/python -m pytest -m "not browser and not alone" -n $(WORKERS) --dist loadfile; $(AGAIN)
	$(BIN)/python -m pytest -m "browser and not alone" -n 2 --dist loadfile; $(AGAIN)
	$(BIN)/python -m pytest -m alone; $(AGAIN)
	node --test tests/web/

check: $(INSTALLED_FOR_TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED_FOR_TESTS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED_FOR_TESTS)
	@for script in scripts/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

screenshots: $(INSTALLED_FOR_TESTS)
	$(BIN)/python scripts/screenshots.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed. On Debian: apt install python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "Python can't make virtual environments. On Debian: apt install python3-venv"; exit 1; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python pyproject.toml setup.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mcp]'
	@touch $@

$(INSTALLED_FOR_TESTS): $(INSTALLED) scripts/test-system.sh tests/e2e/package.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@sh scripts/test-system.sh
	@npm install --prefix tests/e2e --no-audit --no-fund --no-package-lock --silent
	@touch $@
