# Every target forwards to one command; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
MEMBERS := shared services/tickets services/sla services/inventory services/devlink deploy
EDITABLE := $(foreach m,$(MEMBERS),-e $(m))
INSTALLED := .venv/.installed

# uv is a package like any other here: pip brings it into a small environment of its own.
UV := .venv/uv/bin/uv
UV_VERSION := 0.13.9
# A variable of the caller must not point uv at another interpreter: `pip sync` would empty that one.
unexport UV_PYTHON
export UV_LINK_MODE ?= copy

.PHONY: help install lock check test verify up down reset status doctor logs demo token format contracts foreign bench check-format check-lint check-types check-imports check-rules

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(UV):
	@echo "installing uv ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "PSA Desk needs Python 3.11 or newer; say make PYTHON=python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m venv .venv/uv && .venv/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED): requirements.lock pyproject.toml $(foreach m,$(MEMBERS),$(m)/pyproject.toml) | $(UV)
	@echo "installing the locked dependencies into .venv ..."
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps $(EDITABLE)
	@touch $@

install: $(INSTALLED) ## install everything into .venv

lock: | $(UV) ## pin the dependencies anew after a change of a pyproject.toml
	@$(UV) pip compile --quiet pyproject.toml $(foreach m,$(MEMBERS),$(m)/pyproject.toml) --extra dev --universal \
	  --generate-hashes --no-header --no-annotate --upgrade \
	  $(foreach m,$(notdir $(filter services/%,$(MEMBERS))) shared runner,--no-emit-package psa-desk-$(m)) \
	  -o requirements.lock

up: install ## start the whole system and print where to look; repeat it as often as you like
	@$(BIN)/desk up

down: ## stop everything; the data stays
	@test ! -x $(BIN)/desk || $(BIN)/desk down

reset: ## stop everything and delete its data
	@test ! -x $(BIN)/desk || $(BIN)/desk reset

status: install ## show every process
	@$(BIN)/desk status

doctor: install ## say what is missing, broken or unsafe, and what to do
	@$(BIN)/desk doctor

logs: install ## print the last log lines, of all processes or of one: make logs of=tickets
	@$(BIN)/desk logs $(of)

token: install ## print an access token of a persona: make token as=agent
	@$(BIN)/desk token --as $(or $(as),agent)

demo: install ## play the main job against the running system
	@$(BIN)/desk demo

test: check foreign ## every check and every test, on the real broker and database
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/rules

verify: install ## what takes longer: processes and servers die under load (about half an hour)
	@$(BIN)/python -m pytest -m verify

bench: install ## measure: make bench what="reaction views" takes some, make bench what=--help says more
	@$(BIN)/python -m tests.load $(what)

foreign: install ## install what the consumer in another language needs; the tests that need it run then
	@$(BIN)/python -m tests.contracts.foreign.install

# Says "ok", or everything that the tool said.
quietly = @told=$$($(2) 2>&1) && echo "  $(1): ok" || { printf '  %s:\n%s\n' "$(1)" "$$told"; exit 1; }

check: install ## format, lint, types, imports, and the rules of the source
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target \
	  check-types check-format check-lint check-imports check-rules

check-types:
	$(call quietly,types,$(BIN)/mypy)
check-format:
	$(call quietly,format,$(BIN)/ruff format --check --quiet --output-format concise)
check-lint:
	$(call quietly,lint,$(BIN)/ruff check --output-format concise)
check-imports:
	$(call quietly,imports,$(BIN)/lint-imports)
check-rules:
	$(call quietly,rules,$(BIN)/python -m pytest --quiet --no-header --tb=short tests/rules)

format: install ## format the source and mend what can be mended
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

contracts: install ## write schemas, AsyncAPI document and pages of the events; earlier versions are kept
	@$(BIN)/python -m shared.contracts.generate
