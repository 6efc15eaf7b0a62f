# `make demo` and `make test` do all set-up themselves; a second run finds everything in place.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
export UV_SYSTEM_CERTS := 1
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

env: $(VENV)/ready ## Make the main environment
$(VENV)/ready: requirements/main.txt requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@bash requirements/make-env $(VENV) requirements/main.txt requirements/dev.txt

tfdv: .venv-tfdv/ready ## Make TensorFlow Data Validation's environment
.venv-tfdv/ready: requirements/tfdv.txt requirements/bootstrap.txt
	@bash requirements/make-env .venv-tfdv requirements/tfdv.txt

demo: env tfdv ## The main job: simulate (or CLAIMS=<csv> DATASET=<name>), snapshot, train, approve, deploy, score
	@fraud-ml demo $(if $(CLAIMS),--claims "$(CLAIMS)") $(if $(DATASET),--dataset $(DATASET))

test: env tfdv ## All tests, real servers included, in two processes; ARGS="-n 0 tests/unit" chooses
	@pytest -n 2 $(ARGS)

check: env ## Format, lint, types, import layers, unused dependencies
	ruff format --check .
	ruff check .
	mypy
	PYTHONPATH=plugins lint-imports
	deptry .

format: env ## Format the code
	ruff format .
	ruff check --fix .

COMPILE := .bootstrap/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-header
lock: env ## Resolve the dependencies again
	@$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(COMPILE) pyproject.toml -o requirements/main.txt
	@$(COMPILE) --group dev -c requirements/main.txt -o requirements/dev.txt
	@$(COMPILE) requirements/tfdv.in -o requirements/tfdv.txt

stop: env ## Stop the embedded stack
	@fraud-ml stack down

.PHONY: help env tfdv demo test check format lock stop
