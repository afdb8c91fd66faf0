"""A source whose labels say nothing: the control that shows what fine-tuning alone does."""

from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from lingjax.data import PairRecord, SubsetSource


class ShuffledLabels(SubsetSource):
    """The rows of another source in their order, each with the label of a row drawn by the seed, each label used once.

    Args:
      source: read once, for its labels.
      seed: of the permutation.
    """

    def __init__(self, source: Sequence[PairRecord], *, seed: int):
        super().__init__(source, np.arange(len(source)))
        labels = np.array([source[row].label for row in range(len(source))], np.int32)
        self._labels = np.random.default_rng(seed).permutation(labels)

    def __getitem__(self, number: SupportsIndex) -> PairRecord:
        record = super().__getitem__(number)
        return PairRecord(record.pair_id, record.sentence1, record.sentence2, int(self._labels[int(number)]))
