# Everything runs in .venv, which `make setup` makes and the other targets bring up to date.
TIER ?= night
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python

# FRESH=1 trains every run again, in a results folder of its own, so that the committed records
# stay as they are. An interrupted fresh build goes on where it stopped; a finished one starts anew.
FRESH_RESULTS := $(CURDIR)/_build/fresh-results-$(TIER)
ifeq ($(FRESH),1)
export GAMMAGPT_RESULTS := $(FRESH_RESULTS)
START_FRESH = if [ -e $(FRESH_RESULTS)/finished ]; then rm -rf $(FRESH_RESULTS); fi; \
	mkdir -p $(FRESH_RESULTS)
FINISH_FRESH = touch $(FRESH_RESULTS)/finished
else
START_FRESH = :
FINISH_FRESH = :
endif

# BUDGET=0 trains nothing: a page then says what has not been run. BUDGET=9m: so long for each study.
ifdef BUDGET
export GAMMAGPT_BUDGET := $(BUDGET)
endif

.PHONY: help setup book downloads smoke readme lint test clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s%s\n", $$1, $$2}'
	@echo "TIER=smoke|laptop|night|gpu chooses the grid (default night); FRESH=1 trains every run again; BUDGET=0 trains nothing"

setup: .venv/stamp  ## make .venv and install the pinned requirements (only when they changed)

.venv/stamp: requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "gammagpt needs Python 3.11 to 3.13, not '$(PYTHON)'. Try: make setup PYTHON=python3.11"; \
	exit 1; }
	@echo "Installing requirements.txt into .venv (once; a minute or more)"
	@test -x $(PY) || "$(PYTHON)" -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

book: setup  ## run the notebooks of TIER and render the book
	@$(START_FRESH)
	@$(PY) book/build.py --tier $(TIER) $(if $(filter 1,$(DOWNLOADS)),--downloads)
	@$(FINISH_FRESH)

downloads:  ## the book, with a PDF and an EPUB of it (needs a Chromium)
	@$(MAKE) book DOWNLOADS=1

smoke: setup  ## run every notebook at tier smoke; really trains, tiny, each time
	@rm -rf _build/smoke-results
	@GAMMAGPT_RESULTS=$(CURDIR)/_build/smoke-results $(PY) book/build.py --tier smoke --only-run

readme: setup  ## bring the README's tables and picture up to date with the records
	@$(PY) book/generated.py

lint: setup  ## check the style
	@$(PY) -m ruff check .

# Without a browser only the tests of the site fail, each with a line on how to get one.
test: lint  ## check the style, find a browser (or install one) and run all tests
	@-$(PY) tests/browser.py
	@$(PY) -m pytest --numprocesses logical --maxprocesses 4 --no-loadscope-reorder --durations 10

clean:  ## remove what was built; leaves .venv, .cache and the committed records
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
