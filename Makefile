SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
EXTRAS ?= site,coordinator,benchmark,peers,exchange,onnxruntime,openvino,simulation,vendor-formats,zarr,dev
# TORCH= (pip's configured index) | cpu | cu126 | cu130 | rocm7.1 ...: a build of download.pytorch.org
TORCH ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp-$(TORCH)
TORCH_INDEX := $(if $(TORCH),--extra-index-url https://download.pytorch.org/whl/$(TORCH))
DEMO_ARGS ?=
# loadfile: a file shares one coordinator and one campaign among its tests
TEST_ARGS ?= -n 2 --dist loadfile

.PHONY: demo test check setup wheel clean
demo: $(STAMP) ## the whole loop on this machine: one coordinator, six microscopes, six sites
	$(BIN)/synoptic demo $(DEMO_ARGS)

test: $(STAMP) check ## layers, types, style, and every test
	$(BIN)/python -m pytest -q $(TEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .

setup: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt $(TORCH_INDEX) torch torchvision
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	$(BIN)/python -m pip check
	touch $@

wheel: $(STAMP)
	$(BIN)/python -m pip wheel -q --no-deps -w dist .

clean:
	rm -rf $(VENV) dist build
