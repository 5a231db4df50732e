# Two commands do it all on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test check slow clean

demo: .venv/installed
	$(BIN)/python -m experiments.linear_regression
	$(BIN)/python -m experiments.digits --kind=pairs --max_train_steps=40000000

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=12

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: .venv/installed
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv build dist *.egg-info

.venv/installed: pyproject.toml
	command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; use make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
