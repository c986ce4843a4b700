# The two commands of the README. Each makes what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A file of tests stays on one of two workers. In their own order: sorted by the number of tests, a file with one that
# takes a minute would come last and alone.
PARALLEL ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast lint benchmark sweep baseline clean

DIGITS := examples/digits

# From Keras to the board: half of the filters go, the rest is trained for int8, and both models are run and compared.
demo: $(VENV)/.demo
	$(BIN)/tinyml compress $(DIGITS)/digits.keras --recipe $(DIGITS)/recipe.yaml --data $(DIGITS)/digits_train.npz \
	  --validation $(DIGITS)/digits_test.npz -o out/digits.keras --tflite out/digits.tflite --json out/compression.json
	$(BIN)/tinyml bench $(DIGITS)/digits.tflite --board mps2-an386 --json out/before.json --quiet
	$(BIN)/tinyml bench out/digits.tflite --board mps2-an386 --inputs $(DIGITS)/digits_test.npz \
	  --project-dir out/digits --json out/digits.json
	$(BIN)/tinyml compare out/before.json out/digits.json

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)
	$(BIN)/python -m pytest -m slow $(PARALLEL)

test-fast: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/host_time.py
	$(BIN)/python -m benchmarks.kernels

# How costs grow with a layer's geometry: the pictures of docs/performance.md. Ten minutes and more.
sweep: $(VENV)/.test
	rm -f out/sweep.json
	$(BIN)/python -m benchmarks.sweep --plot docs

# What tests/benchmarks/test_baseline.py compares with. Renew it when costs fell, or rose for a good reason.
baseline: $(VENV)/.test
	$(BIN)/python benchmarks/baseline.py --renew

# A stamp for each set of dependencies, so that a second call starts at once.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[zig,emulator,reference,keras]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,test,benchmark]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
