"""Real commands and small packed corpora, as for the experiments."""

from tests.experiments.conftest import command, data, packed, prepared, refused, tokenizer

__all__ = ["command", "data", "packed", "prepared", "refused", "tokenizer"]
