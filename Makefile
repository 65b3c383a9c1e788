# Every command of the project; `make` alone lists them.

# The Python that .venv is made from: 3.11 or newer.
PYTHON ?= python3
# Where torch comes from, if not from pip's usual index: the URL of a CPU-only index, say.
TORCH_INDEX ?=
# Further arguments: for pytest (make test and its kin), for scripts/train.py (make demo), for the benchmarks.
ARGS ?=
# Where TensorBoard listens, on this machine alone.
PORT ?= 6006

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# With the optional packages, without which their tests are skipped.
ALL_READY := $(VENV)/.ready-all
# On every core; whoever is done first takes tests from the others.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# What the benchmarks measure ours beside; its programs are none of our dependencies.
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
# Where the benchmarks leave their figures as JSON.
FIGURES := outputs/benchmarks
DEMO_SENTENCES := "Monday, May 5, 2025, 9:30 AM (Iceland and New Zealand)" \
  "1,250.50 Swiss francs and 33.7%, in 3 weeks" \
  "Italian, Greek, and Welsh / Portugal or Brazil"

.DEFAULT_GOAL := help
.PHONY: help demo demo-summarization test test-fast test-benchmarks test-all test-faults capabilities benchmark-attention benchmark-training benchmark-decoding benchmark-processes benchmark-data benchmark-startup benchmark-gpu benchmark-recipes benchmark-peers lint types tensorboard clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

demo: $(READY) ## train a small translation model, evaluate it, translate with it (no data needed)
	$(BIN)/python scripts/train.py experiment=cldr/demo run=demo $(ARGS)
	$(BIN)/python scripts/evaluate.py run=demo
	@printf '\nThree sentences, English then German:\n\n' && printf '%s\n' $(DEMO_SENTENCES) && echo
	@printf '%s\n' $(DEMO_SENTENCES) | $(BIN)/python scripts/translate.py run=demo
	@printf '\nThe run is in runs/demo. Its curves, samples and attention: make tensorboard\n'
	@printf 'More of your own: echo "in 5 days" | $(BIN)/python scripts/translate.py run=demo\n'

demo-summarization: $(READY) ## train a small model to summarize the docstrings of the installed packages, evaluate it
	$(BIN)/python scripts/train.py experiment=docstrings/demo run=demo-summarization $(ARGS)
	$(BIN)/python scripts/evaluate.py run=demo-summarization

test: $(READY) ## run the tests, each law on each kind of combination; a part: make test ARGS="tests/unit -k attention"
	$(PYTEST) -m "not full and not benchmark" $(ARGS)

test-fast: $(READY) ## run what trains no run and starts no process, in a minute: the inner loop
	$(PYTEST) -m "not full and not benchmark and not slow" --ignore=tests/contract/test_laws.py $(ARGS)

test-benchmarks: $(READY) ## run the tests of the benchmarks' programs
	$(PYTEST) -m benchmark tests/unit/benchmarks $(ARGS)

test-all: $(ALL_READY) ## run every test: each law on every combination, optional packages, the benchmarks' programs
	$(PYTEST) $(ARGS)

test-faults: $(READY) ## kill, damage and starve trainings many times (most of an hour), and print a table of what came of it
	$(PYTEST) tests/faults --faults --faults-json $(FIGURES)/faults.json $(ARGS)

capabilities: $(READY) ## train every legal combination of parts and write docs/capabilities.md (half an hour)
	$(PYTEST) tests/contract/test_learning.py --capabilities docs/capabilities.md

benchmark-attention: $(READY) ## measure what each attention costs; other sizes: make benchmark-attention ARGS="--sizes 50x20"
	$(BIN)/python benchmarks/attention.py $(ARGS)

benchmark-training: $(READY) ## compare training with Hugging Face and JoeyNMT (make benchmark-peers), in turns
	$(BIN)/python benchmarks/training.py --json $(FIGURES)/training.json $(ARGS)

benchmark-decoding: $(READY) ## compare greedy and beam search with Hugging Face and CTranslate2, in turns
	$(BIN)/python benchmarks/decoding.py --json $(FIGURES)/decoding.json $(ARGS)

benchmark-processes: $(READY) ## compare training with two processes and with one, in turns
	$(BIN)/python benchmarks/processes.py --json $(FIGURES)/processes.json $(ARGS)

benchmark-data: $(READY) ## measure batches from the cache, and a million pairs made into ids
	$(BIN)/python benchmarks/data.py --json $(FIGURES)/data.json $(ARGS)

benchmark-startup: $(READY) ## measure the time from the command to the first update
	$(BIN)/python benchmarks/startup.py --json $(FIGURES)/startup.json $(ARGS)

benchmark-gpu: $(READY) ## measure training and decoding on one GPU, in nine minutes
	$(BIN)/python benchmarks/gpu.py --json $(FIGURES)/gpu.json $(ARGS)

benchmark-recipes: $(READY) ## train a recipe and each addition to it with the same budget, and compare them
	$(BIN)/python benchmarks/recipes.py $(ARGS)

benchmark-peers: $(PEERS_READY) ## install the programs to compare with, in their own environment (.venv-peers)

lint: $(READY) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## check the types
	$(BIN)/mypy

tensorboard: $(READY) ## show the runs in a browser: http://127.0.0.1:6006 (other port: PORT=6007)
	$(BIN)/tensorboard --logdir runs --host 127.0.0.1 --port $(PORT) --samples_per_plugin images=100,text=100

clean: ## remove the environment and the caches; runs/ stays
	rm -rf $(VENV) $(PEERS) .cache build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment; installed again when what it is made from changes.
$(READY): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'seq2seq needs Python 3.11 or newer, which "$(PYTHON)" is not. Name another: make $(MAKECMDGOALS) PYTHON=python3.12'; \
	  exit 1; }
	@echo "$$DOWNLOADS"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo 'Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv'; \
	  exit 1; }
	$(if $(TORCH_INDEX),$(BIN)/pip install --no-deps -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(BIN)/pip install -c constraints.txt -e ".[dev]"
	@touch $@

$(ALL_READY): $(READY)
	$(BIN)/pip install -c constraints.txt -e ".[dev,integrations]"
	@touch $@

# The peers' environment; the same torch as ours, from the same index.
$(PEERS_READY): benchmarks/peers/requirements.txt benchmarks/peers/requirements-no-deps.txt constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(if $(TORCH_INDEX),$(PEERS)/bin/pip install --no-deps -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(PEERS)/bin/pip install -c constraints.txt -r benchmarks/peers/requirements.txt
	$(PEERS)/bin/pip install --no-deps -r benchmarks/peers/requirements-no-deps.txt
	@touch $@

define DOWNLOADS
Setting up .venv. pip downloads what it lacks of PyTorch and about 130 smaller packages:
  with the usual Linux build of PyTorch, which brings CUDA: about 3 GB
  with a CPU-only build: about 0.5 GB (1.8 GB on disk). For that, stop now (Ctrl-C) and run
    make $(or $(MAKECMDGOALS),demo) TORCH_INDEX=URL
  where URL is the package index that pytorch.org's install page names for Compute Platform 'CPU'.
  A PyTorch that .venv already has is kept, if it is the version in constraints.txt.
No corpus and no model is downloaded.
endef
export DOWNLOADS
