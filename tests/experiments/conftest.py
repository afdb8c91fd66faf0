"""Real commands in real processes, on tiny data made once a session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.prepared_process import PreparedProcess

ROOT = Path(__file__).parents[2]


def _environment() -> dict[str, str]:
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}


def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Runs `python -m ARGUMENTS` from the checkout on one CPU device."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={**_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="session")
def prepared():
    """A process that forks once a command."""
    process = PreparedProcess(folder=ROOT, environment=_environment())
    yield process
    process.close()


@pytest.fixture(scope="session")
def command(prepared):
    """Runs a command that must succeed."""

    def run(*arguments: object) -> str:
        done = prepared.run(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def refused(prepared):
    """Runs a command that must fail, and returns its one line."""

    def run(*arguments: object) -> str:
        done = prepared.run(*arguments)
        assert done.returncode == 2, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr[-2000:]
        assert lines[0].startswith("error: ")
        return lines[0]

    return run


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The synthetic datasets, small."""
    from data_prep.builders import synthetic

    folder = tmp_path_factory.mktemp("data")
    synthetic.build(folder, seed=0, scale=0.03)
    return folder


@pytest.fixture(scope="session")
def tokenizer(data, tmp_path_factory) -> Path:
    """Byte-level BPE over the three domains."""
    from data_prep.tokenizer_training import train_tokenizer

    corpora = [(str(data / f"synthetic_{domain}"), 1.0) for domain in ("english", "dna", "protein")]
    return train_tokenizer(tmp_path_factory.mktemp("bpe") / "tokenizer", kind="bpe", corpora=corpora, vocab_size=400)


@pytest.fixture(scope="session")
def wordpiece(data, tmp_path_factory) -> Path:
    """WordPiece over English only: a DNA sequence of more than 100 letters is one unknown token to it."""
    from data_prep.tokenizer_training import train_tokenizer

    corpora = [(str(data / "synthetic_english"), 1.0)]
    folder = tmp_path_factory.mktemp("wordpiece") / "tokenizer"
    return train_tokenizer(folder, kind="wordpiece", corpora=corpora, vocab_size=300)


@pytest.fixture(scope="session")
def gpt2_folder(tokenizer, tmp_path_factory) -> Path:
    """A Hugging Face folder of a tiny GPT-2 with random weights."""
    from flax import nnx

    from lingjax.data import load_tokenizer
    from lingjax.models import build_model, parameters_of, preset, save_pretrained

    loaded = load_tokenizer(str(tokenizer))
    config = preset("gpt2", "tiny", vocab_size=loaded.vocab_size, max_length=64, pad_id=loaded.pad_id)
    model = build_model(config, "backbone", rngs=nnx.Rngs(0))
    folder = tmp_path_factory.mktemp("gpt2") / "model"
    return save_pretrained(
        folder, config, parameters_of(model), head="backbone", tokenizer_folder=tokenizer, end_id=loaded.end_id
    )


@pytest.fixture(scope="session")
def transfer_flags(data, gpt2_folder) -> list[str]:
    """A whole transfer in a few steps."""
    return [
        f"--config.model.init={gpt2_folder}",
        f"--config.source={data}/synthetic_english_pairs",
        f"--config.targets={data}/synthetic_dna_pairs,{data}/synthetic_dna_protein_pairs",
        "--config.train.max_length=64",
        "--config.train.steps=4",
        "--config.train.batch_size=7",
        "--config.seeds=2",
        "--config.trained_controls=shuffled_labels,random_init",
        "--config.bootstrap_replicates=50",
        "--config.log_every=2",
        "--config.offline=true",
    ]


@pytest.fixture(scope="session")
def transferred(command, transfer_flags, tmp_path_factory) -> tuple[Path, str]:
    """The workdir of a finished transfer, and what it printed."""
    workdir = tmp_path_factory.mktemp("transfer") / "run"
    return workdir, command("experiments.transfer", f"--workdir={workdir}", *transfer_flags)


@pytest.fixture(scope="session")
def packed(data, tokenizer) -> str:
    """A mixture of two packed corpora."""
    from data_prep.packing import pack
    from lingjax.data import load_tokenizer

    loaded = load_tokenizer(str(tokenizer))
    for domain in ("english", "dna"):
        pack(data, name=f"packed_{domain}", corpus=str(data / f"synthetic_{domain}"), tokenizer=loaded, length=32)
    return f"{data}/packed_english:2,{data}/packed_dna:1"


@pytest.fixture(scope="session")
def pretraining_flags(packed, tokenizer) -> list[str]:
    """Pretraining in a few steps."""
    return [
        "--config.model.size=tiny",
        f"--config.model.tokenizer={tokenizer}",
        "--config.model.max_length=32",
        f"--config.data.mixture={packed}",
        "--config.train.batch_size=4",
        "--config.train.steps=4",
        "--config.evaluate_every=2",
        "--config.log_every=2",
    ]
