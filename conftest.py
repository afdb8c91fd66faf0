"""Tiny models, pairs and a finished transfer, for the examples in docstrings and for tests of the Python API."""

import re
from pathlib import Path

import pytest

_NAMES = ("tiny_model", "tiny_classifier", "tiny_pairs", "tiny_transfer")


@pytest.fixture(autouse=True)
def _names_in_docstrings(request, doctest_namespace):
    """Gives an example in a docstring what it names, and makes nothing else."""
    if isinstance(request.node, pytest.DoctestItem):
        words = set(re.findall(r"\w+", "".join(example.source for example in request.node.dtest.examples)))
        doctest_namespace.update({name: str(request.getfixturevalue(name)) for name in words.intersection(_NAMES)})


def _save_model(folder: Path, head: str, **options) -> Path:
    from lingjax.models import save_pretrained
    from tests.training.small_run import make_start, write_tokenizer

    tokenizer = write_tokenizer(folder / "tokenizer")
    start = make_start(tokenizer, head=head)
    return save_pretrained(
        folder / "model",
        start.config,
        start.parameters,
        head=head,
        tokenizer_folder=tokenizer,
        end_id=start.tokenizer.end_id,
        **options,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A Hugging Face folder of a GPT-2 of width 16 that knows 13 words."""
    return _save_model(tmp_path_factory.mktemp("tiny"), "language_model")


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory) -> Path:
    """The same with a head for pairs."""
    pairs = {"pair_format": "separated", "max_length": 16}
    return _save_model(tmp_path_factory.mktemp("tiny"), "pairs", pairs=pairs)


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory) -> Path:
    """A dataset folder with the splits train, validation and test."""
    from tests.data.conftest import write_dataset
    from tests.training.small_run import make_records

    splits = {"train": 24, "validation": 9, "test": 14}
    records = {name: make_records(count, seed=count) for name, count in splits.items()}
    return Path(write_dataset(tmp_path_factory.mktemp("tiny"), "tiny", records)).parent


@pytest.fixture(scope="session")
def tiny_transfer(tmp_path_factory, tiny_model, tiny_pairs) -> Path:
    """The workdir of a finished transfer."""
    import lingjax

    workdir = tmp_path_factory.mktemp("tiny") / "run"
    lingjax.transfer(
        lingjax.StudyConfig(
            model=lingjax.ModelSettings(init=str(tiny_model)),
            train=lingjax.TrainSettings(steps=2, batch_size=4, max_length=16, pair_format="separated"),
            source=str(tiny_pairs),
            targets=[f"{tiny_pairs}@test"],
            trained_controls=(),
            bootstrap_replicates=20,
        ),
        workdir=workdir,
    )
    return workdir
