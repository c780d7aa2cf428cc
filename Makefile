# make lab and make test are each the whole set-up: the first start makes .venv and installs the pinned packages,
# every later start finds the stamp newer than the two lists of packages and needs no network.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV   := .venv
PYTHON := $(VENV)/bin/python
READY  := $(VENV)/.installed
EXTRAS := notebooks,cluster,test
FIRST  := notebooks/00_start_here.ipynb
LAB_ARGS ?=
TEST_ARGS ?=
# Tests run on every core, a file or a notebook at a time; what measures time or memory runs alone, afterwards.
SPREAD := -n auto --dist loadscope --no-loadscope-reorder -m "not alone"
ALONE  := -m alone

.PHONY: help lab test fast faults fit bench pictures clean

help:           ## show this list
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

lab: $(READY)   ## open the course in JupyterLab
	$(VENV)/bin/jupyter lab --LabApp.extension_manager=readonly --LabApp.default_url=/lab/tree/$(FIRST) $(LAB_ARGS)

test: $(READY)  ## everything: unit tests, notebooks, widgets in a real browser (BROWSER=none leaves the last out)
	@$(PYTHON) tests/browser/get_browser.py
	$(PYTHON) -m pytest $(SPREAD) tests/browser tests/notebooks tests/faults tests/unit $(TEST_ARGS)
	$(PYTHON) -m pytest $(ALONE) tests/browser tests/unit $(TEST_ARGS) || [ $$? = 5 ]  # 5: TEST_ARGS chose none of these

fast: $(READY)  ## the unit tests only
	$(PYTHON) -m pytest $(SPREAD) tests/unit $(TEST_ARGS)
	$(PYTHON) -m pytest $(ALONE) tests/unit $(TEST_ARGS) || [ $$? = 5 ]

faults: $(READY) ## disks that are full, networks that lie, processes that are killed, five times in a row
	for round in 1 2 3 4 5; do \
	  KDUTILS_ROUND=$$round KDUTILS_EVENTS=2000 $(PYTHON) -m pytest -n auto tests/faults $(TEST_ARGS) || exit; done

fit: $(READY)   ## every panel on the page, on a phone and on the stage, light and dark; `make test` tries three of them
	KDUTILS_FIT=all $(PYTHON) -m pytest tests/browser/test_fit.py $(TEST_ARGS)

bench: $(READY) ## the benchmarks; they print their figures
	$(PYTHON) -m pytest tests/benchmarks -s $(TEST_ARGS)
	$(PYTHON) tests/benchmarks/speed_table.py

pictures: $(READY) ## take the pictures of the README again
	$(PYTHON) -m pytest tests/browser/take_pictures.py $(TEST_ARGS)

clean:          ## remove the environment and everything that was produced
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that fits: 3.11 to 3.13, able to make an environment (Debian packs that part as python3-venv).
$(READY): pyproject.toml constraints.txt
	@if ! [ -x $(PYTHON) ]; then \
	  for python in python3.12 python3.11 python3.13 python3; do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	    then echo "Making $(VENV) with $$($$python --version)."; $$python -m venv $(VENV) && break; fi; \
	  done; \
	fi; \
	[ -x $(PYTHON) ] || { echo "The course needs Python 3.11, 3.12 or 3.13 with venv (on Debian: apt install python3-venv); none was found." >&2; exit 1; }
	@echo "Installing the packages of constraints.txt (once; mostly the download of torch, a few minutes)."
	$(PYTHON) -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $(READY)
