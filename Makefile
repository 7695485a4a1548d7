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
# Runs an installer in silence; where it fails, says which registry did not answer and what to do.
FETCH := $(PYTHON) deploy/src/runner/registry.py

.PHONY: help install lock check test verify up down reset status doctor logs demo token format contracts foreign bench lock-images checks verify-containers check-format check-lint check-types check-imports check-rules

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(UV):
	@echo "installing uv ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "PSA Desk needs Python 3.11 or newer; say make PYTHON=python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m venv .venv/uv
	@$(FETCH) .venv/uv/bin/python -m pip install -vv --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED): requirements.lock pyproject.toml $(foreach m,$(MEMBERS),$(m)/pyproject.toml) | $(UV)
	@echo "installing the locked dependencies into .venv ..."
	@$(FETCH) $(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(FETCH) $(UV) pip install --quiet --python $(BIN)/python --no-deps $(EDITABLE)
	@touch $@

install: $(INSTALLED) ## install everything into .venv

# One line for each package with its hashes; our own members are never on a registry.
COMPILE := $(UV) pip compile --quiet --universal --no-header --no-annotate \
  $(foreach m,$(notdir $(filter services/%,$(MEMBERS))) shared runner,--no-emit-package psa-desk-$(m))
# Each image holds what its own processes need: a part of requirements.lock.
IMAGES := $(notdir $(filter services/%,$(MEMBERS))) runner

lock: | $(UV) ## pin the dependencies anew after a change of a pyproject.toml
	@$(COMPILE) --generate-hashes --upgrade pyproject.toml $(foreach m,$(MEMBERS),$(m)/pyproject.toml) --extra dev --extra servers \
	  -o requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
	  deploy/checks/requirements.in -o deploy/checks/requirements.lock
	@$(MAKE) --no-print-directory lock-images

lock-images: | $(UV) ## write which packages of requirements.lock each image holds
	@set -o pipefail; for image in $(IMAGES); do \
	  test $$image = runner && member=deploy || member=services/$$image; \
	  list=deploy/image/packages/$$image.txt; \
	  $(COMPILE) -c requirements.lock $$member/pyproject.toml | sed 's/==.*//' | sort -u > $$list.new \
	    && mv $$list.new $$list || { rm -f $$list.new; exit 1; }; \
	done

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

test: check foreign checks ## every check and every test, on the real broker and database
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --ignore=tests/rules

verify: install ## what takes longer: processes and servers die under load, arithmetic is changed (about an hour)
	@$(BIN)/python -m pytest -m verify

verify-containers: install ## build the images, run everything in containers, and break it (a Docker engine, ten minutes)
	@$(BIN)/python -m tests.containers $(only)

CHECKS := .venv/checks/.installed
$(CHECKS): deploy/checks/requirements.lock | $(UV)
	@echo "installing the checks of the deployment into .venv/checks ..."
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv/checks
	@$(FETCH) $(UV) pip sync --quiet --python .venv/checks/bin/python --require-hashes deploy/checks/requirements.lock
	@touch $@

# Without them the tests that need them are not run, and told: no reason to run none.
checks: | $(UV) ## install what checks Dockerfile and compose files; the tests that need it run then
	@$(MAKE) --no-print-directory --silent $(CHECKS) \
	  || echo "hadolint and checkov are not installed: see above; \`make checks\` tries again"

bench: install ## measure: make bench what="reaction views" takes some, make bench what=--help says more
	@$(BIN)/python -m tests.load $(what)

foreign: install ## install what the consumer in another language needs; the tests that need it run then
	@$(BIN)/python -m tests.contracts.foreign.install

# Says "ok", or everything that the tool said.
quietly = @told=$$($(2) 2>&1) && echo "  $(1): ok" || { printf '  %s:\n%s\n' "$(1)" "$$told"; exit 1; }

check: install ## format, lint, types, imports, the rules of the source; names files that grow too long
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target \
	  check-types check-format check-lint check-imports check-rules
	@$(BIN)/python -m tests.rules.near_limit

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

contracts: install ## write schemas, AsyncAPI document, pages and rights of the events; earlier versions are kept
	@$(BIN)/python -m shared.contracts.generate
	@DESK_TOPIC_PREFIX= $(BIN)/python -m shared.messaging acls --outsiders OUTSIDER > deploy/kafka/rights.sh
