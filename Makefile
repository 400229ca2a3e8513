# make demo · make test · make check · make bench · make evidence: each sets up what it needs, from Python 3.11 and make alone.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
# PEERS=1 installs PyTorch, JAX and HIPS autograd too: comparisons that are skipped without them then run.
comma := ,
TEST_EXTRAS := dev,demo$(if $(PEERS),$(comma)peers)

# These look at every object of their process, which is therefore a small one.
LEAKS := tests/profile/footprint/test_leaks.py

.PHONY: demo test check bench docs coverage evidence baseline clean

demo: .venv/demo.stamp
	$(PY) -m wengert demo

test: .venv/test$(PEERS).stamp
	$(PY) -m pytest -q -n 2 --dist worksteal --ignore=$(LEAKS)
	$(PY) -m pytest -q -n 2 --dist worksteal $(LEAKS)

check: .venv/check.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m pytest -q tests/test_layers.py tests/test_exports.py
	$(PY) -m wengert coverage --quick --against tests/verify/baseline.json --html docs/_extra/coverage.html
	$(PY) -m sphinx -W -q -b html docs docs/_build/html

bench: .venv/bench.stamp
	$(PY) benchmarks/eager.py
	$(PY) benchmarks/compiled.py --quick
	$(PY) benchmarks/loops.py --quick
	$(PY) benchmarks/memory.py --quick

docs: evidence
	$(PY) -m sphinx -W -b html docs docs/_build/html

coverage: .venv/check.stamp
	$(PY) -m wengert coverage

# The whole of the evidence, as the page that is published with the docs; and the statuses that `make check` holds us to.
evidence: .venv/check.stamp
	$(PY) -m wengert coverage --all --html docs/_extra/coverage.html --markdown out/coverage.md --json out/coverage.json

baseline: .venv/check.stamp
	$(PY) -m wengert coverage --quick --baseline tests/verify/baseline.json

.venv/pip.stamp:
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -q --upgrade pip
	@$(PY) -c "open('$@', 'w')"

.venv/demo.stamp: .venv/pip.stamp pyproject.toml
	$(PY) -m pip install -q -e ".[demo]"
	@$(PY) -c "open('$@', 'w')"

.venv/test$(PEERS).stamp: .venv/pip.stamp pyproject.toml
	$(PY) -m pip install -q -e ".[$(TEST_EXTRAS)]"
	@$(PY) -c "open('$@', 'w')"

.venv/check.stamp: .venv/pip.stamp pyproject.toml
	$(PY) -m pip install -q -e ".[dev,demo,docs]"
	@$(PY) -c "open('$@', 'w')"

.venv/bench.stamp: .venv/pip.stamp pyproject.toml
	$(PY) -m pip install -q -e ".[dev,peers]"
	@$(PY) -c "open('$@', 'w')"

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(d, True) for d in ('.venv', 'docs/_build', 'docs/_extra', 'out', '.pytest_cache', '.ruff_cache')]"
