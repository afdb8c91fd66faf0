"""One module a dataset, each with a function `build`, whose parameters are the flags that the dataset takes."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

from lingjax.errors import InputError, nearest, raise_problems

BUILDERS = {
    "pairs": "data_prep.builders.pairs",
    "paws_x": "data_prep.builders.paws_x",
    "dna_pairs": "data_prep.builders.dna_pairs",
    "paws_like_dna": "data_prep.builders.paws_like_dna",
    "dna_protein_pairs": "data_prep.builders.dna_protein_pairs",
    "protein_pairs": "data_prep.builders.protein_pairs",
    "gene_families": "data_prep.builders.gene_families",
    "hub_pairs": "data_prep.builders.hub_pairs",
    "corpus": "data_prep.builders.corpus",
    "synthetic": "data_prep.builders.synthetic",
}


def load_builder(dataset: str) -> Callable[..., list[Path]]:
    """Imports the builder of a dataset; some import slow libraries, so only the one that is needed.

    Raises:
      InputError: there is no dataset of this name.
    """
    if dataset not in BUILDERS:
        raise InputError(f"--dataset={dataset} is unknown; {nearest(dataset, BUILDERS)}")
    return importlib.import_module(BUILDERS[dataset]).build


def check_flags(dataset: str, given: dict[str, object], build: Callable[..., list[Path]]) -> None:
    """Compares the given flags with the parameters of a builder; those without a default are required.

    Raises:
      InputError: a flag is given that the dataset does not use, or one is missing that it needs.
    """
    parameters = inspect.signature(build).parameters
    unused = [f"--{name} is not a flag of this dataset" for name in given if name not in parameters]
    needed = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    missing = [f"--{name} is missing" for name in needed if name not in given]
    raise_problems(f"--dataset={dataset}", unused + missing)
