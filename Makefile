# Does a way of pretraining transfer? `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Bytecode makes imports three times as fast; an environment that forbids writing it is overruled here.
unexport PYTHONDONTWRITEBYTECODE

TABLE ?= quick
DATA ?=
RUNS ?= runs
ROWS ?=
COLUMNS ?=
SEEDS ?=
JOBS ?=
FORCE ?=
PYTHON ?= python3
UV_VERSION := 0.13.9

VENV := .venv
PY := $(VENV)/bin/python
ROOMS := configs pretrain transfer wsol eval launch core
select = $(if $(DATA),--data-root '$(DATA)') $(if $(ROWS),--rows '$(ROWS)') $(if $(COLUMNS),--columns '$(COLUMNS)') $(if $(SEEDS),--seeds '$(SEEDS)')
how = $(if $(JOBS),--jobs $(JOBS)) $(if $(FORCE),--force)

.PHONY: help setup setup-eval pretrain transfer-all table dry-run wsol test check bench lock clean

help: ## list the targets and variables
	@echo "Targets:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done
	@echo "Variables (make transfer-all TABLE=real_mini DATA=folder):"
	@printf '  %-14s %s\n' TABLE "a table in configs/tables, or a file (default: quick)" DATA "folder of the data sets (default: the table's own)" RUNS "folder of all runs (default: runs)" ROWS "rows to run or show: cutmix,baseline (default: all)" COLUMNS "columns to run or show (default: all)" SEEDS "seeds: 0,1,2 (default: the table's)" JOBS "cells at once (default: the GPUs, or else the cores)" FORCE "1: replace runs of other configs in the cells' folders"

setup: $(VENV)/.installed ## install everything into .venv

setup-eval: $(VENV)/.eval ## install the evaluators alone, without torch, into .venv

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python >= 3.11, $(PYTHON) is $$($(PYTHON) --version); say PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: requirements.lock $(VENV)/bin/uv
	$(VENV)/bin/uv pip sync --python $(PY) --require-hashes --compile-bytecode requirements.lock
	@rm -f $(VENV)/.eval; touch $@

$(VENV)/.eval: requirements-eval.lock $(VENV)/bin/uv
	@if [ -e $(VENV)/.installed ]; then echo "everything is installed already"; else $(VENV)/bin/uv pip sync --python $(PY) --require-hashes --compile-bytecode requirements-eval.lock; fi
	@touch $@

pretrain: setup ## pretrain the rows of TABLE
	$(PY) -m launch $(TABLE) --runs $(RUNS) $(select) $(how) --stage pretrain

transfer-all: setup ## run every missing cell of TABLE and print the table
	$(PY) -m launch $(TABLE) --runs $(RUNS) $(select) $(how)

dry-run: setup ## list TABLE's cells, commands and data; run nothing
	$(PY) -m launch $(TABLE) --runs $(RUNS) $(select) --dry-run

table: $(VENV)/bin/uv ## print TABLE from the results that are there
	@[ -e $(VENV)/.installed ] || $(MAKE) --no-print-directory setup-eval
	@$(PY) -m eval table $(TABLE) --runs $(RUNS) $(if $(ROWS),--rows '$(ROWS)') $(if $(COLUMNS),--columns '$(COLUMNS)') $(if $(SEEDS),--seeds '$(SEEDS)')

wsol: setup ## run and print TABLE's localization columns
	$(PY) -m launch $(TABLE) --runs $(RUNS) $(select) $(how) --stage wsol

test: setup ## run the tests
	$(PY) -m pytest

check: setup ## lint, types and the architecture test: what CI runs before the tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict --explicit-package-bases $(ROOMS) tests benchmarks
	$(PY) -m pytest tests/test_architecture.py

bench: setup ## time TABLE from nothing: wall time, memory, seconds of each kind of cell
	$(PY) -m benchmarks.quick --table $(TABLE) $(if $(DATA),--data-root '$(DATA)') $(if $(JOBS),--jobs $(JOBS))

lock: $(VENV)/bin/uv ## compile the lock files anew from the .in files
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade requirements.in requirements-dev.in -o requirements.lock
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade requirements-eval.in -o requirements-eval.lock

clean: ## remove what tests and tools left; runs, data and .venv stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
