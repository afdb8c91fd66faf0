"""Whether every token that a tokenizer gives has a row in a model's token table."""

from pathlib import Path

from lingjax.data.tokenizer import Tokenizer
from lingjax.errors import InputError
from lingjax.models.config import ModelConfig

_SHOWN = 5


def check_tokenizer_fits(tokenizer: Tokenizer, config: ModelConfig, source: str | Path) -> None:
    """Refuses a tokenizer with tokens that the model's table has no row for: their embeddings would be NaN.

    Blank lines at the end of a vocabulary file make ids that no text gives; they are let pass.

    Args:
      tokenizer: the model's.
      config: the model's.
      source: where both are from, for the message.

    Raises:
      InputError: there are such tokens; some are named.
    """
    if tokenizer.vocab_size <= config.vocab_size:
        return
    outside = [(token_id, token) for token, token_id in tokenizer.vocabulary().items() if token_id >= config.vocab_size]
    if tokenizer.kind == "wordpiece":  # its words hold no blanks
        outside = [(token_id, token) for token_id, token in outside if token.strip()]
    outside = sorted((token_id, token) for token_id, token in outside if token)
    if not outside:
        return
    named = ", ".join(f"{token!r} ({token_id})" for token_id, token in outside[:_SHOWN])
    more = f" and {len(outside) - _SHOWN:,} more" if len(outside) > _SHOWN else ""
    raise InputError(
        f"{source}: its tokenizer has tokens without a row in the model's table of {config.vocab_size:,}: "
        f"{named}{more}; remove them from the tokenizer, or give them rows with transformers: "
        "model.resize_token_embeddings(len(tokenizer)), then model.save_pretrained"
    )
