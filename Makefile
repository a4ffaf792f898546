# The two commands a newcomer needs: make demo, make test. Both install what is missing first.
VENV := .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := $(VENV)/.installed
BIN := $(VENV)/bin

NANO := perception/m2hmx/training/m2hmx-nano.yaml
NANO_RUN := results/training/m2hmx-nano

.PHONY: demo test train-nano install lint types imports clean

demo: $(INSTALLED)
	$(BIN)/harness run --seqs demo --perception sensor,m2hmx,none --backends orbslam3,rgbd-odometry,mono-hydra --runs 3; \
	code=$$?; $(BIN)/harness report && exit $$code

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2

# Goes on with a training that was stopped.
train-nano: $(INSTALLED)
	$(BIN)/harness perception train $(NANO) $(if $(wildcard $(NANO_RUN)/checkpoints/*),--resume,--output) $(NANO_RUN)
	$(BIN)/harness perception eval --held-out $(NANO) --module m2hmx:$(NANO_RUN)/weights.safetensors

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
