"""The small tokenizer, its encoders and models; `small_run` says how they are made."""

import pytest

from lingjax.data import load_tokenizer
from tests.training.small_run import make_encoder, one_device, write_tokenizer


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def encoders(tokenizer_folder):
    """Encoders by family."""
    tokenizer = load_tokenizer(str(tokenizer_folder), offline=True)
    return {family: make_encoder(tokenizer, family) for family in ("gpt2", "bert")}


@pytest.fixture(scope="session")
def mesh():
    """One device."""
    return one_device()
