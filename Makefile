# Every command a person or CI calls. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --constraint constraints.txt
# Says what it does, and shows that it lives.
PATIENTLY := sh deploy/setup/patiently.sh
DEMO ?= demo
# One thread per process: several processes share the cores.
export OMP_NUM_THREADS ?= 1
# The theme announces its successor at every build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slurm test-scale test-exporters test-fuzz test-kill check bench gpu docs format train-bundled comparison steadiness real-tables clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PATIENTLY) "making a virtual environment in $(VENV)" $(PYTHON) -m venv $(VENV)
	@$(PATIENTLY) "bringing its pip up to date" $(INSTALL) --upgrade pip
	@$(PATIENTLY) "installing photoz-run and what it imports (a minute)" $(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PATIENTLY) "installing the packages for tests, training and documentation (two minutes)" \
		$(INSTALL) --editable '.[dev,train,docs]'
	@touch $@

.PHONY: programs
programs:
	@sh deploy/setup/debian-packages.sh

install: $(VENV)/.installed ## virtual environment with the program alone

demo: $(VENV)/.installed ## simulate a survey, run it through the network, validate, release: two minutes
	@BIN=$(BIN) DEMO=$(DEMO) sh deploy/demo.sh

test: $(VENV)/.installed-dev programs ## all tests but those on SLURM
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-slurm: $(VENV)/.installed-dev programs ## tests on a real SLURM, started for them on this machine
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slurm tests/slurm

test-scale: $(VENV)/.installed-dev programs ## a run over 20,000 empty tiles: seconds and memory (some minutes)
	$(BIN)/python -m pytest -m scale tests/scale

# jax2onnx asks for onnxruntime, which overwrites the onnxruntime-gpu of the program: one of them stays.
test-exporters: ## networks of Keras, JAX, XGBoost and CatBoost become bundles; an environment of 4 GB in .venv-exporters
	$(PYTHON) -m venv .venv-exporters
	.venv-exporters/bin/python -m pip install --quiet --constraint constraints.txt --editable . onnx pytest pytest-timeout \
		hypothesis scikit-learn skl2onnx onnxmltools lightgbm xgboost catboost keras tensorflow-cpu tf2onnx jax jax2onnx
	.venv-exporters/bin/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu
	.venv-exporters/bin/python -m pip install --quiet onnxruntime
	.venv-exporters/bin/python -m pytest -m exporters tests/models/test_exporters.py tests/models/test_hybrid_z.py

test-fuzz: $(VENV)/.installed-dev programs ## damaged files through the path of a tile: 10,000, or as many as ten minutes allow
	PYTHONPATH=tests $(BIN)/python -m fuzz

test-kill: $(VENV)/.installed-dev programs ## 100 random kills and stops of a run's processes; KILL_SEED repeats them (20 minutes)
	$(BIN)/python -m pytest -m kill tests/kill

check: $(VENV)/.installed-dev ## style, types, layers, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict

format: $(VENV)/.installed-dev ## put the code into the project's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev ## speed and memory on a full-size tile and a release of 20 million rows (15 GB, 40 minutes)
	PYTHONPATH=tests $(BIN)/python -m bench

# No environment of its own: a machine with a GPU may have no package registry. Name its Python with PYTHON.
gpu: ## what an NVIDIA GPU does with the shipped bundle: rates, equivalence, training (8 minutes at most); gpu.json
	PYTHONPATH=tests:models:pipeline $(PYTHON) -m bench.gpu

docs: $(VENV)/.installed-dev ## the documentation as a site in site/
	$(BIN)/mkdocs build --strict

train-bundled: $(VENV)/.installed-dev ## the shipped model from nothing: simulate, train, seal (two hours on two cores)
	@BIN=$(BIN) sh deploy/train-bundled.sh

comparison: $(VENV)/.installed-dev ## train the baselines beside it (two hours more); docs/comparison.json and .md
	@BIN=$(BIN) sh deploy/comparison.sh

steadiness: $(VENV)/.installed-dev programs ## what errors of headers and pixels cost the shipped model; docs/steadiness.json and .md
	$(BIN)/python -m studies.steadiness models/photoz_models/bundled/hybrid-sim.onnx --work build/training/steadiness \
		--json docs/steadiness.json --markdown docs/steadiness.md

.venv-peers/.installed: studies/real_tables/peers.txt
	@$(PATIENTLY) "making a virtual environment in .venv-peers" $(PYTHON) -m venv .venv-peers
	@$(PATIENTLY) "installing FlexZBoost, CatBoost and GPz (two minutes)" \
		.venv-peers/bin/python -m pip install --requirement studies/real_tables/peers.txt
	@touch $@

real-tables: $(VENV)/.installed-dev .venv-peers/.installed ## the magnitudes network beside FlexZBoost, CatBoost, GPz and kNN on public tables
	$(BIN)/python -m studies.real_tables --work build/real-tables --peers .venv-peers/bin/python \
		--json docs/real-tables.json --markdown docs/real-tables.md

clean: ## remove what these commands made
	rm -rf $(VENV) .venv-exporters .venv-peers $(DEMO) site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
