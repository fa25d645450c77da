# Everything a developer needs. `make run` and `make test` set up all they need by themselves;
# the machine must have Python 3.11 or newer and make, and no Redis.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SERVER := $(VENV)/.installed-server
DEV    := $(VENV)/.installed-dev

# More arguments for the command: make run ARGS="--port 8081", make test ARGS="tests/unit -x"
ARGS ?=

.PHONY: help run test faults check format bench docs screenshots wheel clean

help:
	@echo "make run     start LambdaQueue on a Redis of its own     (ARGS=\"--port 8081\")"
	@echo "make test    run the whole suite                         (ARGS=\"tests/unit -x\")"
	@echo "make faults  kill, stop, fill and cut off everything (LQ_STORM=20x8x4000 for the full storm)"
	@echo "make check   ruff, formatting, mypy --strict"
	@echo "make format  let ruff format and mend what it can"
	@echo "make bench   run the benchmarks                          (ARGS=...)"
	@echo "make docs    build the API reference into build/docs"
	@echo "make screenshots  take the pictures of docs/panel.md anew; needs Chromium, two minutes"
	@echo "make wheel   build the wheel into dist/"
	@echo "make clean   remove $(VENV), caches and build products; data in .lambdaqueue stays"

run: $(SERVER)
	@exec $(BIN)/lambdaqueue up $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

faults: $(DEV)
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests/faults $(ARGS)

check: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DEV)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DEV)
	$(BIN)/python docs/reference build/docs
	@echo "Open build/docs/index.html"

screenshots: $(DEV)
	$(BIN)/python -m docs.screenshots

wheel: $(DEV)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "LambdaQueue needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) -V) ..."
	@$(PYTHON) -m venv $(VENV)

$(SERVER): $(BIN)/python setup.cfg pyproject.toml
	@echo "Installing LambdaQueue and what it runs on into $(VENV) (about a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server]'
	@touch $@

$(DEV): $(SERVER)
	@echo "Installing what tests and checks need into $(VENV) (about a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server,dev]'
	@touch $@
