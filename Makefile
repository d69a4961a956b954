# `make help` lists the targets. Each works on a fresh machine with Python >= 3.10 and make: no root, Redis or Docker.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The environment, complete: newer than what it was made from.
STAMP := $(VENV)/.installed

# The Python that the environment is made from: python3 if it is new enough, else the newest that is.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 10))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$python -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$python && break; done)
# Test processes at once. Most of them wait most of the time.
JOBS ?= 5
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-unkind test-rabbitmq test-redis sdk-env simulate fuzz lint bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r target does; do \
		printf '  make %-13s %s\n' "$$target" "$$does"; done

install: $(STAMP) ## make .venv with everything (PYTHON=python3.12 chooses the Python)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.10 was found. Install one, or name it: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo '$(PYTHON) is not Python >= 3.10. Name another: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo 'The virtual environment could not be made; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
	@echo 'massconvert is installed in $(VENV). Next:'
	@echo '  source $(VENV)/bin/activate     put massconvert on the PATH of this shell'
	@echo '  massconvert demo                1,000 simulated leads, real workers, no account needed'
	@echo '  massconvert doctor              what your own CRM still needs; README.md says how to go on'

demo: install ## convert 1,000 simulated leads with real workers, and show the report
	@$(BIN)/massconvert demo

test: install sdk-env ## run all tests: unit, integration, simulation, acceptance
	$(BIN)/python -m pytest -n $(JOBS) --maxschedchunk 1 $(PYTEST_ARGS)

# FILES names those of them that are wanted.
test-unkind: install ## the acceptance tests against a Zoho as unkind as its documents allow (PROFILE=seen.json takes another)
	@MASSCONVERT_TEST_PROFILE="$(or $(and $(PROFILE),$(abspath $(PROFILE))),as-unkind)" \
		$(BIN)/python -m pytest -n $(JOBS) --maxschedchunk 1 $(or $(FILES),tests/acceptance) $(PYTEST_ARGS)

# Apart from `make test`: a fresh machine has no RabbitMQ. Its management API is needed, 10,000 ports above the broker's.
test-rabbitmq: install ## the acceptance tests with RabbitMQ as the broker (BROKER=amqp://user:password@host:5672 QUEUES=quorum)
	@test -n "$(BROKER)" || { echo 'Say which RabbitMQ: make test-rabbitmq BROKER=amqp://user:password@127.0.0.1:5672' >&2; exit 1; }
	@MASSCONVERT_TEST_BROKER="$(BROKER)" MASSCONVERT_TEST_QUEUES="$(QUEUES)" \
		$(BIN)/python -m pytest -n $(JOBS) --maxschedchunk 1 tests/acceptance tests/examples $(PYTEST_ARGS)

# What of the tests is about what a server answers: scripts, permits, refusals, the primary among several.
REDIS_TESTS := $(addprefix tests/integration/test_,scripts_*.py governor*.py refusals.py full_redis.py rights.py primaries*.py)

# Apart from `make test`, which takes the server that it finds: CI runs the oldest and the newest.
test-redis: install ## the tests of scripts, permits and failovers on another server (SERVER=/path/to/redis-server)
	@test -x "$(SERVER)" || { echo 'Say which server: make test-redis SERVER=/path/to/redis-server (or valkey-server)' >&2; exit 1; }
	@"$(SERVER)" --version
	@MASSCONVERT_TEST_REDIS="$(abspath $(SERVER))" $(BIN)/python -m pytest -n $(JOBS) $(REDIS_TESTS) $(PYTEST_ARGS)

# Zoho's own SDK, for one integration test, in an environment of its own. That test is skipped where it cannot be had.
sdk-env: install
	@if test -f tests/sdk/make_env.py; then $(BIN)/python tests/sdk/make_env.py || echo 'No SDK environment; going on.' >&2; fi

simulate: install ## play N simulated histories of faults and crashes (N=100000), or replay one (SEED=2404)
	@$(BIN)/python -m tests.simulation $(if $(N),--n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(THEME),--theme "$(THEME)")

fuzz: install ## run the fuzz tests with N cases each (N=100000)
	@MASSCONVERT_FUZZ="$(or $(N),10000)" $(BIN)/python -m pytest -n $(JOBS) -q tests/unit/test_fuzz_*.py $(PYTEST_ARGS)

lint: install ## ruff, mypy --strict and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install ## run the benchmarks; each prints a ratio
	@for bench in benchmarks/[!_]*.py; do \
		test -f "$$bench" || continue; echo "== $$bench"; $(BIN)/python "$$bench" || exit 1; done

clean: ## remove .venv and all caches
	rm -rf $(VENV) .venv-sdk .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find massconvert tasks workers tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
