# make report: the bundled studies, from their recordings to the reports.   make test: the tests.
# Both need python >= 3.11, make and git alone; each makes .venv from requirements.lock by itself.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
STUDY ?= lab-qemu pve-rig
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
SITE := docs/_build/html

# The newest supported version first; a newer one only where python3 is that. A name on PATH may be a stub that does not
# run, so each candidate is asked for its version.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)

.PHONY: help environment report test test-all torture check-style messages schema lock docs links release test-oldest sbom audit clean

help: ## Show these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed and was not found; install it, or name one: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1); name another: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) (a minute or two the first time) ..."
	@# Never --clear: another program may be running from this environment.
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps -e .
	@touch $@

environment: $(STAMP) ## Make .venv alone

report: $(STAMP) ## Run the studies' notebooks where something changed, and build their reports
	@for study in $(STUDY); do $(BIN)/virtio-study run $$study; done
	@echo "Open reports/index.html, or index.es.html; or of one study:"
	@for study in $(STUDY); do echo "  reports/$$study/index.en.html, or index.es.html"; done

check-style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check-style ## Style, types and the tests that take seconds
	$(BIN)/pytest -m "not slow"

test-all: check-style ## Everything, also what takes minutes or needs QEMU and Chromium
	$(BIN)/pytest -n auto

torture: $(STAMP) ## Attack real processes and print what became of it: SEED, SECONDS (an attack, on average), ONLY, SPEED (of soak), WRITE=1
	$(BIN)/python tests/torture $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY)) $(if $(SPEED),--speed $(SPEED)) $(if $(WRITE),--write)

# Versions that stand in requirements.lock stay, because results depend on them; without that file, the newest are taken.
lock: ## Bring requirements.lock and docs/dependencies.md in agreement with pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra demo --extra test --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet -o requirements.lock
	uv pip compile --group docs --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet -o requirements-docs.lock
	@test ! -x $(BIN)/python || $(BIN)/python docs/dependencies.py

$(VENV)/.docs: $(STAMP) requirements-docs.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes -r requirements-docs.lock
	@touch $@

docs: $(VENV)/.docs ## Build the documentation site in docs/_build/html, run its gallery and check its links
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs $(SITE)
	@$(BIN)/python docs/links.py $(SITE)
	@echo "Open $(SITE)/index.html"

links: docs ## Also ask the other sites that the documentation links to
	@$(BIN)/python docs/links.py $(SITE) --other

release: ## Prepare VERSION in a clone and check it: version, changelog, citation, wheel, tag; WRITE=write does it here
	@.ci/release "$(VERSION)" $(WRITE)

OLDEST := .venv-oldest
test-oldest: ## The quick tests with the oldest versions that pyproject.toml allows, on the oldest Python (needs uv)
	uv venv --quiet --clear --python 3.11 $(OLDEST)
	uv pip compile pyproject.toml --extra demo --extra test --resolution lowest-direct --python-version 3.11 --quiet -o $(OLDEST)/oldest.txt
	uv pip install --quiet --python $(OLDEST)/bin/python -r $(OLDEST)/oldest.txt
	uv pip install --quiet --python $(OLDEST)/bin/python --no-build-isolation --no-deps -e .
	@# What old versions deprecate is known; a warning of theirs is no failure.
	$(OLDEST)/bin/python -m pytest -W default -m "not slow" -n auto

sbom: $(STAMP) ## Write what this package stands on as a bill of materials (CycloneDX): sbom.cdx.json
	@$(BIN)/python docs/dependencies.py sbom.cdx.json

audit: ## Look every locked version up among known vulnerabilities
	@PYTHON=$(PYTHON) .ci/audit

clean: ## Remove the environment and everything that can be made again
	rm -rf $(VENV) $(OLDEST) dist .pytest_cache .mypy_cache .ruff_cache docs/_build docs/gallery data/*/work reports/*/.run reports/.run

schema: $(STAMP) ## Write the JSON schema of results.json anew, from the models
	@$(BIN)/python -m virtio_study.analysis.schema

messages: $(STAMP) ## Bring the catalogues of translations up to date
	@$(BIN)/python -m virtio_study.i18n.catalogue
