# lorelint: `make review` shows what it does, `make test` passes the tests; each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

THREAD := corpora/threads/dmamap-retry.mbox
TREE := corpora/trees/small

.PHONY: pictures help venv dev tools trees review test prove bench measure bless docs lock changes release-check clean

help:
	@echo "make review   set up, then review a thread of our own writing against a small tree of our own writing"
	@echo "make test     set up everything, then format, lint, types, layers, tests; says what it skipped and why"
	@echo "make prove    the long tests over whole kernel trees (LORELINT_SAMPLE=N takes N subjects of each)"
	@echo "make bench    warm and cold review, beside a raw parse and spatch on the same files"
	@echo "make bless    write the expected outputs anew; read them in the diff"
	@echo "make pictures take the pictures of the web pages anew"
	@echo "make measure  every measurement of every rule, written into corpora/ledger.toml (some half an hour)"
	@echo "make docs     write the site into build/docs: guides, reference, a page for each rule"
	@echo "make trees    fetch and unpack the kernel sources the tests use (some 7 GB)"
	@echo "make lock     pin the dependencies anew"
	@echo "make changes VERSION=X.Y.Z   the section of the changelog; make release-check: every step before a tag"

# --- setting up

venv: $(VENV)/.installed
dev: $(VENV)/.installed-dev

$(BIN)/python:
	@tests/tools.sh venv
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "=== install: lorelint and what it stands on, into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q bot rules # also where Python is told to write no bytecode as it goes
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "=== install: what the tests need, into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

tools:
	@tests/tools.sh tests

trees:
	@tests/trees.sh

# --- the main job. Finding something is success here: the thread holds a defect.

review: $(VENV)/.installed
	@code=0; $(BIN)/lorelint review $(THREAD) --tree $(TREE) || code=$$?; \
	case $$code in \
	1) ;; \
	0) echo "make review: nothing was found in a thread that holds a defect" >&2; exit 1 ;; \
	*) exit $$code ;; \
	esac

# --- the tests

test: $(VENV)/.installed-dev tools
	@BIN=$(abspath $(BIN)) tests/gate.sh

prove: $(VENV)/.installed-dev tools
	$(BIN)/python -m pytest -m prove -rs -n 2

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m bench -rs -s tests/bench

measure: $(VENV)/.installed
	@LORELINT=$(BIN)/lorelint tests/measure.sh

bless: $(VENV)/.installed-dev
	LORELINT_BLESS=1 $(BIN)/python -m pytest -q tests/golden tests/examples tests/house tests/jobs/test_draft.py tests/docs

pictures: $(VENV)/.installed-dev tools
	LORELINT_PICTURES=1 $(BIN)/python -m pytest -q tests/web/test_pictures.py

# --- the site: plain files, open build/docs/index.html

docs: $(VENV)/.installed
	$(BIN)/lorelint docs build/docs --judged corpora/kernel --guide bot/docs --guide deploy/RUNBOOK.md --guide CONTRIBUTING.md

# --- the lock files: versions and hashes, and no word of where they came from

LOCK := $(BIN)/python -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe --all-build-deps \
	--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-options

lock: | $(VENV)/.installed-dev
	$(LOCK) --upgrade --output-file requirements.lock pyproject.toml
	$(LOCK) --upgrade --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --extra postgresql --extra web --extra metrics --extra triage --constraint requirements-dev.lock \
		--output-file deploy/requirements.lock pyproject.toml
	$(LOCK) --extra cluster --constraint requirements-dev.lock --output-file deploy/cluster.lock pyproject.toml

# --- releases

changes:
	$(BIN)/python tests/release.py changes $(VERSION)

release-check: $(VENV)/.installed-dev tools
	$(BIN)/python tests/release.py check

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .cache
