# Everything runs in .venv, which `make setup` makes and the other targets bring up to date.
TIER ?= night
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python

# FRESH=1 trains every run again, in a results folder of its own (book/build.py).
# BUDGET=0 trains nothing: a page then says what has not been run. BUDGET=9m: so long for each study.
# JOBS=1 runs one notebook at a time (default: one a core).
ifdef BUDGET
export GAMMAGPT_BUDGET := $(BUDGET)
endif
BUILD = $(PY) book/build.py --tier '$(TIER)' --jobs '$(or $(JOBS),0)' $(if $(filter 1,$(FRESH)),--fresh)

# A name or a value that means nothing is refused: a misspelt TIER would build another book.
KNOWN := TIER PYTHON FRESH BUDGET JOBS DOWNLOADS
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
ifneq ($(filter-out $(KNOWN) MAKE% -%,$(GIVEN)),)
$(error $(filter-out $(KNOWN) MAKE% -%,$(GIVEN)): unknown, allowed are $(KNOWN))
endif
ifneq ($(filter-out 0 1,$(FRESH) $(DOWNLOADS)),)
$(error FRESH, DOWNLOADS: got '$(FRESH)', '$(DOWNLOADS)', allowed are 0 and 1)
endif

TIERS := smoke laptop night gpu
ifneq ($(words $(filter $(TIERS),$(TIER))) $(words $(TIER)),1 1)
$(error TIER: got '$(TIER)', allowed are $(TIERS))
endif

.PHONY: help setup book downloads smoke readme lint test clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s%s\n", $$1, $$2}'
	@echo "TIER=smoke|laptop|night|gpu chooses the grid (default night); FRESH=1 trains every run again; BUDGET=0 trains nothing; JOBS=1 one notebook at a time"

setup: .venv/stamp  ## make .venv and install the pinned requirements (only when they changed)

# A checkout that was copied or moved has a .venv that belongs to where it came from.
WHOSE := $(shell cat .venv/lib/python3*/site-packages/*gammagpt*.pth 2>/dev/null)
ifneq ($(WHOSE),$(CURDIR)/src)
.PHONY: .venv/stamp
CLEAR := $(if $(WHOSE),--clear)
endif

.venv/stamp: requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "gammagpt needs Python 3.11 to 3.13, not '$(PYTHON)'. Try: make setup PYTHON=python3.11"; \
	exit 1; }
	@echo "Installing requirements.txt into .venv (once; a minute or more)"
	@test -x $(PY) -a -z "$(CLEAR)" || "$(PYTHON)" -m venv $(CLEAR) .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

book: setup  ## run the notebooks of TIER and render the book
	@$(BUILD) $(if $(filter 1,$(DOWNLOADS)),--downloads)

downloads:  ## the book, with a PDF and an EPUB of it (needs a Chromium)
	@$(MAKE) book DOWNLOADS=1

smoke: TIER := smoke
smoke: FRESH := 1
smoke: setup  ## run every notebook at tier smoke; really trains, tiny, each time
	@$(BUILD) --only-run

readme: setup  ## bring up to date the tables and picture of the README, and the words of links in notebooks
	@$(PY) book/generated.py

lint: setup  ## check the style
	@$(PY) -m ruff check .

# Without a browser only the tests of the site fail, each with a line on how to get one.
test: lint  ## check the style, find a browser (or install one) and run all tests
	@-$(PY) tests/browser.py
	@$(PY) -m pytest --numprocesses logical --maxprocesses 4 --no-loadscope-reorder --durations 10

clean:  ## remove what was built; leaves .venv, .cache and the committed records
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
