# Every target works from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
FRONT_END := package.json package-lock.json tsconfig.json $(wildcard js/*.ts js/*/*.ts js/*.css js/*/*.css)
NOTEBOOK ?= notebooks/quickstart.ipynb
# the heatmap is tested under these kernels too, beside the newest
KERNELS := ipykernel6.31 ipykernel7.3

.PHONY: demo test lab dashboard lint house bench bench-cuda flow screenshots mutants browser clean

demo: .venv/ready-demo
	$(BIN)/python -m simwidget.demo $(NOTEBOOK) --out out

test: .venv/ready-test node_modules/ready browser $(KERNELS:%=.venv/kernels/%/ready)
	npm test
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder --durations 20

lint: .venv/ready-test node_modules/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npm run check
	npm run lint

# the packages and their imports, drawn from the code: docs/house.svg
house: .venv/ready-demo
	$(BIN)/python docs/house.py

lab: .venv/ready-lab
	$(BIN)/jupyter lab $$([ "$$(id -u)" != 0 ] || echo --allow-root) $(LAB_OPTIONS) $(NOTEBOOK)

dashboard: .venv/ready-lab
	$(BIN)/voila $(LAB_OPTIONS) notebooks/dashboard.ipynb

bench: .venv/ready-test
	mkdir -p out
	$(BIN)/python -m benchmarks --out out/benchmarks.json
	$(BIN)/python -m benchmarks.parts --out out/parts.json
	$(BIN)/python -m benchmarks.live --out out/live.json

bench-cuda: .venv/ready-test
	mkdir -p out
	$(BIN)/python -m benchmarks --device cuda --out out/benchmarks-cuda.json
	$(BIN)/python -m benchmarks.parts --device cuda --out out/parts-cuda.json
	$(BIN)/python -m benchmarks.waits --out out/waits.json

flow: .venv/ready-test browser
	$(BIN)/python -m benchmarks.flow

screenshots: .venv/ready-test browser
	$(BIN)/python docs/screenshots.py

mutants: .venv/ready-test
	$(BIN)/python -m tests.mutants

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "simwidget needs Python 3.10 or later")'
	$(PYTHON) -m venv .venv

.venv/ready-demo: .venv/bin/python pyproject.toml $(FRONT_END)
	$(need-node)
	$(PIP) --editable '.[demo]'
	touch $@

.venv/ready-test: .venv/bin/python pyproject.toml $(FRONT_END)
	$(need-node)
	$(PIP) --editable '.[test,lint]'
	touch $@

.venv/ready-lab: .venv/bin/python pyproject.toml $(FRONT_END)
	$(need-node)
	$(PIP) --editable '.[lab]'
	touch $@

# an older ipykernel in a folder of its own; everything else it needs is in .venv
.venv/kernels/ipykernel%/ready: .venv/ready-test
	$(PIP) --no-deps --upgrade --target $(@D) 'ipykernel==$*.*' nest-asyncio
	touch $@

node_modules/ready: package.json package-lock.json
	$(need-node)
	npm ci --silent
	touch $@

define need-node
@command -v npm > /dev/null || { echo "building the front end needs Node.js 20 or later and npm"; exit 1; }
endef

# the browser tests drive Debian's Chromium
browser:
	@command -v chromium > /dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium; \
	else \
		echo "the browser tests need chromium: apt-get install chromium (or your system's package of it)"; exit 1; \
	fi

clean:
	rm -rf .venv node_modules simwidget/static out dist
