# The commands of this repository. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Tests mostly wait, so they run in as many processes as there are cores. PARALLEL= runs them in one process.
PARALLEL ?= -n logical --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run demo test test-fast test-slow test-faults check format lock clean screenshots
.PHONY: bench bench-live bench-smoke cluster cluster-down restore-drill

help: ## This list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

run: $(VENV)/.run ## Start a node with its own PostgreSQL under ./data: http://127.0.0.1:8000/
	@[ -n "$$DATABASE_URL" ] || scripts/ensure-postgres-user $(VENV) "$${LAURELS_DATA:-data}"
	@exec $(BIN)/laurels serve

demo: $(VENV)/.run ## Let simulated people play on the running node (ARGS="--people 100 --rate 50")
	@exec $(BIN)/laurels demo $(ARGS)

##@ Work on it

test: $(VENV)/.dev ## Install what the tests need, then run them all (ARGS="tests/web -k batch")
	@scripts/ensure-postgres-user $(VENV)
	@scripts/ensure-chromium
	@scripts/ensure-redis
	@scripts/ensure-pgbouncer
	@[ "$$(id -u)" != 0 ] || scripts/ensure-cluster edge watching  # its tests run only as root
	@rm -f .coverage .coverage.*
	PYTEST_PLUGINS=tests.support.coverage_floor $(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)
	@$(if $(ARGS),true,$(BIN)/python -m tests.support.coverage_floor)
	@$(MAKE) --no-print-directory bench-smoke

test-fast: $(VENV)/.dev ## The tests that start no server and no browser, in under a minute (ARGS="tests/domain")
	$(BIN)/python -m pytest -m "pure and not slow" $(PARALLEL) $(ARGS)

test-slow: $(VENV)/.dev ## The slow matrix: PostgreSQL versions, long crashes, full disks
	@scripts/ensure-postgres-user $(VENV)
	$(BIN)/python -m pytest -m slow $(ARGS)

test-faults: $(VENV)/.dev ## Break every part of the cluster under load; writes docs/faults.md (ARGS="--seed 7 --only redis")
	@scripts/ensure-postgres-user $(VENV)
	@scripts/ensure-cluster
	$(BIN)/python -m tests.faults $(ARGS)

check: $(VENV)/.dev ## Style, types, import contracts, wording, known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/lint-prose
	@scripts/audit

format: $(VENV)/.dev ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

screenshots: $(VENV)/.dev ## Take the pictures in docs/screenshots/ on a temporary node
	@scripts/ensure-postgres-user $(VENV)
	@scripts/ensure-chromium
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

##@ Measure it

bench: $(VENV)/.dev ## Measure everything against this machine's floor; writes bench/RESULTS.md (ARGS="--only ranks")
	@scripts/ensure-postgres-user $(VENV)
	@scripts/ensure-wrk
	@scripts/ensure-redis
	@scripts/ensure-peers $(VENV) requirements/peers.txt
	$(BIN)/python -m bench $(ARGS)

bench-live: $(VENV)/.dev ## Only live frames, sockets and actions over them
	@scripts/ensure-postgres-user $(VENV)
	$(BIN)/python -m bench --only fanout screens sockets stream $(ARGS)

bench-smoke: $(VENV)/.dev ## Run every measurement at a tiny size. Part of `make test`
	@scripts/ensure-postgres-user $(VENV)
	@scripts/ensure-redis
	$(BIN)/python -m bench --smoke
	$(BIN)/python -m bench.costs --seconds 0.5 --players 200

##@ The production shape, on this machine

cluster: $(VENV)/.dev ## Edge, nodes, PostgreSQL, Redis, all watched (ARGS="--detach", ARGS="--json")
	@scripts/ensure-cluster
	@$(BIN)/python -m deploy.cluster up $(ARGS)

cluster-down: $(VENV)/.dev ## Stop it and remove its files
	@$(BIN)/python -m deploy.cluster down $(ARGS)

restore-drill: $(VENV)/.dev ## On the running cluster: back up, restore to a point in time, compare the ledgers
	@$(BIN)/python -m deploy.cluster drill $(ARGS)

##@ Housekeeping

lock: ## Resolve the dependencies again into requirements/*.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml requirements/build.in -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev --extra bench -c requirements/run.txt pyproject.toml requirements/build.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 requirements/patroni.in -o requirements/patroni.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra peers -c requirements/dev.txt pyproject.toml -o requirements/peers.txt

clean: ## Remove the virtual environment (never the data)
	rm -rf $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml clients/python/pyproject.toml
	@scripts/make-venv $(PYTHON) $(VENV) requirements/run.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml clients/python/pyproject.toml
	@scripts/make-venv $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.run
