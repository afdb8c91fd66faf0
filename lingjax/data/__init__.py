"""Data: from dataset folders to batches; imports no tensorflow, and the heavy libraries only when they are used."""

from lingjax.data.batch import PairBatch, TokenBatch
from lingjax.data.dataset import (
    DatasetSplit,
    PairRecord,
    PairSource,
    SubsetSource,
    fingerprint_records,
    hash_fraction,
    is_valid_name,
    open_split,
    split_by_hash,
    split_reference,
)
from lingjax.data.encoded_pairs import EncodedPairs, encode_pairs, measure_tokens
from lingjax.data.genetic_code import SHARED_RESIDUES, encodes_piece, encoding_fractions
from lingjax.data.markov import MarkovLoss, markov_loss
from lingjax.data.masking import Masking
from lingjax.data.mixture import held_out_batches, mixture_batches, parse_mixture
from lingjax.data.objectives import MaskedTokens, NextToken, Objective
from lingjax.data.packed import PackedRow, PackedSource, PackedSubset, choose_in_equal_steps, open_packed
from lingjax.data.pair_batches import evaluation_batches, pack_pairs, steps_per_epoch, training_batches
from lingjax.data.pairs import PAIR_FORMATS, EncodedPair, PairEncoder, TokenStatistics
from lingjax.data.passages import END_OF_DOCUMENT, Passage, count_characters, read_passages
from lingjax.data.seen_text import RUN_LENGTH, seen_fraction
from lingjax.data.shard_index import describe_shard, write_index
from lingjax.data.text_preparation import text_of_vocabulary
from lingjax.data.tfrecord import TFRecordSource, parse_example
from lingjax.data.tokenizer import Tokenizer, has_tokenizer, load_tokenizer
from lingjax.data.unigram import unigram_loss

__all__ = [
    "END_OF_DOCUMENT",
    "PAIR_FORMATS",
    "RUN_LENGTH",
    "SHARED_RESIDUES",
    "DatasetSplit",
    "EncodedPair",
    "EncodedPairs",
    "MarkovLoss",
    "MaskedTokens",
    "Masking",
    "NextToken",
    "Objective",
    "PackedRow",
    "PackedSource",
    "PackedSubset",
    "PairBatch",
    "PairEncoder",
    "PairRecord",
    "PairSource",
    "Passage",
    "SubsetSource",
    "TFRecordSource",
    "TokenBatch",
    "TokenStatistics",
    "Tokenizer",
    "choose_in_equal_steps",
    "count_characters",
    "describe_shard",
    "encode_pairs",
    "encodes_piece",
    "encoding_fractions",
    "evaluation_batches",
    "fingerprint_records",
    "has_tokenizer",
    "hash_fraction",
    "held_out_batches",
    "is_valid_name",
    "load_tokenizer",
    "markov_loss",
    "measure_tokens",
    "mixture_batches",
    "open_packed",
    "open_split",
    "pack_pairs",
    "parse_example",
    "parse_mixture",
    "read_passages",
    "seen_fraction",
    "split_by_hash",
    "split_reference",
    "steps_per_epoch",
    "text_of_vocabulary",
    "training_batches",
    "unigram_loss",
    "write_index",
]
