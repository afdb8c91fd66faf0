"""One module a dataset, each with a frozen dataclass whose fields are the flags that the dataset takes."""

import inspect

from data_prep.builders.corpus import Corpus
from data_prep.builders.dataset import Dataset
from data_prep.builders.dna_pairs import DnaPairs
from data_prep.builders.dna_protein_pairs import DnaProteinPairs
from data_prep.builders.gene_families import GeneFamilies
from data_prep.builders.hub_pairs import HubPairs
from data_prep.builders.pairs import Pairs
from data_prep.builders.paws_like_dna import PawsLikeDna
from data_prep.builders.paws_x import PawsX
from data_prep.builders.protein_pairs import ProteinPairs
from data_prep.builders.synthetic import Synthetic
from lingjax.errors import InputError, nearest, raise_problems

_ALL = (
    *(Pairs, PawsX, DnaPairs, PawsLikeDna, DnaProteinPairs, ProteinPairs, GeneFamilies, HubPairs),
    *(Corpus, Synthetic),
)
BUILDERS: dict[str, type[Dataset]] = {builder.dataset: builder for builder in _ALL}


def load_builder(dataset: str) -> type[Dataset]:
    """Returns the class of a dataset.

    Raises:
      InputError: there is no dataset of this name.
    """
    if dataset not in BUILDERS:
        raise InputError(f"--dataset={dataset} is unknown; {nearest(dataset, BUILDERS)}")
    return BUILDERS[dataset]


def check_flags(dataset: str, given: dict[str, object], builder: type[Dataset]) -> None:
    """Compares the given flags with the fields of a dataset; those without a default are needed.

    Raises:
      InputError: a flag is given that the dataset does not use, or one is missing that it needs.
    """
    parameters = inspect.signature(builder).parameters
    unused = [f"--{name} is not a flag of this dataset" for name in given if name not in parameters]
    needed = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    missing = [f"--{name} is missing" for name in needed if name not in given]
    raise_problems(f"--dataset={dataset}", unused + missing)
