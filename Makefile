# make run, make test and make check set up everything that they need.
PYTHON ?= python3
CONFIG ?= configs/default.toml
ARGS ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed

.PHONY: run test evidence coverage check format install lock clean

run: $(STAMP)  ## start all stages (CONFIG=configs/webcam.toml for a camera); Ctrl-C stops them
	@PATH="$(CURDIR)/$(BIN):$$PATH" EMOSTREAM_CONFIG="$(CONFIG)" EMOSTREAM_ARGS="$(ARGS)" \
		honcho start || test $$? -eq 130

test: $(STAMP)  ## run all tests except heavy and long ones (ARGS="-m 'not slow'" for the quick ones)
	$(BIN)/pytest --numprocesses $(JOBS) -m "not heavy and not evidence" $(ARGS)

evidence: $(STAMP)  ## run the long tests: trainings, Ray, pods, documented commands, further cases
	$(BIN)/pytest --numprocesses $(JOBS) -m evidence $(ARGS)

# Not in every test run: counting lines doubles what the tests cost.
coverage: $(STAMP)  ## print the coverage of the tests of single processes, and the least covered files
	$(BIN)/pytest -m "not timed" tests/unit tests/bus tests/browser --numprocesses $(JOBS) --cov --cov-report=
	$(BIN)/coverage report --sort=cover | sed -n '1,22p;$$p'

check: $(STAMP)  ## check format, lint, wording and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.wording
	@# mypy does not follow the import hook of an editable install, but it follows links.
	@mkdir -p .typing/emostream
	@ln -sfn ../../emostream/__init__.py ../../emostream/__main__.py ../../services ../../shared ../../models .typing/emostream/
	$(BIN)/mypy

format: $(STAMP)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(STAMP)  ## create the environment in .venv

# The lock brings the build backend too, so the project's own build downloads nothing.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "emostream needs Python 3.11 to 3.13; select one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	@# What an earlier version left there would be read instead of what is installed.
	@rm -rf emostream.egg-info
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Versions stay as they are unless pyproject.toml or ARGS asks for others.
# Wheels only: building from source would run code that no hash covers.
lock: $(STAMP)  ## update requirements.lock (ARGS=--upgrade for the newest versions)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra all --extra dev \
		--generate-hashes --only-binary :all: --emit-build-options --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements.lock $(ARGS) pyproject.toml

clean:  ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .typing *.egg-info
