# make setup   virtual environment with pinned versions
# make demo    the main job on the bundled data of Stuttgart, and a rehearsed download; without token or network
# make test    all tests
# make lint    style, types, import contract, docstrings
# make package source archive and wheel into dist/, and tries them: alone, with all extras, at the oldest and newest versions
# make docs    the documentation, into site/
# make notebooks   run the notebooks, and store what they show
# make bench   benchmarks: ratios measured in one run (some minutes)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test lint package docs notebooks bench format clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 14) else "mlygeo needs Python 3.11 to 3.14; try: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@

demo: $(STAMP)
	$(BIN)/mlygeo tiles -c examples/stuttgart/stuttgart_config.json -o $(DEMO)/images.parquet
	$(BIN)/mlygeo select -c examples/stuttgart/stuttgart_config.json --streets examples/stuttgart/stuttgart_osm_edges.gpkg --interval 50 --srid 25832 -o $(DEMO) --json
	$(BIN)/mlygeo map examples/stuttgart/stuttgart_osm_edges.gpkg $(DEMO)/street_points.parquet $(DEMO)/selection.parquet --title "Stuttgart: the nearest image for a point every 50 m" -o $(DEMO)/map.png
	$(BIN)/mlygeo map examples/stuttgart/stuttgart_osm_edges.gpkg $(DEMO)/street_points.parquet $(DEMO)/selection.parquet --title "Stuttgart: the nearest image for a point every 50 m" -o $(DEMO)/map.html
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/rehearsal/rehearse.sh $(DEMO)

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.14
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'mlygeo/*.py')

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

package: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON="$(CURDIR)/$(BIN)/python" .ci/package $(PARTS)

notebooks: $(STAMP)
	$(BIN)/python notebooks/execute.py

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) $(DEMO) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/.artifacts tests/benchmarks/.data
