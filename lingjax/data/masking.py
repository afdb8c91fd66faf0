"""BERT's corruption of a row: which tokens must be predicted, and what the model reads in their place."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Int32

from lingjax.data.tokenizer import Tokenizer
from lingjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Masking:
    """How tokens are masked.

    Attributes:
      mask_id: the token that stands for a hidden one.
      special_ids: tokens that are never chosen and never put in another's place.
      vocab_size: entries of the tokenizer.
      fraction: expected share of ordinary tokens chosen.
      hidden_fraction, random_fraction: shares of the chosen that become `mask_id` or a random ordinary token; the rest
        stay as they are.

    Source of the defaults: Devlin et al. 2019, section 3.1.
    """

    mask_id: int
    special_ids: tuple[int, ...]
    vocab_size: int
    fraction: float = 0.15
    hidden_fraction: float = 0.8
    random_fraction: float = 0.1

    @functools.cached_property
    def ordinary_ids(self) -> Int32[np.ndarray, " ordinary"]:
        """Every token that may stand in another's place."""
        return np.setdiff1d(np.arange(self.vocab_size, dtype=np.int32), self.special_ids)

    @staticmethod
    def of(tokenizer: Tokenizer, *, fraction: float = 0.15) -> "Masking":
        """Returns the published recipe for a tokenizer.

        Raises:
          InputError: it has no mask token, or `fraction` is not between 0 and 1.
        """
        if tokenizer.mask_id is None:
            raise InputError(
                f"tokenizer '{tokenizer.name}' has no mask token, which masked pretraining needs; "
                "train one with --kind=wordpiece"
            )
        if not 0 < fraction < 1:
            raise InputError(f"mask_fraction={fraction} must lie between 0 and 1")
        return Masking(tokenizer.mask_id, tokenizer.special_ids, tokenizer.vocab_size, fraction)


def pick_masked_positions(
    special: Bool[np.ndarray, " length"], rng: np.random.Generator, *, fraction: float
) -> Bool[np.ndarray, " length"]:
    """Chooses which positions of one row BERT must predict.

    Args:
      special: True where a token may never be chosen.
      rng: decides.
      fraction: expected share of ordinary tokens chosen, 0 to 1 (0.15 in the paper).

    Returns:
      True where the token is to be predicted; at least one if any token is ordinary.

    Raises:
      ValueError: `fraction` is outside 0 to 1.

    Source: Devlin et al. 2019, section 3.1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction={fraction} must lie between 0 and 1")
    draws = rng.random(len(special))
    draws[special] = 2.0  # above every fraction
    picked = draws < fraction
    if not picked.any() and not special.all():
        picked[draws.argmin()] = True
    return picked


def mask_tokens(
    token_ids: Int32[np.ndarray, " length"],
    *,
    is_text: Bool[np.ndarray, " length"],
    masking: Masking,
    rng: np.random.Generator,
) -> tuple[Int32[np.ndarray, " length"], Bool[np.ndarray, " length"]]:
    """Corrupts one row.

    Args:
      token_ids: what was written.
      is_text: False at padding.
      masking: the recipe.
      rng: decides which tokens and what becomes of them.

    Returns:
      What the model reads, and True where it must predict what was written.
    """
    special = ~is_text | np.isin(token_ids, masking.special_ids)
    picked = pick_masked_positions(special, rng, fraction=masking.fraction)
    fate = rng.random(len(token_ids))
    substitutes = masking.ordinary_ids[rng.integers(len(masking.ordinary_ids), size=len(token_ids))]
    hidden = picked & (fate < masking.hidden_fraction)
    replaced = picked & ~hidden & (fate < masking.hidden_fraction + masking.random_fraction)
    corrupted = np.where(hidden, np.int32(masking.mask_id), np.where(replaced, substitutes, token_ids))
    return corrupted, picked
