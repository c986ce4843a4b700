# The two commands of the README. Each makes what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast lint benchmark clean

demo: $(VENV)/.demo
	$(BIN)/tinyml bench examples/digits/digits.tflite --board mps2-an386 \
	  --inputs examples/digits/digits_test.npz --project-dir out/digits --json out/digits.json

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m slow

test-fast: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/host_time.py

# A stamp for each set of dependencies, so that a second call starts at once.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[zig,emulator,reference]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,test]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
