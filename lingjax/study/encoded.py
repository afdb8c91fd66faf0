"""A task as a model reads it, encoded once for all that look at it: checks, training, curves, predictions, controls."""

import functools

import numpy as np

from lingjax.data import EncodedPairs, PairEncoder, SubsetSource, TokenStatistics, encode_pairs
from lingjax.evaluation import PairSides
from lingjax.evaluation.pair_sides import sampled_rows
from lingjax.study.tasks import Task


class EncodedTask:
    """A task and its token ids, made when they are first asked for, and kept.

    Controls look at the two texts whole and apart. They are tokenized again only where the pairs do not hold them so:
    where a pair is one text, in which a token may reach over the seam, and where it was cut.

    Args:
      task: the pairs.
      encoder: how the model reads them.
    """

    def __init__(self, task: Task, encoder: PairEncoder):
        self.task = task
        self.encoder = encoder

    @functools.cached_property
    def pairs(self) -> EncodedPairs:
        """The pairs as the model reads them.

        Raises:
          InputError: a record is damaged, or a pair has no token.
        """
        return encode_pairs(self.task.rows, self.encoder)

    @functools.cached_property
    def statistics(self) -> TokenStatistics:
        """What tokenizing did to the pairs."""
        return self.pairs.statistics()

    def sample(self, most: int) -> EncodedPairs:
        """Returns `most` of the pairs drawn by a fixed seed; where the pairs are not encoded yet, only these are."""
        numbers = sampled_rows(len(self.task.rows), most=most, seed=0)
        if "pairs" in self.__dict__:
            return self.pairs.take(numbers)
        return encode_pairs(SubsetSource(self.task.rows, numbers), self.encoder)

    def sides(self, *, most: int | None = None) -> PairSides:
        """Reads the texts side by side, as controls look at them: of all rows, or of `most` drawn by a fixed seed.

        They are as large as the dataset and made at each call: who judges a target asks once and lets them go.
        """
        encoded = self.__dict__.get("pairs")  # not encoded for this alone: `most` may be a small part
        return PairSides.of(self.task.rows, self.encoder.tokenizer, most=most, encoded=encoded)


def shuffle_labels(pairs: EncodedPairs, *, seed: int) -> EncodedPairs:
    """Returns the same texts, each with the label of a row drawn by the seed, each label used once.

    Fine-tuning on them is the control that shows what fine-tuning alone does.
    """
    return pairs.with_labels(np.random.default_rng(seed).permutation(pairs.labels))
