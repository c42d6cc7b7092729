# `make report` and `make test` do everything from a fresh clone, set-up included; the rest is for people who work on the code.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= reports
GPU_PYTHON ?= $(BIN)/python
TRAIN_PACKAGES := torch==2.13.0 scikit-learn pyarrow
COMPILE_PACKAGES := nvidia-cutlass==4.2.0.0 nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm
TRACES := $(basename $(notdir $(wildcard traces/*.jsonl)))
NETWORKS := alexnet-reference resnet18 googlenet-aux

.PHONY: report test compile-test train-test browser-test gpu-test lint format bench clean
.DEFAULT_GOAL := report

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

report: $(VENV)/installed
	mkdir -p $(OUT)
	$(BIN)/perfmodel speedup $(TRACES) -o $(OUT)/speedup.csv
	$(BIN)/perfmodel speedup $(TRACES) -o $(OUT)/speedup.md
	for n in $(NETWORKS); do \
	  for by in layer kind; do $(BIN)/perfmodel breakdown $$n --by $$by -o $(OUT)/breakdown-$$n-by-$$by.png || exit; done; \
	  $(BIN)/perfmodel breakdown $$n -o $(OUT)/breakdown-$$n.csv && \
	  $(BIN)/perfmodel breakdown $$n -o $(OUT)/breakdown-$$n.md || exit; done
	for n in $(NETWORKS); do $(BIN)/perfmodel advise $$n -o $(OUT)/advice-$$n.png || exit; done
	for t in muppet-alexnet-imagenet muppet-resnet20-cifar100; do \
	  $(BIN)/perfmodel speedup $$t -o $(OUT)/timeline-$$t.png || exit; done
	$(BIN)/perfmodel reproduce table3 -o $(OUT)/table3.csv
	$(BIN)/perfmodel reproduce table3 -o $(OUT)/table3.md
	$(BIN)/perfmodel speedup $(TRACES)
	@echo
	$(BIN)/perfmodel reproduce table3
	$(BIN)/perfmodel report $(TRACES) -o $(OUT)/report.html
	@printf 'Made by `make report` from commit %s, version %s, on a machine without a GPU: every time is modelled.\n' \
	  "$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$$($(BIN)/perfmodel --version)" > $(OUT)/README.md
	@echo; echo 'Tables and pictures:'; ls $(OUT)/*.md $(OUT)/*.csv $(OUT)/*.png
	@echo; echo 'The report, for a browser: $(OUT)/report.html'

# Two processes, a file of tests in one of them: there are two cores at the least.
test: $(VENV)/installed
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# The kernels themselves, with the nvcc of this machine: CUTLASS's generator and headers, and a disassembler, without what they ask for.
compile-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(COMPILE_PACKAGES)
	$(BIN)/python -m pytest -q -m compile

# What needs the larger extras, PyTorch and pyarrow: after `make test`, which needs none.
train-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TRAIN_PACKAGES)
	$(BIN)/python -m pytest -q perfmodel/training tests/training tests/report/test_parquet.py

# The report in a real browser: Chromium and its driver, where they are installed (SHOTS: a folder for screenshots).
browser-test: $(VENV)/installed
	$(if $(SHOTS),PERFMODEL_SCREENSHOTS=$(abspath $(SHOTS))) $(BIN)/python -m pytest -q -rs -m browser

# On a machine with a GPU and the packages of the extra cuda13 or cuda12 (GPU_PYTHON=python3 where these are not in .venv): the tests that
# need it, and a profile of about two minutes.
gpu-test:
	$(GPU_PYTHON) -m pytest -q -m gpu
	mkdir -p $(OUT) && rm -f $(OUT)/gpu-test.jsonl
	$(GPU_PYTHON) -m perfmodel profile resnet20 --batch 128 --gpu --budget 60 -o $(OUT)/gpu-test.jsonl
	$(GPU_PYTHON) -m perfmodel check $(OUT)/gpu-test.jsonl

lint: $(VENV)/installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/installed
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/installed
	for b in gemm_model startup journal logs tfevents simulated_profile coverage grid; do $(BIN)/python benchmarks/$$b.py || exit; done

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
