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
# A variable of the caller must not point uv at another interpreter: `pip sync` would empty that one.
unexport UV_PYTHON
export UV_LINK_MODE ?= copy

.PHONY: help install lock check test verify up down reset status logs demo token format contracts bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(UV):
	@echo "installing uv ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "PSA Desk needs Python 3.11 or newer; say make PYTHON=python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m venv .venv/uv && .venv/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

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
