# Every target works on a fresh clone with Python >= 3.11, make, Node and npm; nothing asks anything.
# Stamp files remember what is installed, so that a second run is instant.

PYTHON ?= $(shell tools/find_python.sh)
UV ?= uv
ARGS ?=
LOCK_FLAGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
export PIP_ROOT_USER_ACTION = ignore
export PYTHONUNBUFFERED = 1

BIN := .venv/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --require-hashes
CODE := src tests bench tools fuzz
# The gateway as it is served: what runs in a process of its own is found there.
COMPILED := PYTHONPATH=$(CURDIR)/.compiled
SOURCES := $(shell find src -type f -not -name '*.pyc')
# Tests that call the modules themselves, on the sources and then on what was compiled from them.
IN_PROCESS := tests/unit tests/golden tests/regressions tests/ledger_tables tests/properties tests/contract
SECONDS ?= 30
SOAK_SECONDS ?= 3600

.PHONY: help serve compiled test check soak format bench bench-targets fuzz lock clean
.DELETE_ON_ERROR:

help:
	@echo "make serve   install and start the gateway (ARGS='--port 9000' passes options on)"
	@echo "make compiled  compile the modules that a request passes through"
	@echo "make check   format, lint, types, imports and the fast tests: under a minute"
	@echo "make test    install what tests need and run all of them"
	@echo "make soak    an hour of mixed load (SOAK_SECONDS=300)"
	@echo "make bench   what the gateway costs (ARGS='--quick' for half a minute, '--full' for all)"
	@echo "make bench-targets   install what it is measured beside"
	@echo "make fuzz    look for inputs that break a decoder (SECONDS=30 for each; ARGS='sse asks')"
	@echo "make format  format and fix what can be fixed"
	@echo "make lock    renew the lock files (needs uv; LOCK_FLAGS=--upgrade takes newer versions)"

serve: .compiled/.done
	@$(COMPILED) exec $(BIN)/tollbridge serve $(ARGS)

compiled: .compiled/.done

check: .venv/.dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 2 -m "not slow" tests/unit tests/style tests/docs tests/golden tests/regressions tests/ledger_tables tests/bench

test: .venv/.dev .compiled/.done .test-env/anthropic-previous/.done .test-env/openai-previous/.done node-packages \
		postgres-server
	$(COMPILED) $(BIN)/python -m pytest $(ARGS)
	$(COMPILED) $(BIN)/python -m pytest -n 2 -o pythonpath=. $(IN_PROCESS)

soak: .venv/.dev .compiled/.done
	$(COMPILED) $(BIN)/python -m pytest -s --soak-seconds $(SOAK_SECONDS) tests/soak $(ARGS)

bench: .venv/.dev .compiled/.done
	$(COMPILED) $(BIN)/python -m bench.run $(ARGS)

bench-targets:
	@tools/install_bench_targets.sh $(PYTHON) .bench-env

fuzz: .venv/.dev
	PYTHONPATH=. $(BIN)/python -m fuzz --seconds $(SECONDS) $(ARGS)

format: .venv/.dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean:
	rm -rf .venv .compiled .test-env .bench-env tests/e2e/node/node_modules

.venv/.created: tools/create_venv.sh
	@tools/create_venv.sh $(PYTHON) .venv
	@touch $@

.venv/.runtime: .venv/.created requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing the runtime from its lock file"
	@$(PIP_INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	@echo "Installing what tests and checks need from its lock file"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

.compiled/.done: .venv/.runtime $(SOURCES) tools/build_hook.py tools/compile_modules.py
	@tools/install_compiled.sh $(BIN)/python .compiled
	@touch $@

# SDK majors before the current one live in directories of their own: one Python runs them all.
.test-env/%/.done: requirements/%.txt .venv/.created
	@echo "Installing $* for the client tests"
	@rm -rf $(@D)
	@$(PIP_INSTALL) --target $(@D) -r $<
	@touch $@

.PHONY: postgres-server
postgres-server:
	@tools/install_postgres.sh .test-env/left-out

.PHONY: node-packages
node-packages: tests/e2e/node/node_modules/.done

tests/e2e/node/node_modules/.done: tests/e2e/node/package-lock.json tools/install_node_packages.sh
	@tools/install_node_packages.sh tests/e2e/node .test-env/left-out

COMPILE = $(UV) pip compile $(LOCK_FLAGS) --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header

lock:
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: install it, or name it with UV=path" >&2; exit 1; }
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/anthropic-previous.in -o requirements/anthropic-previous.txt
	$(COMPILE) requirements/openai-previous.in -o requirements/openai-previous.txt
	for target in envoy smg vllm-router litellm; do \
		$(COMPILE) requirements/bench-$$target.in -o requirements/bench-$$target.txt || exit 1; done
	for folder in tests/e2e/node requirements/bench-portkey requirements/bench-claude-code-router; do \
		(cd $$folder && npm install --package-lock-only --omit-lockfile-registry-resolved --no-fund --no-audit) \
			|| exit 1; done
