# Everything runs in .venv, which is made at need. A second call finds it made and is quick.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# More for pip, such as --extra-index-url https://download.pytorch.org/whl/cpu for a torch without CUDA.
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2

BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install demo test lint clean

help:
	@echo 'make demo   build a small real dataset from two public-domain portraits, and show it'
	@echo 'make test   run all tests'
	@echo 'make lint   ruff and mypy'
	@echo 'make clean  delete .venv, the demo and all caches'

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[torch,ivf,demo,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python -m faceloom.pipelines.demo demo/photos
	$(BIN)/faceloom build recipes/demo.yaml --out demo/out
	$(BIN)/faceloom show demo/out
	rm -rf demo/samples
	$(BIN)/faceloom export demo/out --to demo/samples --limit 24
	$(BIN)/python -m faceloom.pipelines.export.contact_sheet demo/out demo/sheet.png
	@echo
	@echo 'photos         demo/photos/        (the input, with a few files that must be rejected)'
	@echo 'dataset        demo/out/           (shards, index, rejects, build.json)'
	@echo 'plain files    demo/samples/       (the first samples, exported)'
	@echo 'contact sheet  demo/sheet.png      (face | masked | mask)'

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

# The packages are mapped to folders at the top, which mypy does not follow; links in a tree of the installed shape do.
lint: $(STAMP)
	mkdir -p build/types/faceloom
	for room in schemas transforms models pipelines recipes; do ln -sfn "$(CURDIR)/$$room" build/types/faceloom/$$room; done
	for file in __init__.py py.typed; do ln -sfn "$(CURDIR)/faceloom/$$file" build/types/faceloom/$$file; done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/types $(BIN)/mypy -p faceloom

clean:
	rm -rf .venv build demo .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
