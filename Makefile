# `make demo` and `make test` set themselves up in .venv; python3 is all they need.
PYTHON ?= python3
BIN := .venv/bin
# One thread a core; more than the cores slows training down.
export OMP_NUM_THREADS ?= $(shell nproc)
# MONAI warns that configs are code. The configs run here are this repository's own.
QUIET := PYTHONWARNINGS="ignore:parsing config_file"

.PHONY: help demo test coverage lint docs extras clean
help:
	@echo "make demo   set up, make the phantom, train MTL-Swin-Unet, predict on a real CT slice (6 to 20 minutes)"
	@echo "make test   set up, run the tests"
	@echo "make coverage   the same; prints the lines that no test runs, writes coverage.xml and htmlcov/"
	@echo "make lint   ruff and mypy"
	@echo "make docs   build the documentation into site/"
	@echo "make extras install the wheel without extras and with each extra alone, run the commands that work then"
	@echo "make clean  remove generated data, runs and the virtual environment"

.venv/.demo: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/.test: .venv/.demo
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[test]
	@touch $@

demo: .venv/.demo
	$(QUIET) $(BIN)/python -m monai.bundle run --config_file bundles/mtl/train.json
	$(BIN)/python -m monai_ich predict-example

test: .venv/.test
	$(BIN)/python -m pytest --numprocesses auto

.venv/.docs: .venv/.demo
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[docs]
	@touch $@

coverage: .venv/.test
	$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term-missing:skip-covered \
		--cov-report=xml --cov-report=html
	@printf '%-24s%12s%8s%10s%9s%9s\n' room statements missed branches partly covered
	@for room in $(dir $(wildcard monai_ich/*/__init__.py)); do $(BIN)/coverage report --include="$$room*" | \
		awk -v room=$$room '$$1 == "TOTAL" {printf "%-24s%12s%8s%10s%9s%9s\n", room, $$2, $$3, $$4, $$5, $$6}'; done

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

extras:
	$(PYTHON) tests/extras/check_extras.py

clean:
	rm -rf .venv site data runs predictions mlruns mlflow.db htmlcov coverage.xml .coverage
	rm -f data_manifests/phantom*
