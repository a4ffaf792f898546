# The two commands a newcomer needs: make demo, make test. Both install what is missing first.
VENV := .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: demo test install lint types imports clean

demo: $(INSTALLED)
	$(BIN)/harness run --seqs demo --perception sensor --backends orbslam3,rgbd-odometry,mono-hydra; \
	code=$$?; $(BIN)/harness report && exit $$code

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -I harness/system_packages.py --install
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[demo,export,go-slam,rosbag,dev]'
	touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) results/runs results/reports
