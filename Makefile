PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup run test every fast lint types translations snapshots screens pictures bench equivalence scale coverage torture kernels ray floors mutants

help: ## list these targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## install this checkout and every tool into .venv
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet -e '.[dev]'

run: ## open the dashboard
	$(PYTHON) -m tui_app

test: ## run the tests, without cases that are like another
	$(PYTHON) -m pytest -n 3

every: ## run the tests with every case, also those that are like another
	$(PYTHON) -m pytest -n 3 -m ""

fast: ## run the tests that are not marked slow
	$(PYTHON) -m pytest -n 3 -m "not slow and not alike"

lint: ## check style and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: ## check types
	.venv/bin/mypy

translations: ## bring every catalogue up to date with the code, and compile it
	mkdir -p build
	.venv/bin/pybabel -q extract -k Message -k Problem -k InvalidSetting:2 --add-location file \
		-o build/messages.pot core tui_app
	.venv/bin/pybabel -q update -i build/messages.pot -D mnist_tui -d tui_app/locales -w 120 \
		--ignore-obsolete --no-fuzzy-matching --ignore-pot-creation-date
	.venv/bin/pybabel compile -D mnist_tui -d tui_app/locales --statistics

snapshots: ## draw the snapshots of the screens anew
	$(PYTHON) -m pytest --renew-snapshots tests/tui_app/test_snapshots.py

screens: ## draw each main screen at five sizes, in two themes and languages, into build/screens
	$(PYTHON) -m tests.screens build/screens

pictures: ## draw the README's pictures anew (compares both networks, then measures for minutes)
	$(PYTHON) -m tests.picture .github
	$(PYTHON) -m tests.benchmarks training --picture .github/ratios.svg

bench: ## measure everything (twenty minutes, five on a GPU); python -m tests.benchmarks NAME measures one part
	$(PYTHON) -m tests.benchmarks

equivalence: ## train as many seeds as it takes to show that the fast path learns the same (an hour; it goes on where it ended)
	$(PYTHON) -m tests.benchmarks equivalence

scale: ## measure how time and memory grow with the work
	$(PYTHON) -m tests.benchmarks scaling

coverage: ## measure how often a comparison's intervals hold the truth, in simulated comparisons
	$(PYTHON) -m tests.benchmarks coverage

torture: ## fail every write once, disturb 200 runs at random, and see whether anything is lost (an hour)
	$(PYTHON) -m tests.core.training.failing_writes
	$(PYTHON) -m tests.end_to_end.torture --rounds 200 --seed 2026

mutants: ## break core's arithmetic in every small way and list what no test notices (hours; ONLY='core.data.http*')
	$(PYTHON) -m pip install --quiet -e '.[mutants]'
	.venv/bin/mutmut run --max-children 2 $(if $(ONLY),'$(ONLY)') > /dev/null
	.venv/bin/mutmut results | sed -n 's/: survived//p' | xargs -rn 1 .venv/bin/mutmut show
	.venv/bin/mutmut results | grep -E 'survived|timeout|suspicious|no tests' | sort -t : -k 2

kernels: ## check every kernel of the GPU's steps in an interpreter, and compile them for GPUs that are not there
	TRITON_INTERPRET=1 $(PYTHON) -m pytest -p no:xdist tests/core/training/interpreted/check_*.py
	$(PYTHON) -m pytest -m slow tests/core/training/test_fused.py

ray: ## train 300 short runs on a Ray cluster of two nodes, kill ten workers, and see whether all is there (five minutes)
	$(PYTHON) -m pip install --quiet -e '.[ray]'
	$(PYTHON) -m tests.end_to_end.many_on_ray

floors: ## run the tests with the oldest versions that pyproject.toml allows
	$(PYTHON) -m tests.floors
