# `make run` starts the app, `make run PORT=8600` at another port than the first free one from 8501 on; `make test` runs
# every test; `make faults` kills it 200 times in the middle of its work. Each makes the environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test check faults bench bench-gpu
run: $(VENV)/.runtime
	$(BIN)/python -m engine app $(if $(PORT),--port $(PORT))

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.security.audit

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(KILLS)

bench: $(VENV)/.dev
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done

# The figures that a GPU changes, one line of JSON each; says so and ends with status 2 where there is none.
bench-gpu: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gpu_set $(if $(OUTPUT),--output $(OUTPUT))

$(VENV)/.runtime: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
